from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from replica_cli.config import VARIABLES, load_settings, variables_table

ROOT = Path(__file__).parents[3]
NOWHERE = Path("no such folder/.env")
BASE = {"MARIA_SECONDARY_HOSTS": "db2"}


def test_the_defaults_as_listed_are_the_defaults() -> None:
    listed = {v.name: v.default for v in VARIABLES if v.default}
    assert load_settings(None, {**listed, **BASE}, NOWHERE) == load_settings(None, BASE, NOWHERE)


def test_the_example_lists_every_variable_with_its_default_under_a_comment() -> None:
    lines = (ROOT / "example.env").read_text().splitlines()
    found = {}
    for above, line in pairwise(lines):
        match = re.fullmatch(r"#?([A-Z_]+)=(.*)", line)
        if match:
            assert above.startswith("# "), line
            found[match[1]] = match[2]
    assert found == {v.name: v.default for v in VARIABLES} | {
        "MARIA_SECONDARY_HOSTS": "mariadb-secondary1,mariadb-secondary2"
    }


def test_the_example_is_a_configuration() -> None:
    assert len(load_settings(None, {}, ROOT / "example.env").secondaries) == 2


def test_the_readme_holds_the_table() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README")
    assert variables_table() in readme.read_text()


def test_names_are_unique_and_meanings_fit_one_cell() -> None:
    assert len({v.name for v in VARIABLES}) == len(VARIABLES)
    for variable in VARIABLES:
        assert "\n" not in variable.meaning
        assert "|" not in variable.meaning
