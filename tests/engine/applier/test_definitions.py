"""What somebody does to the secondary's tables behind replica's back, while it streams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.engines.definitions import Definitions
from replica_cli.core.errors import Drift
from replica_cli.core.settings import Apply, EngineChoice
from replica_cli.mysql.session import Session
from replica_cli.worker import streaming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.mysql.session import Row
    from tests.engine.applier.harness import Harness

pytestmark = pytest.mark.every_release

HARMFUL = {
    "renamed": ("CHANGE v w INT", "column v is gone"),
    "another type": ("MODIFY v BIGINT", "column v is bigint"),
    "moved": ("MODIFY v INT AFTER id", "columns have moved"),
    "gone": ("DROP COLUMN name", "column name is gone"),
}


@pytest.fixture(params=["auto", "sql"])
def live(harness: Harness, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Harness:
    harness.settings = replace(harness.settings, apply=Apply(engine=EngineChoice(request.param)))
    monkeypatch.setattr(streaming, "WATCH_SECONDS", 0.0)
    monkeypatch.setattr(streaming, "_REST_SECONDS", 0.0)
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(10), v INT)")
    harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1, 'a', 1)")
    return harness


@pytest.mark.parametrize("name", HARMFUL)
def test_a_column_that_is_in_use_changes(live: Harness, name: str) -> None:
    alter, said = HARMFUL[name]
    rounds = iter(range(1000))

    def work() -> bool:
        # Once a row has gone through, so that the table is in use.
        if live.rows("SELECT 1 FROM t") and next(rounds) == 0:
            live.on_secondary(f"ALTER TABLE t {alter}")
        return False

    with live.open() as sessions, pytest.raises(Drift, match=said) as drift:
        live.streaming(sessions).run(until_caught_up=False, is_interrupted=work)
    assert drift.value.table == live.name("t")
    assert "transfer --table" in (drift.value.hint or "")


def test_an_index_of_its_own_is_no_harm(live: Harness) -> None:
    ids = [1]

    def work() -> bool:
        # A batch in flight holds the table, and this thread would wait for it without end.
        if not live.rows(f"SELECT 1 FROM t WHERE id = {ids[-1]}"):
            return False
        number = len(ids) - 1
        ids.append(number + 10)
        if number == 1:
            live.on_secondary("ALTER TABLE t ADD INDEX (v)")
        live.on_primary(f"INSERT INTO t VALUES ({number + 10}, 'b', 2)")
        return number == 4

    with live.open() as sessions:
        assert not live.streaming(sessions).run(until_caught_up=False, is_interrupted=work)
    live.stream()
    assert live.rows("SELECT COUNT(*) FROM t") == [(6,)]


def test_columns_are_asked_for_only_of_tables_that_differ(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (
        "INT UNSIGNED, b DECIMAL(9,2), c DATETIME(3)",
        "ENUM('ä', 'it''s', 'x,y') COLLATE utf8mb4_bin, b TEXT CHARACTER SET latin1, c LONGBLOB, d JSON",
        "INT, `größe` INT AS (a + 1) STORED, c VARCHAR(9) CHARACTER SET utf8mb3",
    )
    names = [harness.name(f"t{number}") for number in range(len(kinds))]
    for name, kind in zip(names, kinds, strict=True):
        harness.other.execute(f"CREATE TABLE {name.table} (id INT PRIMARY KEY, a {kind})")
    definitions = Definitions(harness.other, harness.settings.selection, from_mariadb=harness.is_mariadb)
    for name in names:
        definitions.get(name)
    asked: list[int] = []
    real = Session.rows_of_each

    def counted(session: Session, queries: Sequence[str]) -> list[list[Row]]:
        asked.append(len(queries))
        return real(session, queries)

    monkeypatch.setattr(Session, "rows_of_each", counted)
    assert definitions.check() == []
    assert asked == [1]
    # A column that comes is no harm, but the table is not as it was.
    harness.other.execute(f"ALTER TABLE {names[1].table} ADD COLUMN e INT")
    assert definitions.check() == [names[1]]
    assert asked == [1, 1, 1]
    harness.other.execute(f"ALTER TABLE {names[2].table} MODIFY c VARCHAR(9) CHARACTER SET utf8mb4")
    with pytest.raises(Drift, match="column c is"):
        definitions.check()
