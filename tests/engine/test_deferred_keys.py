"""Indexes that are made when a table's rows are there: the same in the end, whatever came in between."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import Interrupted
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.stop import StopToken
from replica_cli.transfer import copy_worker, make_tables
from tests.engine.applier.harness import wait_until
from tests.engine.copier import Copier, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from replica_cli.transfer.table_copy import TableCopy

KEYS = "KEY z (b), UNIQUE KEY u (id, a), KEY a (a, b(10)), FULLTEXT KEY f (b), KEY c (c DESC)"
SHAPES = {
    "several": f"(id INT PRIMARY KEY, a INT, b VARCHAR(50), c INT, {KEYS})",
    "counter": "(k INT, id INT NOT NULL AUTO_INCREMENT, a INT, b VARCHAR(50), PRIMARY KEY (k), KEY id (id), KEY a (a))",
    "no key": "(id INT, a INT, b VARCHAR(50), c INT, KEY a (a), KEY b (b))",
    "partitions": "(id INT PRIMARY KEY, a INT, b VARCHAR(50), c INT, KEY a (a)) PARTITION BY HASH (id) PARTITIONS 3",
    "generated": "(id INT PRIMARY KEY, a INT, b VARCHAR(50), c INT AS (a * 2) VIRTUAL, KEY c (c), KEY b (b(3)))",
    "other engine": "(id INT PRIMARY KEY, a INT, b VARCHAR(50), c INT, KEY a (a)) ENGINE=MyISAM",
}
ROWS = "n, n * 7 % 13, CONCAT('row ', n), n"
FILLED = {"counter": ("t", "n, n + 1, n * 7 % 13, CONCAT('row ', n)"), "generated": ("t (id, a, b)", ROWS[:-3])}


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str, monkeypatch: pytest.MonkeyPatch) -> Copier:
    monkeypatch.setattr(make_tables, "DEFERRED_KEYS_ROWS", 0)
    return Copier(primary, secondary, schema)


def _shown(server: SandboxServer, schema: str, name: str) -> str:
    with server.session() as session:
        return str((session.row(f"SHOW CREATE TABLE {schema}.{name}") or ("", ""))[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_table_is_the_same(copier: Copier, shape: str) -> None:
    table, rows = FILLED.get(shape, ("t", ROWS))
    copier.on_primary(f"CREATE TABLE t {SHAPES[shape]}", numbers(table, 500, rows))
    copier.copy()
    copier.compare()
    on_primary, on_secondary = (_shown(s, copier.schema, "t") for s in (copier.primary, copier.secondary))
    assert on_secondary == on_primary.replace("ENGINE=MyISAM", "ENGINE=InnoDB")


@pytest.fixture
def takes_any_parent(secondary: SandboxServer) -> Iterator[str]:
    """Let foreign keys point at indexes that are not unique, on the secondary; give the statement for a session."""
    if "mariadb" in str(secondary.binary):
        yield "DO 0"
        return
    with secondary.session() as session:
        session.execute("SET GLOBAL restrict_fk_on_non_standard_key = 0")
        yield "SET SESSION restrict_fk_on_non_standard_key = 0"
        session.execute("SET GLOBAL restrict_fk_on_non_standard_key = 1")


def test_children_and_parents_find_their_indexes(copier: Copier, takes_any_parent: str) -> None:
    copier.on_primary(
        takes_any_parent,
        "CREATE TABLE parent (id INT PRIMARY KEY, k INT, KEY k (k))",
        "CREATE TABLE child (id INT PRIMARY KEY, up INT, KEY up (up), FOREIGN KEY c (up) REFERENCES parent (k))",
        numbers("parent", 300, "n, n"),
        numbers("child", 300, "n, n"),
    )
    copier.copy()
    copier.compare()
    # The parent alone, while the child's foreign key looks for its index.
    copier.copy(TransferMode.NEW, "parent")
    copier.compare()
    for name in ("parent", "child"):
        assert _shown(copier.secondary, copier.schema, name) == _shown(copier.primary, copier.schema, name)


class Held:
    """Uses the copied table from the moment that rows are in it: ALTER has to wait for that to end."""

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self._begun = threading.Event()
        self.session = copier.secondary.session()

    def __call__(self, _: object) -> None:
        if not self._begun.is_set() and self._copier.count(self._copier.secondary, "t"):
            self._begun.set()
            self.session.begin()
            self.session.row(f"SELECT COUNT(*) FROM {self._copier.schema}.t")


def _wait_for_alters(session: Session, count: int) -> None:
    waiting = (
        "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'ALTER%ADD%' AND state LIKE '%metadata lock%'"
    )
    wait_until(lambda: len(session.rows(waiting)) == count)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("shape", ["several", "no key"])
def test_a_stop_ends_the_making_and_a_resume_makes_them(copier: Copier, shape: str) -> None:
    copier.on_primary(f"CREATE TABLE t {SHAPES[shape]}", numbers("t", 3000, ROWS))
    stop, held = StopToken(), Held(copier)
    stopped_at: list[float] = []
    with held.session, copier.secondary.session() as looking:

        def stop_when_it_waits() -> None:
            _wait_for_alters(looking, 1)
            stopped_at.append(time.monotonic())
            stop.request()

        watcher = threading.Thread(target=stop_when_it_waits, daemon=True)
        watcher.start()
        result = copier.run(copier.plan(), stop=stop, report=held)
        assert time.monotonic() - stopped_at[0] < 5
        assert (result.is_complete, result.errors) == (False, ())
        watcher.join()
        held.session.rollback()
    assert "KEY `b`" not in (shown := _shown(copier.secondary, copier.schema, "t"))
    assert "KEY `z`" not in shown
    plan = copier.plan(TransferMode.RESUME)
    # The rows are not copied again.
    assert [t.planned.action for t in plan.tables] == [TableAction.DONE]
    assert copier.run(plan).is_complete
    copier.compare()
    assert _shown(copier.secondary, copier.schema, "t") == _shown(copier.primary, copier.schema, "t")


def test_one_that_a_statement_from_before_has_made_meanwhile(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copier.on_primary(f"CREATE TABLE t {SHAPES['several']}", numbers("t", 300, ROWS))
    all_of, look, looks = make_tables._deferred_keys, make_tables._missing_keys, []

    def late(run: TableCopy) -> list[str]:
        # A statement that a cut connection left on the server ends before the next one.
        with copier.secondary.session() as session:
            session.execute(f"ALTER TABLE {copier.schema}.t ADD KEY z (b)")
        looks.append(all_of(run))
        return looks[-1]

    def look_again(session: Session, run: TableCopy) -> list[str]:
        looks.append(look(session, run))
        return looks[-1]

    monkeypatch.setattr(make_tables, "_deferred_keys", late)
    monkeypatch.setattr(make_tables, "_missing_keys", look_again)
    copier.copy()
    assert list(map(len, looks)) == [3, 2]
    copier.compare()
    assert _shown(copier.secondary, copier.schema, "t") == _shown(copier.primary, copier.schema, "t")


def test_a_table_altered_before_its_keys_were_made_is_copied_again(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SHAPES['no key']}", numbers("t", 300, ROWS))
    stop = StopToken()

    def cut(*_: object, **__: object) -> None:
        stop.request()
        raise Interrupted("cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copy_worker, "add_deferred_keys", cut)
        assert not copier.run(copier.plan(), stop=stop).is_complete
    copier.on_primary("DROP INDEX a ON t")
    plan = copier.plan(TransferMode.RESUME)
    assert [t.planned.action for t in plan.tables] == [TableAction.REPLACE]
    assert copier.run(plan).is_complete
    copier.compare()
    assert _shown(copier.secondary, copier.schema, "t") == _shown(copier.primary, copier.schema, "t")
