"""Packets are read whole, wherever the network cuts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.reader.framing import Framer, Skimmer
from replica_cli.reader.reader import Reader

if TYPE_CHECKING:
    from replica_cli.reader.dump import DumpStream

WHOLE = 0xFFFFFF
SKIMMED = 16 * 1024
BOTH = pytest.mark.parametrize("kind", [Framer, Skimmer])


class Pieces:
    """A stream that gives what it was given."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def packet(payload: bytes, sequence: int = 0) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


def event_of(size: int) -> bytes:
    """Return an event whose header announces its size."""
    return bytes(9) + size.to_bytes(4, "little") + b"x" * (size - 13)


def frame(*pieces: bytes, kind: type[Framer | Skimmer] = Framer) -> list[bytes]:
    """Return all events until the stream ends."""
    framer = kind(cast("DumpStream", Pieces(*pieces)), "primary")
    found: list[bytes] = []
    while True:
        try:
            for event in framer.read():
                found.append(event)  # noqa: PERF402  what came before an error counts
        except ServerError as error:
            if "closed" not in error.text:
                raise
            return found


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.lists(st.integers(1, 60), max_size=20))
def test_any_cut_gives_the_same_events(events: list[bytes], sizes: list[int]) -> None:
    data = b"".join(packet(b"\0" + e, n) for n, e in enumerate(events))
    pieces, at = [], 0
    for size in [*sizes, len(data)]:
        if data[at : at + size]:
            pieces.append(data[at : at + size])
        at += size
    assert frame(*pieces) == events
    assert frame(*pieces, kind=Skimmer) == events


def test_every_single_cut() -> None:
    events = [b"first", b"", b"the third one"]
    data = b"".join(packet(b"\0" + e) for e in events)
    for cut in range(1, len(data)):
        assert frame(data[:cut], data[cut:]) == events
        assert frame(data[:cut], data[cut:], kind=Skimmer) == events
    assert frame(*(bytes([b]) for b in data)) == events
    assert frame(*(bytes([b]) for b in data), kind=Skimmer) == events


@pytest.mark.parametrize("extra", [-2, -1, 0, 1, 5])
def test_events_around_the_size_of_a_packet(extra: int) -> None:
    event = event_of(WHOLE + extra)
    payload = b"\0" + event
    parts = [payload[:WHOLE], payload[WHOLE:]] if len(payload) >= WHOLE else [payload]
    data = b"".join(packet(p, n) for n, p in enumerate(parts)) + packet(b"\0next")
    found = frame(data)
    assert [len(e) for e in found] == [len(event), 4]
    assert found == [event, b"next"]
    # Cut at and around the seam of the two packets.
    for cut in (WHOLE + 3, WHOLE + 4, WHOLE + 5, WHOLE + 7, WHOLE + 8):
        if 0 < cut < len(data):
            assert frame(data[:cut], data[cut:]) == [event, b"next"]
            assert frame(data[:cut], data[cut:], kind=Skimmer) == [event[:SKIMMED], b"next"]


@pytest.mark.parametrize("size", [SKIMMED - 1, SKIMMED, SKIMMED + 1, 3 * SKIMMED])
def test_of_a_large_event_the_beginning_is_skimmed(size: int) -> None:
    event = bytes(range(256)) * (size // 256 + 1)
    data = packet(b"\0" + event[:size]) + packet(b"\0next") + packet(b"\0")
    wanted = [event[: min(size, SKIMMED)], b"next", b""]
    for cut in (4, 5, SKIMMED, SKIMMED + 5, size + 4, size + 5, size + 6, size + 9):
        assert frame(data[:cut], data[cut:], kind=Skimmer) == wanted
    assert frame(*(data[at : at + 1000] for at in range(0, len(data), 1000)), kind=Skimmer) == wanted


def test_an_event_of_several_whole_packets() -> None:
    payload = b"\0" + event_of(2 * WHOLE - 1)
    data = packet(payload[:WHOLE]) + packet(payload[WHOLE:], 1) + packet(b"", 2) + packet(b"\0next")
    assert frame(data) == [payload[1:], b"next"]
    assert frame(data, kind=Skimmer) == [payload[1 : SKIMMED + 1], b"next"]
    # A continuation that looks like an error or an end is neither.
    payload = b"\0" + event_of(WHOLE + 6)[:-7] + b"\xff\xfe rest"
    assert frame(packet(payload[:WHOLE]) + packet(payload[WHOLE:], 1)) == [payload[1:]]
    assert frame(packet(payload[:WHOLE]) + packet(payload[WHOLE:], 1), kind=Skimmer) == [payload[1 : SKIMMED + 1]]


def test_an_event_without_an_end_is_refused_at_its_announced_end() -> None:
    payload = b"\0" + event_of(2 * WHOLE)
    framer = Framer(cast("DumpStream", Pieces(packet(payload[:WHOLE]), *[packet(bytes(WHOLE))] * 9)), "primary")
    with pytest.raises(CorruptEvent, match="of an event of 33554430 bytes"):
        [*framer.read(), *framer.read(), *framer.read()]


@BOTH
@pytest.mark.parametrize(
    ("payload", "errno", "text"),
    [
        (b"\xff\xd4\x04#HY000Could not find first log", 1236, "Could not find first log"),
        (b"\xff\xd4\x04no state", 1236, "no state"),
        (b"\xff\x15\x04#28000Acc\xe9s", 1045, "Acc\ufffds"),
    ],
)
def test_an_error_packet(kind: type[Framer | Skimmer], payload: bytes, errno: int, text: str) -> None:
    framer = kind(cast("DumpStream", Pieces(packet(b"\0good") + packet(payload))), "primary")
    found = framer.read()
    assert next(found) == b"good"  # what came before it is delivered
    with pytest.raises(ServerError) as raised:
        next(found)
    assert (raised.value.errno, raised.value.text) == (errno, text)


@BOTH
@pytest.mark.parametrize("payload", [b"\xfe", b"\xfe\0\0\2\0", b""])
def test_the_end_of_the_dump(kind: type[Framer | Skimmer], payload: bytes) -> None:
    framer = kind(cast("DumpStream", Pieces(packet(payload))), "primary")
    with pytest.raises(ServerError) as raised:
        list(framer.read())
    assert raised.value.remedy is Remedy.RECONNECT


@BOTH
@pytest.mark.parametrize("pieces", [[], [packet(b"\0" + b"x" * 50)[:30]]], ids=["between events", "inside an event"])
def test_a_closed_connection(kind: type[Framer | Skimmer], pieces: list[bytes]) -> None:
    framer = kind(cast("DumpStream", Pieces(*pieces)), "primary")
    with pytest.raises(ServerError) as raised:
        [*framer.read(), *framer.read()]
    assert raised.value.is_connection_lost


def test_an_event_that_is_cut_wrongly_is_named_with_its_position() -> None:
    start = Position("binlog.000007", 1234)
    reader = Reader(
        Mock(), Mock(), server_id=1, start=start, is_mariadb=True, wants=lambda _: True, queue_bytes=1 << 20
    )
    framer = Mock(read=Mock(side_effect=CorruptEvent("primary sends 9 bytes of an event of 5 bytes")))
    with pytest.raises(CorruptEvent, match=r"an event of 5 bytes, after binlog\.000007:1234"):
        list(reader._events(framer))
