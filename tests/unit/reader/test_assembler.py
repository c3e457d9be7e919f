"""The assembler with events of real servers, and with events that no real server wrote for a test."""

from __future__ import annotations

import struct
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import CorruptEvent, ReplicaError, UnsupportedEvent
from replica_cli.core.events import RowEvent, Statement, XaPhase
from replica_cli.core.position import Position
from tests.unit.reader.scenes import (
    SERVERS,
    assembler,
    event,
    events,
    fake_rotate,
    feed,
    files,
    format_event,
    read,
    resized,
    scenes,
    shown,
    start_of,
)

if TYPE_CHECKING:
    from replica_cli.core.events import RowHead, Transaction
    from replica_cli.reader.assembler import Assembler
    from tests.support.coverage import Refused

LIFE = [
    ["INSERT t"],
    ["UPDATE t", "SAVEPOINT `s`", "DELETE t", "ROLLBACK TO `s`", "INSERT u"],
    ["ALTER TABLE t ADD COLUMN w INT"],
    ["INSERT my"],
]
IGNORABLE = 0x80


def is_ddl(transaction: Transaction) -> bool:
    return [type(change) for change in transaction.changes] == [Statement]


@pytest.mark.parametrize("server", SERVERS)
def test_a_life(server: str) -> None:
    found = read(server, "life")
    words = shown(found)
    assert words[0] == LIFE[0]
    # MariaDB writes the savepoint, MySQL leaves out what was rolled back.
    assert [w for w in words[1] if "`" not in w] in (["UPDATE t", "DELETE t", "INSERT u"], ["UPDATE t", "INSERT u"])
    assert words[2:4] == LIFE[2:]
    made = [w for transaction in words[4:] for w in transaction]
    assert made[0].startswith("CREATE TABLE `made`")
    assert "INSERT made" in made
    assert made[-1].startswith("DROP TABLE `made`")
    assert all(t.gtid for t in found if t.changes)
    assert all(t.start.order < t.end.order for t in found if t.changes)


@pytest.mark.parametrize("server", SERVERS)
def test_the_fast_path_finds_what_the_slow_path_finds(server: str) -> None:
    start = start_of(server, "life")
    one, other = assembler(start), assembler(start)
    # The second time nothing of it is new.
    for again in events(server, "life"), events(server, "life"):
        long = [_plain(t) for event in again for t in one.feed(event)]
        assert [_plain(t) for t in feed(other, again)] == long
        assert any(changes for *_, changes in long)


def _plain(transaction: Transaction) -> tuple[object, ...]:
    changes = [
        (_beginning(change.head), change.raw) if isinstance(change, RowEvent) else change.text
        for change in transaction.changes
    ]
    return (*transaction[:4], *transaction[5:], changes)


def _beginning(head: RowHead) -> tuple[object, ...]:
    values = {f.name: getattr(head, f.name) for f in fields(head)}
    return (*(values | {"table": head.table.body[6:]}).values(),)


@pytest.mark.parametrize("server", SERVERS)
def test_positions_are_those_of_the_file(server: str) -> None:
    for name, found in files(server, "life").items():
        ends = {4}
        for raw in found:
            ends.add(max(ends) + len(raw))
        for transaction in feed(assembler(Position(name, 4)), [fake_rotate(name), *found]):
            assert transaction.end.pos in ends
            assert transaction.start.pos in ends


@pytest.mark.parametrize("server", SERVERS)
def test_reading_can_begin_at_each_end(server: str) -> None:
    ((name, found),) = files(server, "life").items()
    whole = [t for t in read(server, "life") if t.changes]
    places, at = {}, 4
    for raw in found:
        places[at] = raw
        at += len(raw)
    for number, transaction in enumerate(whole):
        rest = [raw for place, raw in places.items() if place >= transaction.end.pos]
        # As a server does: a fake rotation to the position, the format description with position 0, then the events.
        again = feed(assembler(transaction.end), [fake_rotate(name, transaction.end.pos), _at_zero(found[0]), *rest])
        assert shown(again) == shown(whole[number + 1 :])
        assert [t.end for t in again if t.changes] == [t.end for t in whole[number + 1 :]]


def _at_zero(raw: bytes) -> bytes:
    return event(raw[4], raw[19:-4], pos=0, timestamp=0)


@pytest.mark.parametrize("server", SERVERS)
def test_the_other_schema_moves_the_position_only(server: str) -> None:
    found = feed(assembler(start_of(server, "life"), schema="nobody's"), events(server, "life"))
    statements = [w for words in shown(found) for w in words]
    assert not any(w.split()[0] in ("INSERT", "UPDATE", "DELETE") for w in statements)
    assert found[-1].end == read(server, "life")[-1].end


@pytest.mark.parametrize("server", scenes("compressed"))
def test_compressed(server: str) -> None:
    found = [t for t in read(server, "compressed") if t.changes]
    words = [w.split()[0] for words in shown(found) for w in words]
    assert words[:3] == ["INSERT", "UPDATE", "DELETE"]
    rows = (c for t in found for c in t.changes if isinstance(c, RowEvent))
    insert, update = (c for c in rows if c.kind in (0, 1))
    assert b"abc" * 300 + b"end" in insert.raw
    assert b"zabc" in update.raw
    assert len(insert.raw) == int.from_bytes(insert.raw[9:13], "little")
    assert insert.raw[4] in (23, 30)


@pytest.mark.parametrize("server", SERVERS)
def test_without_checksums(server: str) -> None:
    words = shown(read(server, "no checksum"))
    assert ["INSERT t"] in words


@pytest.mark.parametrize("server", SERVERS)
def test_xa(server: str) -> None:
    # One without selected tables, and one in one phase, which is like any other transaction.
    found = [t for t in read(server, "xa") if t.gtid]
    assert [t.xa and (t.xa.phase, t.xa.xid) for t in found] == [
        (XaPhase.PREPARE, "X'61',X'62',3"), (XaPhase.COMMIT, "X'61',X'62',3"), None,
    ]  # fmt: skip
    assert shown(found) == [["INSERT t"]]
    selected = [t for t in read(server, "xa rows") if t.gtid]
    assert [t.xa and (t.xa.phase, t.xa.xid) for t in selected] == [
        (XaPhase.PREPARE, "X'61',X'',1"), (XaPhase.ROLLBACK, "X'61',X'',1"),
    ]  # fmt: skip
    assert shown(selected) == [["INSERT t"]]


@pytest.mark.parametrize("server", SERVERS)
def test_pieces_of_a_prepared_transaction_say_so(server: str) -> None:
    pieces = [t for t in read(server, "xa rows", piece_bytes=1) if t.gtid]
    assert [(t.xa.phase, t.is_end) for t in pieces if t.xa] == [
        (XaPhase.PREPARE, False), (XaPhase.PREPARE, True), (XaPhase.ROLLBACK, True),
    ]  # fmt: skip
    in_one_phase = [t for t in read(server, "xa", piece_bytes=1) if t.changes or (t.xa and not t.is_start)]
    if server.startswith("mysql"):
        # Only its last event shows that it is committed at once: then the pieces before it count.
        assert [(t.xa and t.xa.phase, t.is_end) for t in in_one_phase] == [
            (XaPhase.PREPARE, False), (XaPhase.COMMIT, True),
        ]  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_statement_format_is_passed_on_as_such(server: str) -> None:
    assert shown(read(server, "statement")) == [["INSERT INTO t (id, v) VALUES (20, 'x')"]]


@pytest.mark.parametrize("server", scenes("two phases"))
def test_an_alter_in_two_phases_is_one_statement(server: str) -> None:
    found = read(server, "two phases")
    assert shown(found) == [["ALTER TABLE t ADD COLUMN z INT"]]
    assert len([t for t in found if t.gtid]) == 2


@pytest.mark.covers("encrypted and truncated events")
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scene", ["life", "compressed"])
def test_every_truncation_is_a_replica_error(server: str, scene: str) -> None:
    found = events(server, scene)
    for number, raw in enumerate(found):
        if number < 2:
            continue
        for size in range(23, len(raw)):
            fresh = assembler(start_of(server, scene))
            feed(fresh, found[:number])
            try:
                # The length and the checksum are right: only the body is short.
                feed(fresh, [resized(raw, size)])
            except ReplicaError:
                continue
            except Exception as error:  # noqa: BLE001  that is what is asked
                pytest.fail(f"type {raw[4]}, {size} of {len(raw)} bytes: {type(error).__name__}: {error}")


@pytest.mark.covers("a bad checksum")
@pytest.mark.parametrize("server", SERVERS)
def test_every_flipped_byte_is_found(server: str) -> None:
    found = events(server, "life")
    for number, raw in enumerate(found[2:], 2):
        for place in range(0, len(raw), 3):
            if place == 17:
                continue  # the flags: one of them says that the event is the server's own
            bad = raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :]
            fresh = assembler(start_of(server, "life"))
            feed(fresh, found[:number])
            with pytest.raises(CorruptEvent):
                feed(fresh, [bad])


def _ready(start: Position | None = None) -> Assembler:
    start = start or Position("b.000001", 4)
    made = assembler(start)
    feed(made, [fake_rotate(start.file, start.pos), format_event()])
    return made


# MariaDB's begin of a transaction: number, domain, flags.
_BEGIN = event(162, struct.pack("<QIB6x", 7, 0, 0))


def test_an_event_without_its_table_map() -> None:
    rows = struct.pack("<IHH", 77, 0, 1) + b"\x01\xff\x00"
    with pytest.raises(CorruptEvent, match="table id 77"):
        feed(_ready(), [_BEGIN, event(23, rows)])


def test_the_dummy_table_id_ends_a_statement_and_means_nothing() -> None:
    dummy = event(23, (0xFFFFFF).to_bytes(6, "little") + b"\x01\x00\x01\xff\x00")
    assert feed(_ready(), [_BEGIN, dummy]) == []


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("code", [19, 16], ids=["table map", "end"])
def test_what_was_begun_before_the_reading_began_is_no_transaction(server: str, code: int) -> None:
    found = next(iter(files(server, "life").values()))
    inside = next(n for n, raw in enumerate(found) if raw[4] == code)
    with pytest.raises(CorruptEvent, match="before the start of its transaction"):
        feed(_ready(), [found[0], *found[inside:]])


@pytest.mark.parametrize("forget", ["format", "rotation"])
def test_table_ids_are_forgotten(forget: str) -> None:
    server = SERVERS[0]
    found = events(server, "life")
    row = next(n for n, raw in enumerate(found) if raw[4] in (23, 30))
    fresh = assembler(start_of(server, "life"))
    feed(fresh, found[:row])
    feed(fresh, [found[1] if forget == "format" else fake_rotate(start_of(server, "life").file)])
    with pytest.raises(CorruptEvent, match="without its table map"):
        feed(fresh, [found[row]])


@pytest.mark.covers("unknown events, partial row data (172)")
def test_an_unknown_event_stops_unless_it_may_be_ignored(refused: Refused) -> None:
    assert feed(_ready(), [event(222, b"future", flags=IGNORABLE)]) == []
    with refused(UnsupportedEvent, "is not understood", r"222.*b\.000001:\d+"):
        feed(_ready(Position("b.000001", 4)), [event(222, b"future")])


@pytest.mark.covers("encrypted and truncated events")
@pytest.mark.parametrize("checksum", [True, False])
def test_encrypted_events_stop_the_reader(refused: Refused, *, checksum: bool) -> None:
    # A server decrypts its log for the dump. Would it not, only the length of each event could be read.
    fresh = _ready()
    fresh._has_checksum = checksum
    feed(fresh, [event(164, b"\x01" + b"\0" * 16, checksum=checksum)])
    plain = event(2, _query(b"DROP TABLE t"), checksum=checksum)
    hidden = bytes(byte ^ 0x5A if not 9 <= at < 13 else byte for at, byte in enumerate(plain))
    words = "the checksum is wrong, or the event's type is not understood"
    with refused(ReplicaError, words, r"checksum is wrong|event type \d+ is not understood"):
        feed(fresh, [hidden])


@pytest.mark.covers("INCIDENT")
def test_an_incident_stops_even_if_it_may_be_ignored(refused: Refused) -> None:
    with refused(UnsupportedEvent, "a gap in its binary log (INCIDENT)"):
        feed(_ready(), [event(26, b"\x01\x00", flags=IGNORABLE)])


@pytest.mark.covers("unknown events, partial row data (172)")
@pytest.mark.parametrize("code", [172, 250])
def test_events_of_newer_servers_stop(code: int, refused: Refused) -> None:
    with refused(UnsupportedEvent, "is not understood"):
        feed(_ready(), [event(code, b"\0" * 40)])


def _by_gtid(gtids: str = "0-1-5") -> Assembler:
    """Return an assembler that starts from a GTID set, at the head of a file whose format is known."""
    made = assembler(Position("", 0, gtids), is_mariadb=":" not in gtids)
    feed(made, [fake_rotate("b.000001"), format_event()])
    return made


def _transaction(end: int) -> bytes:
    return event(162, struct.pack("<QIB6x", 7, 0, 0), pos=end)


def _list(end: int, flags: int = 0) -> bytes:
    return event(163, bytes(20), pos=end, flags=flags)


def _heartbeat(end: int) -> bytes:
    return event(27, b"b.000001", pos=end)


# What comes after an event that ends at 1000, and whether that event counts.
BEHIND_IT = {
    "a transaction": ([_transaction(1042)], True),
    "a transaction, one before was left out": ([_transaction(2042)], False),
    "the end of the log": ([_heartbeat(1000)], True),
    "the end of the log, a transaction was left out": ([_heartbeat(1500)], False),
    "a list, a transaction": ([_list(1043), _transaction(1085)], True),
    "a list, a transaction, one before was left out": ([_list(1043), _transaction(2085)], False),
    "a list of this connection, the end": ([_list(1000, flags=0x20), _heartbeat(1000)], True),
    "another hole, the end": ([event(26, b"\1\0", pos=1025), _heartbeat(1025)], True),
    "another hole, a transaction was left out": ([event(26, b"\1\0", pos=1025), _heartbeat(1500)], False),
}


@pytest.mark.parametrize("code", [26, 250], ids=["hole", "unknown"])
@pytest.mark.parametrize("case", BEHIND_IT)
def test_what_is_not_understood_counts_unless_a_transaction_was_left_out_after_it(
    code: int, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = _by_gtid()
    behind, counts = BEHIND_IT[case]
    assert not feed(fresh, [event(code, b"\1\0", pos=1000)])
    if counts:
        with pytest.raises(UnsupportedEvent, match="after gtid 0-1-5"):
            feed(fresh, behind)
        return
    feed(fresh, [*behind, event(2, _query(b"BEGIN"), pos=3000), event(16, bytes(8), pos=3031)])
    assert "at b.000001:1000: skipped, because" in caplog.text
    # From the first transaction on it counts wherever it is.
    with pytest.raises(UnsupportedEvent):
        feed(fresh, [event(code, b"\1\0", pos=4000)])


_SOURCE, _OTHER = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "77d1902c-01da-11f1-9a41-908d6e5f6e8d"


@pytest.mark.parametrize("gtids", ["1-1-100,2-2-50", f"{_SOURCE}:1-9,{_OTHER}:1-3", f"{_SOURCE}:1-5:7"])
def test_it_counts_if_the_set_has_no_one_order(gtids: str) -> None:
    # In the log of another primary a transaction of the set may come after one that is not in it, and that is lost.
    with pytest.raises(UnsupportedEvent, match=r"at b\.000001:1000; it is not known if it comes after the applied"):
        feed(_by_gtid(gtids), [event(26, b"\1\0", pos=1000), *BEHIND_IT["a transaction, one before was left out"][0]])


@pytest.mark.parametrize("gtids", ["1-1-100", f"{_SOURCE}:3-9"])
def test_it_is_passed_if_the_set_has_one_order(gtids: str) -> None:
    feed(_by_gtid(gtids), [event(26, b"\1\0", pos=1000), *BEHIND_IT["a transaction, one before was left out"][0]])


# GTID 77d1902c-01da-11f1-9a41-908d6e5f6e8d:test_tag:1, as a server of 8.4 wrote it.
TAGGED = bytes.fromhex(
    "027c000002"
    "02ee4503410258026903" "22c50369028241023502dcbedc3502"
    "0404" "0610746573745f746167" "0800" "0a04" "0c7f003e8900fa5b06" "1045" "0512dbd009"
)  # fmt: skip


def test_a_tagged_gtid() -> None:
    fresh = _ready(Position("b.000001", 1000))
    (found,) = feed(fresh, [event(42, TAGGED, pos=1090), event(2, _query(b"DROP TABLE t"), pos=1200)])
    assert (found.gtid, is_ddl(found)) == ("77d1902c-01da-11f1-9a41-908d6e5f6e8d:test_tag:1", True)


@pytest.mark.parametrize("size", range(len(TAGGED)))
def test_a_tagged_gtid_that_is_cut(size: int) -> None:
    with pytest.raises(ReplicaError):
        feed(_ready(), [event(42, TAGGED[:size])])


def test_a_tagged_gtid_with_a_field_that_must_be_known() -> None:
    with pytest.raises(UnsupportedEvent, match="tagged GTID event has the unknown version"):
        feed(_ready(), [event(42, TAGGED[:2] + bytes((99 << 1,)) + TAGGED[3:])])


def _gtid(sequence: int, flags: int = 0) -> bytes:
    return struct.pack("<QIB", sequence, 0, flags) + b"\0" * 6


def _query(text: bytes, status: bytes = b"") -> bytes:
    return struct.pack("<IIBHH", 1, 0, 4, 0, len(status)) + status + b"shop\0" + text


def test_a_rollback_keeps_statements_whose_effects_stay_and_has_an_end() -> None:
    fresh = _ready(Position("b.000001", 1000))
    found = feed(fresh, [
        event(162, _gtid(5), pos=1042), event(2, _query(b"DROP TABLE my"), pos=1100),
        event(2, _query(b"ROLLBACK"), pos=1200),
    ])  # fmt: skip
    ((end, is_rolled_back, (statement,)),) = [(t.end.pos, t.is_rolled_back, t.changes) for t in found]
    assert (end, is_rolled_back) == (1200, True)
    assert isinstance(statement, Statement)
    assert statement.text == b"DROP TABLE my"


def test_a_commit_query_ends_a_transaction() -> None:
    fresh = _ready(Position("b.000001", 1000))
    found = feed(fresh, [
        event(162, _gtid(5), pos=1042), event(2, _query(b"DO 1"), pos=1100), event(2, _query(b"COMMIT"), pos=1200),
    ])  # fmt: skip
    assert [(t.gtid, t.start.pos, t.end.pos, len(t.changes)) for t in found] == [("0-1-5", 1000, 1200, 1)]


def test_a_standalone_statement_ends_by_itself() -> None:
    fresh = _ready(Position("b.000001", 1000))
    found = feed(fresh, [event(162, _gtid(5, 1), pos=1042), event(2, _query(b"DROP TABLE t"), pos=1100)])
    assert [(is_ddl(t), t.end.pos) for t in found] == [(True, 1100)]


@pytest.mark.covers("transactions and logs above 4 GB")
def test_positions_beyond_four_gigabytes() -> None:
    edge = 2**32
    fresh = _ready(Position("b.000001", edge - 500))
    found = feed(fresh, [
        event(162, _gtid(5), pos=edge - 458), event(16, b"\0" * 8, pos=edge - 400),
        # The header's 32 bits start at 0 again.
        event(162, _gtid(6), pos=0xFFFFFFF0), event(16, b"\0" * 8, pos=40),
        event(162, _gtid(7), pos=90), event(16, b"\0" * 8, pos=140),
    ])  # fmt: skip
    assert [t.end.pos for t in found] == [edge - 400, edge + 40, edge + 140]


@pytest.mark.covers("transactions and logs above 4 GB")
def test_a_single_event_across_four_gigabytes_twice() -> None:
    fresh = _ready(Position("b.000001", 3 * 2**32 - 100))
    found = feed(fresh, [event(162, _gtid(5), pos=2**32 - 50), event(16, b"\0" * 8, pos=7)])
    assert found[-1].end.pos == 3 * 2**32 + 7


@pytest.mark.covers("end_log_pos 0 (MariaDB 11.4 and later)")
def test_an_end_of_zero_inside_a_group_is_counted() -> None:
    fresh = _ready(Position("b.000001", 1000))
    inner = event(2, _query(b"DO 1"))
    found = feed(fresh, [event(162, _gtid(5), pos=1042), inner, inner, event(16, b"\0" * 8)])
    assert found[-1].end.pos == 1042 + 2 * len(inner) + 19 + 8 + 4
    # The next one says where it is, and is believed.
    (after,) = feed(fresh, [event(162, _gtid(6), pos=2000), event(16, b"\0" * 8, pos=2100)])
    assert after.end.pos == 2100


def test_a_rotation() -> None:
    fresh = _ready(Position("b.999999", 1000))
    found = feed(
        fresh, [event(4, struct.pack("<Q", 4) + b"b.1000000", pos=1050), fake_rotate("b.1000000"), format_event()]
    )
    assert {t.end for t in found} == {Position("b.1000000", 4)}
    assert found[0].end.order > Position("b.999999", 1000).order


def test_a_fake_rotation_to_the_same_file_says_nothing() -> None:
    assert feed(_ready(Position("b.000001", 1000)), [fake_rotate("b.000001", 1000)]) == []


def test_a_file_that_goes_on_in_the_next_inside_a_transaction() -> None:
    fresh = _ready(Position("b.000001", 1000))
    feed(fresh, [event(162, _gtid(5), pos=1042), event(2, _query(b"DO 1"), pos=1100)])
    with pytest.raises(CorruptEvent, match="inside a transaction"):
        feed(fresh, [event(4, struct.pack("<Q", 4) + b"b.000002", pos=1150)])


def test_a_transaction_that_the_primary_died_in_never_happened() -> None:
    fresh = _ready(Position("b.000001", 1000))
    feed(fresh, [event(162, _gtid(5), pos=1042), event(2, _query(b"DO 1"), pos=1100)])
    # A restart leaves no rotation at the end of the old file.
    (moved,) = feed(fresh, [fake_rotate("b.000002")])
    assert (moved.changes, moved.end) == ((), Position("b.000002", 4))


def test_a_heartbeat_is_a_boundary_only_between_transactions() -> None:
    fresh = _ready(Position("b.000001", 1000))
    (beat,) = feed(fresh, [event(27, b"b.000001", pos=1000, flags=0x20, timestamp=0)])
    assert (beat.changes, beat.gtid, beat.timestamp) == ((), "", 0)
    feed(fresh, [event(162, _gtid(5), pos=1042)])
    assert feed(fresh, [event(27, b"b.000001", pos=1042, flags=0x20, timestamp=0)]) == []


@pytest.mark.parametrize("server", SERVERS)
def test_pieces(server: str) -> None:
    pieces = [t for t in read(server, "life", piece_bytes=1) if t.changes or not t.is_end]
    whole = [t for t in read(server, "life") if t.changes]
    assert len(pieces) > len(whole)
    assert [w for words in shown(pieces) for w in words] == [w for words in shown(whole) for w in words]
    for piece in pieces:
        if not piece.is_end:
            assert piece.end == piece.start  # no boundary inside


def test_an_event_with_a_wrong_size() -> None:
    good = event(16, b"\0" * 8, pos=50)
    for bad in (good[:-1], good + b"\0", good[:5], b""):
        with pytest.raises(ReplicaError):
            feed(_ready(), [bad])


def test_an_unknown_status_variable() -> None:
    with pytest.raises(UnsupportedEvent, match="session variable 99"):
        feed(_ready(), [event(162, _gtid(5, 1), pos=50), event(2, _query(b"DROP TABLE t", b"\x63\x00"), pos=99)])
