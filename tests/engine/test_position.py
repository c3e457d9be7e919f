"""`position show` and `position reset` against real servers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import WriterLock, work_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import (
    ExitCode,
    FiltersChanged,
    LockHeld,
    NamedTwice,
    PositionLost,
    PositionMissing,
    PrimaryError,
    SecondaryError,
    UsageError,
)
from replica_cli.core.gtid import covers
from replica_cli.core.position import Position
from replica_cli.core.reports.failure import Unknown
from replica_cli.core.requests.reset import ResetKind, ResetRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Settings
from replica_cli.core.status import Phase, TableState, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.boundary import locate
from replica_cli.sandbox.process import free_port
from replica_cli.service.position import show_positions
from replica_cli.service.reset import plan_reset, run_reset
from tests.support.table_records import put

if TYPE_CHECKING:
    from replica_cli.core.settings import Server
    from replica_cli.sandbox.server import SandboxServer

NAME = TableName("shop", "orders")
NETWORK = Network()


@dataclass
class Pair:
    """A primary with some transactions, and a secondary with a saved position at their start."""

    primary: SandboxServer
    secondary: SandboxServer
    settings: Settings
    db1: Server
    start: Position
    schema: str

    def end(self) -> Position:
        with self.primary.session() as session:
            return current_position(session, read_facts(session))

    def save(self, position: Position, *, identity: str | None = None) -> None:
        with self.primary.session() as session:
            found = read_facts(session).identity
        with self.secondary.session() as session:
            store = PositionStore(session, self.settings.state_schema, "db1")
            store.start(position, source_identity=identity or found, selection=self.settings.selection)

    def request(
        self, kind: ResetKind, position: Position | None = None, *, accepts_filters: bool = False
    ) -> ResetRequest:
        return ResetRequest((self.db1,), kind, position, accepts_filters)

    def is_at_end(self) -> bool:
        """MariaDB writes a checkpoint event of its own some time after a rotation: places differ, GTID sets do not."""
        saved, end = self.saved(), self.end()
        return saved is not None and (saved.file, saved.gtid) == (end.file, end.gtid)

    def saved(self) -> Position | None:
        with self.secondary.session() as session:
            row = PositionStore(session, self.settings.state_schema, "db1").load()
        return row.position if row else None


@pytest.fixture
def pair(primary: SandboxServer, secondary: SandboxServer, schema: str, state_schema: str) -> Pair:
    selection = Selection(((schema, schema),), state_schema=state_schema)
    db1 = secondary.address(name="db1")
    settings = Settings(
        primary.address(), (db1,), selection, state_schema=state_schema, network=Network(connect_timeout=2.0)
    )
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.orders (id INT PRIMARY KEY)")
        session.execute("FLUSH BINARY LOGS")  # the server is shared: what others wrote need not be read again and again
        start = current_position(session, read_facts(session))
        for key in range(3):
            session.execute(f"INSERT INTO {schema}.orders VALUES ({key})")
        session.execute("FLUSH BINARY LOGS")
        session.execute(f"INSERT INTO {schema}.orders VALUES (10)")
    with secondary.session() as session:
        create_state_schema(session, state_schema)
    made = Pair(primary, secondary, settings, db1, start, schema)
    made.save(start)
    return made


def test_show_measures_the_distance_over_a_rotation(pair: Pair) -> None:
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert report.saved == pair.start
    assert isinstance(report.primary, Position)
    with pair.primary.session() as session:
        sizes = {str(r[0]): int(r[1]) for r in session.rows("SHOW BINARY LOGS")}
    assert report.distance_bytes == sizes[pair.start.file] - pair.start.pos + report.primary.pos
    assert report.distance_seconds is not None
    assert 0 <= report.distance_seconds < 60
    assert report.saved_at is not None
    assert report.saved_at.tzinfo is not None


def test_show_has_the_age_of_the_first_change_that_is_not_applied(pair: Pair) -> None:
    # The last one that was applied is an hour old: that alone is no lag.
    with pair.secondary.session() as session:
        session.execute(
            f"UPDATE {pair.settings.state_schema}.binlog_position SET source_time = UNIX_TIMESTAMP() - 3600"
        )
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert report.distance_seconds is not None
    assert 0 <= report.distance_seconds < 600


def test_a_log_without_a_transaction_after_the_position_is_no_lag(pair: Pair) -> None:
    pair.save(pair.end())
    with pair.secondary.session() as session:
        position = f"{pair.settings.state_schema}.binlog_position"
        session.execute(f"UPDATE {position} SET source_time = UNIX_TIMESTAMP() - 3600, gtid = '', pos = pos")
    with pair.primary.session() as session:
        session.execute("FLUSH BINARY LOGS")
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert report.distance_seconds is not None
    assert report.distance_seconds < 60


def test_show_when_caught_up(pair: Pair) -> None:
    pair.save(pair.end())
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert (report.distance_bytes, report.distance_seconds) == (0, 0.0)


def test_show_has_phase_pause_and_tables(pair: Pair) -> None:
    with pair.secondary.session() as session:
        beats = BeatStore(session, pair.settings.state_schema, "db1")
        beats.beat(WorkerStatus("db1", Phase.STREAMING))
        beats.set_pause(True)
        record = TableRecord(NAME, TableState.QUARANTINED, stopped_at=pair.start, reason="row missing")
        put(TableLifecycle(session, pair.settings.state_schema, "db1"), record)
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert report.phase is Phase.STREAMING
    assert report.is_paused
    (note,) = report.tables
    assert (note.table, note.state, note.reason, note.position) == (
        NAME, TableState.QUARANTINED, "row missing", pair.start,
    )  # fmt: skip


def test_show_works_while_the_primary_is_down(pair: Pair) -> None:
    pair.settings = Settings(
        _elsewhere(pair.settings.primary), pair.settings.secondaries, pair.settings.selection,
        state_schema=pair.settings.state_schema, network=pair.settings.network,
    )  # fmt: skip
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert report.saved == pair.start
    assert isinstance(report.primary, Unknown)
    assert report.primary_failure is not None
    assert report.primary_failure.exit_code is ExitCode.PRIMARY
    assert (report.distance_bytes, report.distance_seconds) == (None, None)


def test_reset_blames_the_side_that_is_down(pair: Pair) -> None:
    no_primary = replace(pair.settings, primary=_elsewhere(pair.settings.primary))
    with pytest.raises(PrimaryError):
        plan_reset(no_primary, pair.request(ResetKind.CURRENT))
    assert plan_reset(no_primary, pair.request(ResetKind.FORGET))  # asks the secondary only
    with pytest.raises(SecondaryError):
        plan_reset(pair.settings, ResetRequest((_elsewhere(pair.db1),), ResetKind.FORGET))


def test_show_with_one_secondary_down_has_the_other_and_the_primary(pair: Pair) -> None:
    down = _elsewhere(pair.db1, name="db2")
    one, two = show_positions(pair.settings, (pair.db1, down))
    assert one.saved == pair.start
    assert isinstance(two.saved, Unknown)
    assert (two.instance, two.saved.is_reachable) == ("db2", False)
    assert isinstance(one.primary, Position)
    assert isinstance(two.primary, Position)
    # MariaDB writes a checkpoint of its own some time after a rotation.
    assert (two.primary.file, two.primary.gtid) == (one.primary.file, one.primary.gtid)
    assert two.failure is not None
    assert two.failure.exit_code is ExitCode.SECONDARY


def test_a_state_that_may_not_be_read_is_unknown_on_a_server_that_answers(pair: Pair) -> None:
    with pair.secondary.session(pair.settings.state_schema) as session:
        session.execute("ALTER TABLE binlog_position DROP COLUMN gtid")
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert isinstance(report.saved, Unknown)
    assert report.saved.is_reachable


def test_an_unfinished_first_copy_is_behind_by_an_unknown_distance(pair: Pair) -> None:
    pair.save(pair.end())
    with pair.secondary.session() as session:
        tables = TableLifecycle(session, pair.settings.state_schema, "db1")
        put(tables, TableRecord(NAME, TableState.COPYING, copy_start=pair.start))
        (report,) = show_positions(pair.settings, (pair.db1,))
        assert (report.is_copied, report.distance_bytes, report.distance_seconds) == (False, None, None)
        # A table that is re-synced does not change the position.
        session.execute(f"UPDATE `{pair.settings.state_schema}`.binlog_position SET transaction_count = 1")
    (report,) = show_positions(pair.settings, (pair.db1,))
    assert (report.is_copied, report.distance_bytes, report.distance_seconds) == (True, 0, 0.0)


def test_reset_to_a_boundary(pair: Pair) -> None:
    pair.save(pair.end())
    plans = plan_reset(pair.settings, pair.request(ResetKind.POSITION, Position(pair.start.file, pair.start.pos)))
    assert plans[0].after == pair.start  # its GTID set was found, too
    assert "applied a second time" in " ".join(plans[0].warnings)
    assert pair.is_at_end()  # a plan writes nothing
    run_reset(pair.settings, plans)
    assert pair.saved() == pair.start


def test_every_position_inside_a_transaction_is_refused(pair: Pair) -> None:
    with pair.primary.session() as session:
        facts = read_facts(session)
        events = session.rows(f"SHOW BINLOG EVENTS IN '{pair.start.file}' FROM {pair.start.pos}")
        # After a rotation MariaDB logs a checkpoint when its engines have caught up: between any two transactions.
        kinds = ("Gtid", "Anonymous_Gtid", "Binlog_checkpoint")
        second = [int(e[1]) for e in events if str(e[2]) in kinds[:2]][1]
        between = [int(e[1]) for e in events if str(e[2]) in kinds and int(e[1]) <= second]
        accepted = []
        for pos in range(pair.start.pos, second + 1):
            try:
                accepted.append(locate(session, facts, NETWORK, Position(pair.start.file, pos)))
            except UsageError:
                continue
        # The GTID set grows with each transaction, and the server serves from there.
        assert [p.pos for p in accepted] == between
        assert accepted[0].gtid == pair.start.gtid
        assert covers(accepted[-1].gtid, accepted[0].gtid)
        assert accepted[-1].gtid != accepted[0].gtid


def test_a_statement_in_another_charset_does_not_prevent_the_check(pair: Pair) -> None:
    with pair.primary.session() as session:
        facts = read_facts(session)
        session.execute("SET NAMES latin1")
        session.execute(f"CREATE TABLE {pair.schema}.`caf".encode() + b"\xe9` (id INT PRIMARY KEY)")
    end = pair.end()
    with pair.primary.session() as session:
        assert locate(session, facts, NETWORK, Position(end.file, end.pos)) == end
        with pytest.raises(UsageError):
            locate(session, facts, NETWORK, Position(end.file, end.pos - 1))


@pytest.mark.parametrize("place", [("binlog.999999", 4), (None, 10**12)], ids=["no such file", "past its end"])
def test_a_position_that_the_primary_does_not_have(pair: Pair, place: tuple[str | None, int]) -> None:
    wanted = Position(place[0] or pair.start.file, place[1])
    with pytest.raises(PositionLost):
        plan_reset(pair.settings, pair.request(ResetKind.POSITION, wanted))


def test_reset_to_current_and_to_a_gtid_set(pair: Pair) -> None:
    run_reset(pair.settings, plan_reset(pair.settings, pair.request(ResetKind.CURRENT)))
    assert pair.is_at_end()
    gtid = pair.start.gtid
    run_reset(pair.settings, plan_reset(pair.settings, pair.request(ResetKind.GTID, Position("", 0, gtid))))
    assert pair.saved() == Position("", 0, gtid)


@pytest.mark.parametrize("kind", ["malformed", "not executed"])
def test_a_gtid_set_that_cannot_serve(pair: Pair, kind: str) -> None:
    with pair.primary.session() as session:
        is_mariadb = session.is_mariadb
    future = "0-1-99999999" if is_mariadb else "00000000-0000-0000-0000-000000000001:1-5"
    wanted = "0:1-x" if kind == "malformed" else future
    with pytest.raises(UsageError if kind == "malformed" else PositionLost):
        plan_reset(pair.settings, pair.request(ResetKind.GTID, Position("", 0, wanted)))


def test_forget_clears_tables_and_progress(pair: Pair) -> None:
    schema = pair.settings.state_schema
    with pair.secondary.session() as session:
        put(TableLifecycle(session, schema, "db1"), TableRecord(NAME, TableState.QUARANTINED, reason="row missing"))
        put(TableLifecycle(session, schema, "db2"), TableRecord(NAME, TableState.QUARANTINED, reason="another's"))
        ProgressStore(session, schema, "db1").begin(NAME, "f", [RangeProgress(1)])
    plans = plan_reset(pair.settings, pair.request(ResetKind.FORGET))
    assert plans[0].after is None
    assert "no longer quarantined" in " ".join(plans[0].warnings)
    run_reset(pair.settings, plans)
    assert pair.saved() is None
    with pair.secondary.session() as session:
        assert not TableLifecycle(session, schema, "db1").load()
        assert TableLifecycle(session, schema, "db2").load()
        assert not ProgressStore(session, schema, "db1").load()


def test_changed_filters_are_refused_until_accepted(pair: Pair) -> None:
    pair.settings = Settings(
        pair.settings.primary, pair.settings.secondaries, Selection((("other", "other"),)),
        state_schema=pair.settings.state_schema,
    )  # fmt: skip
    with pytest.raises(FiltersChanged) as raised:
        plan_reset(pair.settings, pair.request(ResetKind.CURRENT))
    assert "--accept-filters" in str(raised.value.hint)
    plans = plan_reset(pair.settings, pair.request(ResetKind.KEEP, accepts_filters=True))
    assert plans[0].filters_before != plans[0].filters_after
    run_reset(pair.settings, plans)
    assert pair.saved() == pair.start
    plan_reset(pair.settings, pair.request(ResetKind.CURRENT))


def test_filters_without_a_position(pair: Pair) -> None:
    run_reset(pair.settings, plan_reset(pair.settings, pair.request(ResetKind.FORGET)))
    with pytest.raises(PositionMissing):
        plan_reset(pair.settings, pair.request(ResetKind.KEEP, accepts_filters=True))


def test_a_live_writer_is_not_reset_under_its_feet(pair: Pair) -> None:
    with pair.secondary.session() as session:
        lock = WriterLock(session, pair.settings.state_schema, "db1")
        assert lock.try_acquire()
        plans = plan_reset(pair.settings, pair.request(ResetKind.FORGET))
        assert "stop it first" in plans[0].warnings[0]
        with pytest.raises(LockHeld):
            run_reset(pair.settings, plans)
        assert pair.saved() == pair.start
        lock.release()
    run_reset(pair.settings, plans)
    assert pair.saved() is None


def test_a_running_stream_keeps_its_position_if_the_server_is_reset_under_a_second_name(pair: Pair) -> None:
    pair.save(pair.start)
    second = replace(pair.db1, name="db1b")
    settings = replace(pair.settings, secondaries=(pair.db1, second))
    forget = plan_reset(settings, ResetRequest((second,), ResetKind.FORGET))
    plans = plan_reset(settings, ResetRequest((second,), ResetKind.CURRENT))
    with pair.secondary.session() as session:
        work = work_of(settings.primary, settings.selection)
        assert WriterLock(session, settings.state_schema, "db1", work=work).try_acquire()
        with pytest.raises(NamedTwice, match="as another instance"):
            run_reset(settings, plans)
        assert PositionStore(session, settings.state_schema, "db1").load() is not None
        run_reset(settings, forget)  # concerns the second name alone
    run_reset(settings, plans)
    with pair.secondary.session() as session:
        assert PositionStore(session, settings.state_schema, "db1").load() is None
        assert PositionStore(session, settings.state_schema, "db1b").load() is not None


def test_reset_on_a_secondary_that_never_had_a_state(pair: Pair, schema: str) -> None:
    pair.settings = Settings(
        pair.settings.primary, pair.settings.secondaries, pair.settings.selection, state_schema=f"{schema}_new"
    )
    plans = plan_reset(pair.settings, pair.request(ResetKind.CURRENT))
    assert plans[0].before is None
    run_reset(pair.settings, plans)
    assert pair.is_at_end()


def _elsewhere(server: Server, name: str | None = None) -> Server:
    return type(server)(name or server.name, server.host, free_port(), server.user, server.password)
