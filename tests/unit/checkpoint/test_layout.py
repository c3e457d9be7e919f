"""Which tables and versions of a state schema this version works with, and what a heartbeat of another version is."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import pytest

from replica_cli.checkpoint import versions as module
from replica_cli.checkpoint.beats import Beat, BeatStore
from replica_cli.checkpoint.layout import TableLayout, check_layout, read_layouts, set_aside_hint
from replica_cli.checkpoint.versions import VERSION, migrate, read_version
from replica_cli.core.errors import StateBroken, StateTooNew
from replica_cli.core.settings import Secret, Server
from replica_cli.core.status import CopiedTable
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, Remedy, ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session

TABLES = {
    "things": """
    instance VARCHAR(191) NOT NULL PRIMARY KEY,
    pos BIGINT UNSIGNED NOT NULL,
    note TEXT NOT NULL
"""
}
DB2 = Server("db2", "127.0.0.1", 3306, "user", Secret("secret"))
INSTANCE = ("instance", "varchar", 191, "PRI", 1)
POS, NOTE = ("pos", "bigint", None, "", 1), ("note", "text", 65535, "", 1)


class Secondary:
    """A server whose state schema has the position rows of two instances."""

    server = DB2

    def rows(self, _sql: str, *_: object) -> list[Row]:
        return [("db2", "x"), ("db3", "y")]


def check(*columns: tuple[Any, ...], engine: str = "InnoDB") -> None:
    check_layout(cast("Session", Secondary()), "replica", {"things": TableLayout(engine, columns)}, TABLES)


def test_the_table_that_this_version_makes_is_well() -> None:
    check(INSTANCE, POS, NOTE)


@pytest.mark.parametrize(
    "columns",
    [
        (("instance", "varchar", 255, "PRI", 1), POS, NOTE),  # longer
        (NOTE, POS, INSTANCE),  # in another order
        (INSTANCE, POS, NOTE, ("more", "int", None, "", 0)),  # a column that gets its value by itself
    ],
)
def test_what_does_no_harm_is_accepted(columns: tuple[tuple[Any, ...], ...]) -> None:
    check(*columns)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ((INSTANCE, NOTE), "it has no column pos"),
        ((INSTANCE, POS, NOTE, ("more", "int", None, "", 1)), "its column more has no default"),
        ((("instance", "varchar", 191, "", 1), POS, NOTE), r"its primary key is \(\)"),
        ((INSTANCE, ("pos", "bigint", None, "PRI", 1), NOTE), r"its primary key is \(instance, pos\)"),
        ((INSTANCE, ("pos", "int", None, "", 1), NOTE), "column pos is int, not bigint"),
        ((("instance", "varchar", 64, "PRI", 1), POS, NOTE), "column instance holds 64 characters, not 191"),
    ],
)
def test_what_would_lose_something_is_refused(columns: tuple[tuple[Any, ...], ...], fault: str) -> None:
    with pytest.raises(StateBroken, match=fault):
        check(*columns)


@pytest.mark.parametrize("engine", ["MyISAM", ""])
def test_an_engine_that_does_not_commit_with_the_rows_is_refused(engine: str) -> None:
    with pytest.raises(StateBroken, match="its engine is"):
        check(INSTANCE, POS, NOTE, engine=engine)


def test_a_table_that_is_not_made_yet_or_that_is_not_of_the_state_is_not_looked_at() -> None:
    check_layout(cast("Session", Secondary()), "replica", {}, TABLES)
    check_layout(cast("Session", Secondary()), "replica", {"of_the_user": TableLayout("MyISAM", (NOTE,))}, TABLES)


def test_a_table_is_known_if_both_lists_of_the_server_have_it() -> None:
    class Listing(Secondary):
        def rows(self, _sql: str, *_: object) -> list[Row]:
            made_between, dropped_between = ("new", "", *INSTANCE), ("gone", "InnoDB", "", "", 0, "", 0)
            return [("things", None, "", "", 0, "", 0), dropped_between, ("things", "", *INSTANCE), made_between]

    assert read_layouts(cast("Session", Listing()), "replica") == {"things": TableLayout("", (INSTANCE,))}


def test_the_state_is_set_aside_as_a_whole_and_for_all_instances() -> None:
    hint = set_aside_hint("replica", ["b", "a"], ["db2", "db3"])
    assert hint.startswith("RENAME TABLE `replica`.a TO `replica`.a_old, `replica`.b TO `replica`.b_old;")
    assert "of all its instances (db2, db3)" in hint
    assert hint.endswith("copies every table again, for each of them")
    assert "instances" not in set_aside_hint("replica", ["a"], ["db2"])
    assert set_aside_hint("replica", []) == "`replica transfer --restart` copies every table again"


class Versioned:
    """A server with a state schema of a version; None if its table is missing, 0 if its row is."""

    server = DB2

    def __init__(self, version: int | None, *, gives_lock: bool = True) -> None:
        self.version = version
        self.gives_lock = gives_lock
        self.log: list[str] = []

    def row(self, sql: str, *_: object) -> Row | None:
        if "LOCK" in sql:
            self.log.append(sql.split("(", maxsplit=1)[0].rsplit(maxsplit=1)[-1])
            return (int(self.gives_lock),)
        if self.version is None:
            raise ServerError(ER_NO_SUCH_TABLE, "missing", "db2", remedy=Remedy.FATAL)
        return (self.version,) if self.version else None

    def execute(self, sql: str) -> int:
        self.log.append(sql)
        return 0


@pytest.mark.parametrize(("stored", "version"), [(None, 1), (0, 1), (1, 1), (VERSION, VERSION)])
def test_a_schema_without_a_version_is_of_the_first_one(stored: int | None, version: int) -> None:
    assert read_version(cast("Session", Versioned(stored)), "replica") == version


def test_a_schema_of_a_later_release_is_not_touched() -> None:
    server = Versioned(VERSION + 1)
    with pytest.raises(StateTooNew, match=f"version {VERSION + 1}, and this replica knows versions up to {VERSION}"):
        migrate(cast("Session", server), "replica")
    assert server.log == []


def test_migrations_run_in_order_under_the_lock_and_the_version_is_written_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "VERSION", 3)
    monkeypatch.setattr(module, "MIGRATIONS", {1: lambda _, s: [f"first {s}"], 2: lambda _, s: [f"second {s}"]})
    monkeypatch.setattr(module, "_no_writers", lambda *_: nullcontext())
    server = Versioned(1)
    migrate(cast("Session", server), "replica")
    steps = [text.split(" VALUES ")[0] for text in server.log]
    version = "REPLACE INTO `replica`.state_version"
    assert steps == ["GET_LOCK", "first replica", version, "second replica", version, "RELEASE_LOCK"]


def test_nothing_is_done_for_a_schema_of_this_version_nor_without_the_lock() -> None:
    server = Versioned(VERSION)
    migrate(cast("Session", server), "replica")
    assert server.log == []
    server = Versioned(1, gives_lock=False)
    with pytest.raises(StateBroken, match="another process is migrating"):
        migrate(cast("Session", server), "replica")
    assert server.log == ["GET_LOCK"]


def beat(**snapshot: Any) -> Beat:
    return Beat("host:7", 1, "", "", "streaming", False, snapshot, 1.0, 1.0)


@pytest.mark.parametrize("copied", [None, 7, [7], [{"table": "a"}], [{"table": "a", "rows": "x", "at": ""}], "x"])
def test_copies_that_another_version_reports_in_another_form_are_none(copied: object) -> None:
    assert beat(copied=copied).copied == ()


def test_copies_are_read_as_they_were_written() -> None:
    assert beat(copied=[{"table": "a", "rows": 7, "at": "now"}]).copied == (CopiedTable("a", 7, "now"),)


@pytest.mark.parametrize("message", [None, 7, ""])
def test_a_message_and_a_count_of_another_form_are_empty(message: object) -> None:
    assert beat(message=message).message in ("", "7")
    assert beat(rows_uncommitted="many").rows_uncommitted == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "7", None])
def test_a_heartbeat_that_cannot_be_read_still_has_its_age(text: str | None) -> None:
    class Session:
        def row(self, *_: object) -> Row:
            return ("host:7", 1, "t", None, "streaming", 0, text, 12_500_000, None)

    store = BeatStore(cast("Any", Session()), "replica", "db2")
    loaded = store.load()
    assert loaded is not None
    assert (loaded.age_seconds, loaded.snapshot, loaded.moved_age_seconds) == (12.5, {}, None)
