"""A saved position is valid on a primary if the log before it holds the same transactions."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.positions import SavedPosition
from replica_cli.core.errors import PositionLost, PrimaryReplaced
from replica_cli.core.position import Position
from replica_cli.core.settings import Network
from replica_cli.mysql.binlog.log_state import binlog_files, current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.boundary import locate
from replica_cli.reader.position_check import PositionCheck
from tests.engine.applier.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

NETWORK = Network(connect_timeout=5.0, heartbeat=0.3, read_timeout=5.0, query_timeout=30.0)


@dataclass
class Primary:
    """A server whose log may be reset, and a session on it."""

    server: SandboxServer
    session: Session

    @property
    def is_mariadb(self) -> bool:
        return self.session.is_mariadb

    def write(self, *, size: int = 1, times: int = 1) -> None:
        self.session.execute("SET @size = %s", size)
        for _ in range(times):
            self.session.execute("INSERT INTO d.t (v) VALUES (REPEAT('x', @size))")

    def end(self) -> Position:
        return current_position(self.session, read_facts(self.session))

    def write_up_to(self, pos: int, times: int) -> None:
        """Write transactions of which the last one ends at an offset of the current file."""
        before = self.end().pos
        self.write()
        least = self.end().pos - before
        self.write(times=times - 2)
        self.write(size=1 + pos - self.end().pos - least)
        assert self.end().pos == pos

    def reset(self) -> None:
        self.session.execute("RESET MASTER" if self.is_mariadb else "RESET BINARY LOGS AND GTIDS")

    def purge(self) -> None:
        """Purge all files but the newest; MariaDB keeps one until its engines have written what is in it."""
        newest = self.end().file

        def is_purged() -> bool:
            self.session.execute(f"PURGE BINARY LOGS TO '{newest}'")
            return [f.name for f in binlog_files(self.session)] == [newest]

        wait_until(is_purged)

    def check(self, position: Position) -> Position:
        return PositionCheck(self.session, NETWORK).check(position)

    def start_of(self, position: Position, identity: str = "", source_time: int = 0) -> Position:
        identity = identity or read_facts(self.session).identity
        saved = SavedPosition(position, identity, source_time, 0, 0, 0, "", "", 1, "")
        return PositionCheck(self.session, NETWORK).start_of(saved, by_time=True)

    def refuses(self, position: Position, *words: str) -> None:
        with pytest.raises(PositionLost) as caught:
            self.check(position)
        for word in words:
            assert word in caught.value.message
        assert "`replica " in (caught.value.hint or "")


def started(factory: ServerFactory, binary: ServerBinary, **options: str | int | None) -> Primary:
    flavour, _, version = str(binary).partition(":")
    server = factory(flavour, version, **options)
    session = server.session()
    session.execute("CREATE DATABASE d")
    session.execute("CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(8000) NOT NULL)")
    return Primary(server, session)


@pytest.fixture
def start(server_factory: ServerFactory, server_binary: ServerBinary) -> Iterator[Callable[..., Primary]]:
    made: list[Primary] = []

    def one(**options: str | int | None) -> Primary:
        made.append(started(server_factory, server_binary, **options))
        return made[-1]

    yield one
    for primary in made:
        primary.session.close()


def test_what_is_true_stays_true(start: Callable[..., Primary]) -> None:
    primary = start()
    places = [primary.end()]
    for statement in ("INSERT INTO d.t (v) VALUES ('a')", "CREATE TABLE d.u (id INT PRIMARY KEY)", "FLUSH BINARY LOGS"):
        primary.session.execute(statement)
        places.append(primary.end())
        primary.write()
        places.append(primary.end())
    # The end of a file that was rotated, and the head of the one after it.
    first = binlog_files(primary.session)[0]
    facts = read_facts(primary.session)
    places.append(locate(primary.session, facts, NETWORK, Position(first.name, first.size)))
    places += [replace(p, gtid="") for p in places]
    for place in places:
        start_position = primary.check(place)
        assert (start_position.file, start_position.pos) == (place.file, place.pos)
        assert start_position.gtid
        if place.gtid:
            assert start_position == place
            assert primary.check(Position("", 0, place.gtid)) == Position("", 0, place.gtid)


def test_large_events_before_a_position_cost_no_memory(start: Callable[..., Primary]) -> None:
    primary = start(max_allowed_packet=1 << 30)
    primary.session.execute("CREATE TABLE d.large (v LONGBLOB)")
    primary.session.execute("INSERT INTO d.large VALUES (REPEAT('x', 40000000))")
    # Older than the file, as after a reset: then the file is read for the transaction's time.
    primary.session.execute("SET SESSION timestamp = 1700000000")
    primary.write(times=2)
    place = primary.end()
    primary.session.execute("INSERT INTO d.large VALUES (REPEAT('x', 20000000))")
    facts = read_facts(primary.session)
    tracemalloc.start()
    try:
        assert locate(primary.session, facts, NETWORK, Position(place.file, place.pos)) == place
        assert primary.start_of(place, source_time=1_700_000_000) == place
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_every_other_position_with_the_same_gtid_set_is_not(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=2)
    before = primary.end()
    primary.write()
    after = primary.end()
    primary.write()
    events = primary.session.rows(f"SHOW BINLOG EVENTS IN '{before.file}' FROM {before.pos} LIMIT 6")
    begins = [int(e[1]) for e in events if before.pos < int(e[1]) < after.pos]
    assert len(begins) > 2
    for pos in sorted({*begins, *range(before.pos + 1, after.pos, 41), after.pos - 1}):
        # With the set of either end: the middle of a transaction, and of an event.
        primary.refuses(Position(before.file, pos, before.gtid), f"{before.file}:{pos}")
        primary.refuses(Position(before.file, pos, after.gtid), f"{before.file}:{pos}")
    primary.refuses(Position(before.file, before.pos, after.gtid))
    primary.refuses(Position(after.file, after.pos, before.gtid), after.gtid)


def test_a_log_that_was_reset_with_a_boundary_at_the_same_position(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.reset()
    primary.write(size=400, times=10)
    saved = primary.end()
    for times in (13, 7):
        # More transactions up to there than were applied, and fewer: then the rest of the saved set comes after it.
        primary.reset()
        primary.write_up_to(saved.pos, times)
        primary.refuses(saved, str(saved), saved.gtid)
        primary.write(times=8)
        primary.refuses(saved, str(saved), saved.gtid)
        primary.session.execute("FLUSH BINARY LOGS")
        primary.refuses(saved, str(saved))


def test_the_same_gtid_set_at_the_same_position_of_a_log_that_was_reset(start: Callable[..., Primary]) -> None:
    primary = start()
    for time, last in ((1_700_000_000, 1_700_000_001), (1_700_000_500, 1_700_000_600)):
        primary.session.execute("SET TIMESTAMP = DEFAULT")  # the time of the file
        primary.reset()
        primary.session.execute(f"SET TIMESTAMP = {time}")
        primary.write(times=9)
        primary.session.execute(f"SET TIMESTAMP = {last}")
        primary.write()
        saved = primary.end()
        # The file is younger than its transactions: that alone says nothing.
        assert primary.start_of(saved, source_time=last) == saved
        assert primary.start_of(saved) == saved
        primary.write()
    assert primary.check(saved) == saved
    with pytest.raises(PositionLost, match="2023-11-14"):
        primary.start_of(saved, source_time=1_700_000_001)


def test_a_log_that_was_reset_and_is_shorter_or_has_fewer_transactions(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=10)
    saved = primary.end()
    primary.session.execute("FLUSH BINARY LOGS")
    primary.write()
    later = primary.end()
    primary.reset()
    for place in (saved, later, Position("", 0, saved.gtid)):
        primary.refuses(place)
    primary.write(size=5000, times=3)
    assert primary.end().pos > saved.pos
    for place in (saved, later, Position("", 0, saved.gtid)):
        primary.refuses(place)
    # The same file number as before, with a log that is long enough.
    primary.session.execute("FLUSH BINARY LOGS")
    primary.write(size=3000)
    assert (primary.end().file, primary.end().pos > later.pos) == (later.file, True)
    primary.refuses(later)


def test_a_file_that_is_purged_is_no_loss_if_all_of_it_was_applied(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=2)
    early = primary.end()
    primary.write()
    saved = primary.end()
    primary.session.execute("FLUSH BINARY LOGS")
    head = primary.end().file
    primary.purge()
    primary.write(times=3)
    assert primary.check(saved) == Position(head, 4, saved.gtid)
    primary.refuses(early, early.file, head)
    primary.refuses(replace(saved, gtid=""))
    # Not so where the numbers of the files begin again.
    primary.reset()
    primary.write(times=30)
    primary.refuses(replace(saved, file="binlog.000009"))


def test_another_server_counts_by_gtid_alone(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=3)
    saved = primary.end()
    primary.write()
    assert primary.start_of(saved, "another") == Position("", 0, saved.gtid)
    ahead = primary.end()
    lacking = start()
    with pytest.raises(PrimaryReplaced):
        lacking.start_of(ahead, "another")
    with pytest.raises(PrimaryReplaced):
        primary.start_of(replace(saved, gtid=""), "another")


@pytest.mark.servers("mariadb")
def test_a_mariadb_with_the_same_server_id(start: Callable[..., Primary]) -> None:
    primary = start(server_id=1)
    primary.write(times=20)
    saved = primary.end()
    rebuilt = start(server_id=1)
    rebuilt.write(size=20)
    rebuilt.write(times=40)
    rebuilt.refuses(saved, saved.gtid)
    # Two that were primary side by side: the number is there, the transaction is not.
    other = start(server_id=2)
    other.session.execute("SET gtid_domain_id = 0")
    other.write(times=60)
    other.refuses(Position("", 0, saved.gtid), saved.gtid)
    with pytest.raises(PrimaryReplaced):
        other.start_of(saved, "server-id:1")


@pytest.mark.servers("mariadb")
def test_domains_of_mariadb(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=2)
    one = primary.end()
    primary.session.execute("SET SESSION gtid_domain_id = 7")
    primary.write(times=2)
    primary.session.execute("SET SESSION gtid_domain_id = 0")
    two = primary.end()
    assert primary.check(two) == two
    primary.refuses(replace(two, gtid=one.gtid))
    primary.session.execute("FLUSH BINARY LOGS")
    primary.write()
    three = primary.end()
    primary.purge()
    # A domain that was deleted on the primary is in the saved set only.
    primary.session.execute("FLUSH BINARY LOGS DELETE_DOMAIN_ID = (7)")
    primary.write()
    four = primary.end()
    assert "7-" in three.gtid
    assert "7-" not in four.gtid
    assert primary.check(replace(four, gtid=f"{four.gtid},{three.gtid.split(',')[1]}"))
    primary.refuses(replace(four, gtid=three.gtid.split(",")[1]))


@pytest.mark.servers("mysql")
def test_gaps_and_tags_of_mysql(start: Callable[..., Primary]) -> None:
    primary = start()
    primary.write(times=2)
    one = primary.end()
    other = "11111111-2222-3333-4444-555555555555"
    places = []
    for gtid in (f"{other}:9", f"{other}:blue:4", f"{other}:3"):
        primary.session.execute("SET gtid_next = %s", gtid)
        primary.write()
        primary.session.execute("SET gtid_next = 'AUTOMATIC'")
        places.append(primary.end())
    primary.write()
    for place in places:
        assert primary.check(place) == place
        primary.refuses(replace(place, gtid=one.gtid))
    primary.refuses(replace(places[0], gtid=places[2].gtid))
    # Executed somewhere else, as a dump says that was loaded without the log: the rows never came through it.
    last = primary.end()
    primary.session.execute("SET GLOBAL gtid_purged = %s", f"+{other}:100")
    primary.refuses(last, "purged")


@pytest.mark.servers("mysql")
def test_without_gtids_only_file_and_offset_are_checked(start: Callable[..., Primary]) -> None:
    primary = start(**{"gtid-mode": "OFF"})
    primary.write(times=2)
    place = primary.end()
    primary.write(size=500)
    assert place.gtid == ""
    assert primary.check(place) == place
    primary.refuses(replace(place, pos=place.pos + 100))
    primary.session.execute("SET GLOBAL enforce_gtid_consistency = ON")
    for mode in ("OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"):
        primary.session.execute(f"SET GLOBAL gtid_mode = {mode}")
    primary.write()
    assert primary.check(place) == place
    primary.write()
    end = primary.end()
    # A position that was saved before learns its set.
    assert primary.check(replace(end, gtid="")) == end
