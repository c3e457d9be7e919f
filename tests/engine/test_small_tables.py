"""Small tables that are copied together: few queries, and an unusual table is copied like any other table."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from replica_cli.transfer.rows import small_tables
from replica_cli.transfer.rows.small_tables import SmallTables
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.sandbox.server import SandboxServer
    from replica_cli.transfer.table_copy import TableCopy
    from tests.support.packets import SentPackets

NAMES = [f"t{n}" for n in range(12)]


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Copier:
    return Copier(primary, secondary, schema, settings=TransferSettings(workers=1))


def fill(copier: Copier, names: Sequence[str] = NAMES) -> None:
    for name in names:
        rows = "(1, 1, 'x'), (2, NULL, ''), (3, 3, NULL)"
        copier.on_primary(f"CREATE TABLE {name} {SIMPLE}", f"INSERT INTO {name} VALUES {rows}")


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that the names of the tables come to whose rows were written together."""
    found: list[str] = []
    copy = SmallTables.copy

    def noted(self: SmallTables, runs: Sequence[TableCopy]) -> tuple[TableCopy, ...]:
        answer = copy(self, runs)
        found.extend(run.name.table for run in answer)
        return answer

    monkeypatch.setattr(SmallTables, "copy", noted)
    return found


def test_their_questions_do_not_grow_with_their_number(
    primary: SandboxServer, secondary: SandboxServer, schema: str, sent: SentPackets
) -> None:
    packets = []
    for count in (10, 20):
        copier = Copier(primary, secondary, f"{schema}_{count}", settings=TransferSettings(workers=1))
        fill(copier, [f"t{n}" for n in range(count)])
        plan = copier.plan()
        sent.forget()
        result = copier.run(plan)
        assert (result.is_complete, result.rows) == (True, 3 * count)
        packets.append((sent.of(primary), sent.of(secondary)))
        copier.compare()
    (primary_10, secondary_10), (primary_20, secondary_20) = packets
    assert primary_20 == primary_10
    # The text of each CREATE TABLE is a packet of its own, so that a second statement in it is a syntax error.
    assert secondary_20 - secondary_10 <= 10


def test_they_are_copied_whole(copier: Copier, filled: list[str]) -> None:
    fill(copier)
    copier.on_primary(
        "CREATE TABLE none_yet (id INT PRIMARY KEY)",
        "CREATE TABLE wide (id INT PRIMARY KEY, a LONGTEXT, b VARBINARY(20), c DOUBLE, d DATETIME(6), e ENUM('a','b'))",
        "INSERT INTO wide VALUES (1, REPEAT('''\\\\', 500), x'00FF27', 1.1, '2020-02-03 04:05:06.7', 'b'),"
        " (2, NULL, NULL, NULL, NULL, NULL)",
    )
    copier.copy()
    copier.compare()
    assert set(filled) == {*NAMES, "none_yet", "wide"}


@pytest.mark.parametrize("step", ["_make", "_read", "_write"])
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t3 ADD COLUMN c INT NOT NULL DEFAULT 4",
        "DROP TABLE t3",
        "RENAME TABLE t3 TO u",
        "DELETE FROM t3",
    ],
)
def test_a_table_that_changes_at_each_step(
    copier: Copier, monkeypatch: pytest.MonkeyPatch, step: str, statement: str
) -> None:
    fill(copier)
    done: Callable[..., object] = getattr(SmallTables, step)
    changed = threading.Event()

    def late(self: SmallTables, *args: object) -> object:
        answer = done(self, *args)
        if not changed.is_set():
            changed.set()
            copier.on_primary(statement)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(SmallTables, step, late)
        result = copier.run(copier.plan())
    assert changed.is_set()
    assert result.errors == ()
    assert result.is_complete or result.must_repeat
    if result.must_repeat:
        copier.copy(TransferMode.RESUME)
    if statement.startswith("ALTER"):
        copier.compare()
    for name in set(NAMES) - {"t3"}:
        assert copier.count(copier.secondary, name) == 3


def test_what_is_unusual_is_copied_all_the_same(copier: Copier, filled: list[str]) -> None:
    fill(copier)
    # The first is larger than it seemed; the second the secondary has, and the plan did not see it; a strict session
    # refuses the row of the third.
    copier.on_primary(
        f"CREATE TABLE grown {SIMPLE}", f"CREATE TABLE met {SIMPLE}", "INSERT INTO met VALUES (1, 2, 'mine')"
    )
    with copier.primary.session() as session:
        session.execute("SET SESSION sql_mode = ''")
        session.execute(f"CREATE TABLE {copier.schema}.lenient (id INT PRIMARY KEY, e ENUM('a', 'b'))")
        session.execute(f"INSERT INTO {copier.schema}.lenient VALUES (1, 'c')")
    plan = copier.plan()
    copier.on_primary(numbers("grown", 3000))
    with copier.secondary.session() as session:
        session.execute(f"CREATE DATABASE IF NOT EXISTS {copier.schema}")
        session.execute(f"CREATE TABLE {copier.schema}.met {SIMPLE}")
    result = copier.run(plan)
    assert (result.errors, result.is_complete) == ((), True)
    copier.compare()
    assert set(filled) == set(NAMES)


def test_a_write_that_fails_keeps_nothing_of_the_group(
    copier: Copier, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(copier)
    compare = small_tables._compare

    def short(expected: Sequence[tuple[TableCopy, int]], found: Sequence[int]) -> None:
        compare(expected, [*found[:-1], found[-1] - 1])

    monkeypatch.setattr(small_tables, "_compare", short)
    result = copier.run(copier.plan())
    assert (result.errors, result.is_complete, result.rows) == ((), True, 3 * len(NAMES))
    assert filled == []
    copier.compare()


def test_a_definition_that_the_secondary_makes_differently_is_not_copied_in_a_group(
    copier: Copier, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(copier)
    monkeypatch.setattr("replica_cli.transfer.make_tables._is_as_said", lambda *_: False)
    copier.copy()
    copier.compare()
    assert filled == []
