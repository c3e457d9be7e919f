"""This release takes over what an older one left: every record is kept, and the work goes on where it was."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.checkpoint.migration_3 import MARK, load_records, statements
from replica_cli.checkpoint.schema import create_state_schema, existing_state_tables, state_tables
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.checkpoint.versions import VERSION, read_version
from replica_cli.core.settings import Network
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.session import connect
from tests.engine.state_dumps.dumps import INSTANCE, SCHEMA, STATE_SCHEMA, Dump
from tests.support.command import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

# The fingerprints of definitions in the dumps are those of this server.
pytestmark = pytest.mark.servers("mariadb", "10.11")

COPIED, COPYING, QUARANTINED = TableState.COPIED, TableState.COPYING, TableState.QUARANTINED
_REASON = "upgraded.u: UPDATE: 1 row not found (compared by its key, id), in the transaction at binlog.000001:1928"
# Of each record: state, reason, rows, and the positions by the number of their statement.
RECORDS: dict[str, dict[str, tuple[TableState, str, int, dict[str, int]]]] = {
    "copied": {
        table: (COPIED, "", rows, {"copy_start": 6, "window_end": 9})
        for table, rows in (("big", 4999), ("t", 3), ("u", 2))
    },
    "streaming": {},
    "mid_transfer": {table: (COPYING, "", 0, {"copy_start": 6}) for table in ("big", "t", "u")},
    "catching_up": {"t": (TableState.CATCHING_UP, "", 4, {"applied_to": 6, "window_end": 6})},
    "quarantined": {"u": (QUARANTINED, _REASON, 0, {"stopped_at": 7, "failed_transaction": 7})},
    "xa_prepared": {},
    "statement_begun": {},
    "statement_run": {},
}


class Upgrade:
    """A dump on two servers, and the command of this release for them."""

    def __init__(self, name: str, replica: Replica) -> None:
        self.replica = replica
        self.dump = Dump.read(name)
        self.name = name
        self.application = self.dump.run_on_primary(replica.primary)
        self.load()

    @property
    def secondary(self) -> SandboxServer:
        return self.replica.secondaries[INSTANCE]

    def load(self) -> None:
        self.dump.run_on_secondary(self.replica.primary, self.secondary)

    def later(self) -> None:
        for statement in self.dump.parts["later"]:
            self.application.execute(statement)

    def expected(self) -> dict[TableName, TableRecord]:
        points = self.dump.points
        records = {}
        for table, (state, reason, rows, positions) in RECORDS[self.name].items():
            named = {name: points[number] for name, number in positions.items()}
            if "failed_transaction" in positions:
                # It begins at a position, and has a GTID of its own, with which the next position ends.
                gtid = self.dump.transaction_gtid(positions["failed_transaction"] + 1)
                named["failed_transaction"] = replace(named["failed_transaction"], gtid=gtid)
            record = TableRecord(TableName(SCHEMA, table), state, reason, rows, **named)
            records[record.name] = record
        return records

    def records(self, session: Session) -> dict[TableName, TableRecord]:
        return TableLifecycle(session, STATE_SCHEMA, INSTANCE).load()

    def follow(self, code: int = 0) -> str:
        return self.replica.catch_up(code).stderr

    def check_all_applied(self) -> None:
        self.replica.assert_equal()
        self.replica.assert_nothing_is_noted()
        for table in ("xa_prepared", "uncompared_table"):
            assert self.replica.state(f"SELECT * FROM {table}") == []


@pytest.fixture
def upgrade(
    request: pytest.FixtureRequest, primary: SandboxServer, secondary: SandboxServer, tmp_path: Path
) -> Iterator[Upgrade]:
    replica = Replica(primary, {INSTANCE: secondary}, SCHEMA, STATE_SCHEMA, tmp_path)
    made = Upgrade(request.param, replica)
    yield made
    replica.close()
    with suppress(ServerError):
        made.application.execute("XA ROLLBACK 'x1'")
    made.application.close()
    for server in (primary, secondary):
        with server.session() as session:
            session.execute(f"DROP DATABASE {SCHEMA}")
            session.execute(f"DROP DATABASE IF EXISTS {STATE_SCHEMA}")


def dump(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("upgrade", names or tuple(RECORDS), indirect=True)


class KilledError(Exception):
    """Ends the migration between two statements, as the end of the process would."""


@dump()
def test_every_record_is_kept_wherever_the_migration_is_killed(
    upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    with upgrade.secondary.session() as session:
        existing = existing_state_tables(session, STATE_SCHEMA)
        assert load_records(session, STATE_SCHEMA, INSTANCE, existing) == upgrade.expected()
        execute = session.execute
        # Two statements write the versions.
        for limit in range(len(statements(STATE_SCHEMA)) + 2):
            upgrade.load()
            count = 0

            def dying(sql: str | bytes, *args: Any, limit: int = limit) -> int:
                nonlocal count
                if count == limit:
                    raise KilledError
                count += 1
                return execute(sql, *args)

            with monkeypatch.context() as patched:
                patched.setattr(session, "execute", dying)
                with pytest.raises(KilledError):
                    create_state_schema(session, STATE_SCHEMA)
            # The lock of the migration ends with the process.
            session.row("SELECT RELEASE_ALL_LOCKS()")
            existing = existing_state_tables(session, STATE_SCHEMA)
            assert load_records(session, STATE_SCHEMA, INSTANCE, existing) == upgrade.expected()
            assert read_version(session, STATE_SCHEMA) < VERSION
            create_state_schema(session, STATE_SCHEMA)
            assert read_version(session, STATE_SCHEMA) == VERSION
            assert upgrade.records(session) == upgrade.expected()
            states = session.rows(f"SELECT DISTINCT state FROM {STATE_SCHEMA}.table_status")
            assert states == [(MARK,)]
            assert existing_state_tables(session, STATE_SCHEMA) == state_tables()


@dump("mid_transfer")
def test_it_needs_no_other_rights_than_those_of_every_day(upgrade: Upgrade) -> None:
    with upgrade.secondary.session() as session:
        session.execute("CREATE OR REPLACE USER 'limited'@'%' IDENTIFIED BY 'word'")
        session.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `{STATE_SCHEMA}`.* TO 'limited'@'%'")
        limited = upgrade.secondary.address("limited", INSTANCE, password="word")
        with connect(limited, Network()) as own:
            create_state_schema(own, STATE_SCHEMA)
        assert upgrade.records(session) == upgrade.expected()
        session.execute("DROP USER 'limited'@'%'")


@dump("copied", "streaming", "catching_up", "xa_prepared", "statement_begun", "statement_run")
def test_the_stream_goes_on_exactly(upgrade: Upgrade) -> None:
    upgrade.later()
    said = upgrade.follow()
    upgrade.check_all_applied()
    assert "state schema `upgraded_state` is upgraded to version 3" in said
    assert ("finished before the restart: ALTER TABLE t" in said) == (upgrade.name == "statement_run")
    upgrade.follow()


@dump("mid_transfer")
def test_a_copy_goes_on_after_the_rows_that_it_has(upgrade: Upgrade) -> None:
    upgrade.later()
    already = sum(int(row[0]) for row in upgrade.replica.state("SELECT row_count FROM transfer_progress"))
    ended = upgrade.replica.run("transfer", "--resume", "--json")
    (copy,) = json.loads(ended.stdout.splitlines()[-1])["secondaries"]
    assert already > 0
    assert copy["rows"] == 5005 - already
    upgrade.follow()
    upgrade.check_all_applied()


def shown(upgrade: Upgrade) -> list[dict[str, Any]]:
    (secondary,) = upgrade.replica.run("position", "show", "--json").document["secondaries"]
    tables: list[dict[str, Any]] = secondary["tables"]
    return tables


@dump("quarantined")
def test_a_quarantined_table_stays_so_until_it_is_copied(upgrade: Upgrade) -> None:
    upgrade.later()
    before = shown(upgrade)
    assert [(t["table"], t["state"], t["reason"]) for t in before] == [("upgraded.u", "quarantined", _REASON)]
    said = upgrade.follow(code=3)
    assert "`replica transfer --table upgraded.u --secondary db1` copies it again" in said
    with upgrade.secondary.session() as session:
        assert upgrade.records(session) == upgrade.expected()
    assert shown(upgrade) == before
    assert upgrade.replica.on_secondary("SELECT * FROM u") == [] != upgrade.replica.on_secondary("SELECT * FROM t")
    upgrade.replica.run("transfer", "--yes", "--secondary", INSTANCE, "--table", f"{SCHEMA}.u")
    upgrade.follow()
    upgrade.check_all_applied()
