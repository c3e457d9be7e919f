"""The reader on the logs of real servers: every transaction once, whole, at its position."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import PositionLost, UnsupportedEvent
from replica_cli.core.events import RowEvent, Statement
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import ServerError
from replica_cli.reader.reader import PIECE_BYTES
from tests.engine.reader.log import Log, changing, read_to, rows_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.events import Transaction
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.support.coverage import Refused
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

LIFE = (
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    "UPDATE t SET v = 'ONE' WHERE id = 1",
    "DELETE FROM t WHERE id = 2",
    "ALTER TABLE t ADD COLUMN w INT",
    "INSERT INTO t VALUES (3, REPEAT('long ', 2000), 5)",
    "TRUNCATE TABLE t",
)
SEEN = ["INSERT t", "UPDATE t", "DELETE t", LIFE[3], "INSERT t", LIFE[5]]


def is_ddl(transaction: Transaction) -> bool:
    return [type(change) for change in transaction.changes] == [Statement]


@contextmanager
def globally(log: Log, **values: str | int) -> Iterator[None]:
    before = {name: log.session.rows(f"SELECT @@GLOBAL.{name}")[0][0] for name in values}
    for name, value in values.items():
        log.run(f"SET GLOBAL {name} = {value!r}")
    try:
        yield
    finally:
        for name, value in before.items():
            log.run(f"SET GLOBAL {name} = {value!r}")


@contextmanager
def compressing(log: Log) -> Iterator[Session]:
    """Give a session on a MariaDB that compresses all events of its log."""
    with globally(log, log_bin_compress=1, log_bin_compress_min_len=10), log.server.session(log.schema) as session:
        yield session


@pytest.fixture
def table(log: Log) -> Log:
    log.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    log.start = log.here()
    return log


@pytest.mark.covers("rotation, STOP, table ids used again")
@pytest.mark.parametrize("by_gtid", [False, True], ids=["by file", "by gtid"])
def test_a_life_with_rotations(table: Log, by_gtid: bool) -> None:  # noqa: FBT001
    for statement in LIFE:
        table.run(statement, "FLUSH BINARY LOGS")
    found = table.read(by_gtid=by_gtid)
    assert shown(found) == SEEN
    assert all(t.is_start and t.is_end and t.gtid for t in changing(found))
    assert [is_ddl(t) for t in changing(found)] == [False, False, False, True, False, True]
    # Each end is where the next one can begin, and by then everything before it is over.
    for number, transaction in enumerate(changing(found)):
        assert shown(table.read(transaction.end)) == SEEN[number + 1 :], transaction.end


def test_where_transactions_begin_and_end_is_what_the_server_says(table: Log) -> None:
    places = [table.here()]
    for statement in LIFE:
        table.run(statement)
        places.append(table.here())
    found = changing(table.read())
    assert [(t.start.file, t.start.pos) for t in found] == [(p.file, p.pos) for p in places[:-1]]
    assert [(t.end.file, t.end.pos) for t in found] == [(p.file, p.pos) for p in places[1:]]
    assert 0 < sum(t.size for t in found) <= places[-1].pos - places[0].pos


@pytest.mark.servers("mariadb")
def test_compressed_events_of_mariadb(table: Log) -> None:
    with compressing(table) as session:
        session.execute("INSERT INTO t VALUES (10, REPEAT('abc', 3000))")
        session.execute("UPDATE t SET v = REPEAT('def', 3000)")
        session.execute("DELETE FROM t")
        session.execute("ALTER TABLE t COMMENT 'a long comment that is worth compressing, again and again and again'")
    found = table.read()
    assert [s.split()[0] for s in shown(found)] == ["INSERT", "UPDATE", "DELETE", "ALTER"]
    assert b"abc" * 3000 in rows_of(found)[0]
    assert b"def" * 3000 in rows_of(found)[1]
    # The log is smaller than what it holds, and memory is what a size is for.
    assert found[-1].end.pos - found[0].start.pos < 9000
    assert sum(t.size for t in found) > 36_000


@pytest.mark.servers("mariadb")
def test_pieces_of_compressed_events_are_no_larger(table: Log) -> None:
    with compressing(table) as session:
        session.execute("INSERT INTO t SELECT seq, REPEAT(MD5(seq), 60) FROM seq_1_to_8000")
    found = changing(table.read())
    assert found[-1].end.pos - found[0].start.pos < PIECE_BYTES
    sizes = [sum(map(len, rows_of([piece]))) for piece in found]
    assert sum(sizes) > 8000 * 60 * 32
    assert max(sizes) < PIECE_BYTES + 20_000
    assert all(piece.size >= size for piece, size in zip(found, sizes, strict=True))


@pytest.mark.servers("mysql")
def test_compressed_transactions_of_mysql(table: Log) -> None:
    with table.server.session(table.schema) as session:
        session.execute("SET SESSION binlog_transaction_compression = ON")
        session.begin()
        session.execute("INSERT INTO t VALUES (10, REPEAT('abc', 1000)), (11, NULL)")
        session.execute("UPDATE t SET v = REPEAT('def', 1000)")
        session.commit()
        session.execute("INSERT INTO t VALUES (12, 'next')")
    table.run("INSERT INTO t VALUES (13, 'plain')")
    end = table.here()
    found = changing(table.read())
    # One statement's rows may take several events.
    assert [sorted({*shown([t])}) for t in found] == [["INSERT t", "UPDATE t"], ["INSERT t"], ["INSERT t"]]
    assert b"abc" * 1000 in rows_of(found)[0]
    assert found[-1].end.order == end.order
    assert shown(table.read(found[0].end)) == ["INSERT t", "INSERT t"]


@pytest.mark.parametrize("first", ["NONE", "CRC32"])
def test_a_log_that_changes_its_checksums(table: Log, first: str) -> None:
    second = "CRC32" if first == "NONE" else "NONE"
    with globally(table, binlog_checksum=first):
        start = table.here()
        table.run("INSERT INTO t VALUES (1, NULL)", "DELETE FROM t")
        with globally(table, binlog_checksum=second):
            table.run("INSERT INTO t VALUES (2, NULL)", "UPDATE t SET v = ''", "CREATE TABLE c (a INT)")
        found = table.read(start)
    assert shown(found) == ["INSERT t", "DELETE t", "INSERT t", "UPDATE t", "CREATE TABLE c (a INT)"]


def test_a_reader_lives_through_a_change_of_checksums(table: Log) -> None:
    reader = table.reader()
    reader.start()
    try:
        table.run("INSERT INTO t VALUES (1, NULL)")
        read_to(reader, table.here())
        with globally(table, binlog_checksum="NONE"):
            table.run("INSERT INTO t VALUES (2, NULL)")
            assert shown(read_to(reader, table.here())) == ["INSERT t"]
    finally:
        reader.stop()


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_row_images_that_are_not_whole(table: Log, image: str) -> None:
    table.run("INSERT INTO t VALUES (1, 'a')", f"SET SESSION binlog_row_image = {image}")
    start = table.here()
    table.run("UPDATE t SET v = 'b'", "DELETE FROM t")
    update, delete = (t.changes[0] for t in changing(table.read(start)))
    assert isinstance(update, RowEvent)
    assert isinstance(delete, RowEvent)
    assert (update.head.present[0] & 3, update.head.present_after[0] & 3) == (1, 2 if image == "MINIMAL" else 3)
    assert delete.head.present[0] & 3 == 1


@pytest.mark.parametrize("level", ["MINIMAL", "FULL", "NO_LOG"])
def test_metadata_of_every_level(log: Log, level: str) -> None:
    if level == "NO_LOG" and not log.is_mariadb:
        pytest.skip("MySQL always logs some")
    with globally(log, binlog_row_metadata=level):
        log.run(
            "CREATE TABLE m (id INT UNSIGNED PRIMARY KEY, e ENUM('x', 'y'), s VARCHAR(9) CHARACTER SET latin1, n INT)"
        )
        log.run("INSERT INTO m VALUES (1, 'x', 's', -1)")
        (event,) = (t.changes[0] for t in changing(log.read()) if not is_ddl(t))
    assert isinstance(event, RowEvent)
    table = event.table
    assert table.unsigned == (None if level == "NO_LOG" else (True, False, False, False))
    full = level == "FULL"
    assert table.column_names == (("id", "e", "s", "n") if full else None)
    assert (table.enum_members and table.enum_members[1]) == ((b"x", b"y") if full else None)
    assert table.primary_key == ((0,) if full else None)


@pytest.mark.covers("rows above 16 MB, values of 64 MB")
def test_rows_beyond_sixteen_megabytes(log: Log) -> None:
    log.run("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
    start = log.here()
    # At and around the size of a packet: 0xFFFFFF bytes go on in the next one, which may be empty.
    sizes = [2**24 - 1 - 200 + extra for extra in (0, 190)] + [2**24 + 5_000_000]
    for key, size in enumerate(sizes):
        log.run(f"INSERT INTO big VALUES ({key}, REPEAT('x', {size}))")
    log.run("INSERT INTO big VALUES (99, 'small')")
    images = rows_of(log.read(start))
    assert [image.count(b"x") for image in images[:3]] == sizes
    assert images[3].endswith(b"small")


def test_packets_of_every_size_around_the_limit(log: Log) -> None:
    log.run("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)", "INSERT INTO big VALUES (0, REPEAT('x', 1000))")
    (event,) = (t.changes[0] for t in changing(log.read()) if not is_ddl(t))
    assert isinstance(event, RowEvent)
    # The packet is an OK byte, the event and its checksum.
    overhead = 1 + len(event.raw) + 4 - 1000
    start = log.here()
    sizes = [0xFFFFFF - overhead + delta for delta in (-1, 0, 1)]
    for key, size in enumerate(sizes, 1):
        log.run(f"INSERT INTO big VALUES ({key}, REPEAT('x', {size}))")
    log.run("INSERT INTO big VALUES (99, 'small')")
    images = rows_of(log.read(start))
    assert [image.count(b"x") for image in images[:3]] == sizes
    assert len(images) == 4


def test_a_large_transaction_comes_in_pieces(log: Log) -> None:
    log.run("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
    start = log.here()
    log.session.begin()
    for key in range(12):
        log.run(f"INSERT INTO big VALUES ({key}, REPEAT('x', 1000000))")
    log.session.commit()
    end = log.here()
    pieces = changing(log.read(start))
    assert len(pieces) > 1
    assert [p.is_start for p in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [p.is_end for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert {(p.start.file, p.start.pos, p.gtid) for p in pieces} == {(start.file, start.pos, pieces[0].gtid)}
    assert (pieces[-1].end.file, pieces[-1].end.pos) == (end.file, end.pos)
    # The lag while they are applied.
    assert all(abs(p.timestamp - pieces[-1].timestamp) <= 60 for p in pieces)
    assert len(rows_of(pieces)) == 12
    assert all(sum(len(i) for i in rows_of([p])) < 6_000_000 for p in pieces)


@pytest.mark.covers("rotation, STOP, table ids used again")
@pytest.mark.parametrize("end", ["graceful", "killed"])
def test_table_ids_start_again_after_a_restart(server_factory: ServerFactory, server_binary: object, end: str) -> None:
    flavour = str(server_binary).split(":")[0]
    server = server_factory(flavour)
    log = Log(server, "ids")
    log.run("CREATE TABLE a (id INT, who VARCHAR(9))", "CREATE TABLE b (who VARCHAR(9), id INT)")
    log.start = log.here()
    for number in range(4):
        log.run(f"INSERT INTO a VALUES ({number}, 'a')", f"INSERT INTO b VALUES ('b', {number})", "FLUSH LOCAL TABLES")
    getattr(server, "kill" if end == "killed" else "stop")()
    log.session.close()
    server.start()
    log.reopen()
    log.run("USE ids")
    for number in range(4):
        log.run(f"INSERT INTO b VALUES ('b', {number})", "FLUSH LOCAL TABLES", f"INSERT INTO a VALUES ({number}, 'a')")
    found = changing(log.read())
    assert shown(found) == ["INSERT a", "INSERT b"] * 4 + ["INSERT b", "INSERT a"] * 4
    for transaction in found:
        (event,) = transaction.changes
        assert isinstance(event, RowEvent)
        # The row event names its table, whatever its table map said.
        assert (b"\x01a" in event.raw[event.head.rows_start :]) == (event.table.name.table == "a")
    log.session.close()


def test_a_purged_position(table: Log) -> None:
    table.run("INSERT INTO t VALUES (1, NULL)", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    table.purge()
    with pytest.raises(PositionLost, match=table.start.file):
        table.read()


def test_a_purged_gtid_position(table: Log) -> None:
    table.run("INSERT INTO t VALUES (1, NULL)", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS", "DELETE FROM t")
    table.purge()
    with pytest.raises(PositionLost):
        table.read(by_gtid=True)


def test_a_position_after_the_end_of_the_log(table: Log) -> None:
    with pytest.raises(PositionLost, match="past the end"):
        table.read(Position(table.start.file, 10**9))


def test_a_position_inside_of_an_event_is_no_transaction(table: Log) -> None:
    table.run("INSERT INTO t VALUES (1, REPEAT('x', 500))")
    with pytest.raises(Exception, match=r"CorruptEvent|checksum|bytes|table map|not between two transactions"):
        table.read(Position(table.start.file, table.start.pos + 7))


def test_changes_logged_as_statements_are_marked(table: Log) -> None:
    table.run(
        "SET SESSION binlog_format = STATEMENT", "INSERT INTO t VALUES (1, 'x')", "SET SESSION binlog_format = ROW"
    )
    end = table.here()
    (transaction,) = changing(table.read())
    (statement,) = transaction.changes
    assert isinstance(statement, Statement)
    assert statement.text == b"INSERT INTO t VALUES (1, 'x')"
    assert transaction.end.order == end.order


def test_an_engine_without_transactions(log: Log) -> None:
    log.run("CREATE TABLE my (id INT) ENGINE=MyISAM", "CREATE TABLE inno (id INT PRIMARY KEY)")
    start = log.here()
    log.run("INSERT INTO my VALUES (1)")
    log.session.begin()
    log.run("INSERT INTO my VALUES (2)") if log.is_mariadb else None
    log.run("INSERT INTO inno VALUES (1)")
    log.session.rollback()
    log.run("INSERT INTO inno VALUES (2)")
    end = log.here()
    found = changing(log.read(start))
    assert shown(found) == ["INSERT my", *(["INSERT my"] if log.is_mariadb else []), "INSERT inno"]
    assert found[-1].end.order == end.order


def test_prepared_transactions_and_what_completes_them(table: Log) -> None:
    mark = f"{table.schema}_mark.m"
    table.run("XA START 'one'", "INSERT INTO t VALUES (1, NULL)", "XA END 'one'", "XA COMMIT 'one' ONE PHASE")
    for end, into in (("COMMIT", "t (id)"), ("ROLLBACK", "t (id)"), ("COMMIT", f"{mark} (id)")):
        table.run("XA START 'two', 'b', 7", f"INSERT INTO {into} VALUES (77)", "XA END 'two', 'b', 7")
        table.run("XA PREPARE 'two', 'b', 7", f"XA {end} 'two', 'b', 7", "DELETE FROM t")
    found = table.read()
    assert shown(found) == ["INSERT t", "INSERT t", "DELETE t", "INSERT t"]
    steps = [(t.xa.phase.name, t.xa.xid) for t in found if t.xa]
    xid = "X'74776f',X'62',7"
    assert steps == [(phase, xid) for phase in ("PREPARE", "COMMIT", "PREPARE", "ROLLBACK", "PREPARE", "COMMIT")]


def test_the_end_of_a_log_without_transactions_is_reached(table: Log) -> None:
    table.run("INSERT INTO t VALUES (1, NULL)", "FLUSH BINARY LOGS")
    reader = table.reader()
    reader.start()
    try:
        assert shown(read_to(reader, table.here(), patience_seconds=3.0)) == ["INSERT t"]
    finally:
        reader.stop()


def leave_a_hole(log: Log) -> Position:
    """Let MariaDB write an INCIDENT, as a statement without transactions outgrows its cache; return its position."""
    log.run("CREATE TABLE my (id INT) ENGINE=MyISAM")
    place = log.here()
    with (
        globally(log, max_binlog_stmt_cache_size=4096),
        log.server.session(log.schema) as session,
        pytest.raises(ServerError),
    ):
        session.execute("INSERT INTO my SELECT seq FROM seq_1_to_100000")
    return place


@pytest.mark.covers("INCIDENT")
@pytest.mark.servers("mariadb")
def test_a_hole_in_the_log_counts_for_places_before_it(
    server_factory: ServerFactory, server_binary: ServerBinary, refused: Refused
) -> None:
    # A server of its own: the hole would be sent to the dumps of others that begin in its file by GTID, and GTIDs of
    # several domains, which other tests leave on a shared server, do not say which transaction is after the hole.
    table = Log(server_factory("mariadb", server_binary.version), "hole")
    table.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    table.start = table.here()
    table.run("INSERT INTO t (id) VALUES (1)")
    before = [table.start, leave_a_hole(table)]
    end = table.here()

    def assert_refused(*, by_gtid: bool) -> None:
        for start in before:
            reader = table.reader(start, by_gtid=by_gtid)
            reader.start()
            try:
                with refused(UnsupportedEvent, "a gap in its binary log (INCIDENT)"):
                    read_to(reader, Position(end.file, end.pos + 1))
            finally:
                reader.stop()

    # No transaction is after it yet.
    for by_gtid in (False, True):
        assert_refused(by_gtid=by_gtid)
    table.run("INSERT INTO t (id) VALUES (2)")
    behind = table.here()
    table.run("INSERT INTO t (id) VALUES (3)")
    for by_gtid in (False, True):
        assert_refused(by_gtid=by_gtid)
        assert shown(table.read(behind, by_gtid=by_gtid)) == ["INSERT t"]
    table.run("FLUSH BINARY LOGS", "INSERT INTO t (id) VALUES (4)")
    assert_refused(by_gtid=True)
    assert shown(table.read(behind, by_gtid=True)) == ["INSERT t"] * 2
    table.session.close()
