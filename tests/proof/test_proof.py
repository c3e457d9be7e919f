"""The program that plants differences: a short run on each flavour, and what it does if `verify` were wrong."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.proof.plants import DIFFERS, EXTRA, MISSING, Plant, pick
from tests.proof.rig import Mistake, check
from tests.proof.tables import COLUMNS, plant_tables

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary

ROOT = Path(__file__).parents[2]
PLANTED = (Plant("types", 4, MISSING), Plant("bare", 8, DIFFERS, "text"), Plant("bare", 12, EXTRA))
FOUND = ({Plant("types", 4, MISSING)}, Counter({MISSING: 1, EXTRA: 2}))


def test_what_was_planted_is_accepted() -> None:
    check(PLANTED, FOUND)


@pytest.mark.parametrize(
    "found",
    [
        (set(), FOUND[1]),
        ({*FOUND[0], Plant("types", 6, MISSING)}, FOUND[1]),
        ({Plant("types", 4, EXTRA)}, FOUND[1]),
        (FOUND[0], Counter({MISSING: 1, EXTRA: 1})),
        (FOUND[0], FOUND[1] + Counter({MISSING: 1})),
    ],
    ids=["not found", "invented", "another kind", "not found without a key", "invented without a key"],
)
def test_anything_else_is_a_mistake(found: tuple[set[Plant], Counter[str]]) -> None:
    with pytest.raises(Mistake):
        check(PLANTED, found)


def test_each_kind_each_type_and_each_border_is_planted() -> None:
    tables = plant_tables({"mariadb"})
    plants = [p.plant for p in pick(tables, Random(1), 1000)]
    assert len(plants) == len(set(plants)) == 1000
    for table in tables:
        own = [p for p in plants if p.table == table.name]
        assert {p.kind for p in own} == {MISSING, EXTRA, DIFFERS}
        assert {p.number for p in own} >= {0, max(n for n in range(0, table.row_count, 2 if table.key else 4))}
        assert sum(1900 <= p.number < 2100 for p in own) >= (20 if table.key else 0)
    for name in ("types", "bare"):
        assert {p.column for p in plants if p.table == name} >= {c.name for c in COLUMNS}


@pytest.mark.every_flavour
def test_all_of_some_differences_are_found_and_repaired(server_binary: ServerBinary) -> None:
    words = ("planted", "--servers", str(server_binary), "--differences", "300", "--rate", "150", "--kills", "1")
    done = subprocess.run(
        [sys.executable, "-m", "tests.proof", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 runs, 0 failed; 300 differences planted" in done.stdout
