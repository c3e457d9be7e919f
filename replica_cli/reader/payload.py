"""MySQL's TRANSACTION_PAYLOAD event: a whole transaction's events, packed with zstd.

Layout: MySQL's payload_event_body_encoding.h: type, length, value triples (1 size, 2 algorithm, 3 uncompressed size,
0 ends them), then the data. Inner events have no checksum and no position of their own.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Protocol

import zstandard

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.reader.lenenc import read_lenenc

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


_ZSTD, _NONE = 0, 255
_ALGORITHM, _UNPACKED_SIZE = 2, 3
_CHUNK = 1024 * 1024
_HEADER = 19


def unpack_payload(body: bytes) -> Iterator[bytes]:
    """Yield the events inside a payload event's body, one at a time: memory stays that of the largest event.

    The size that the body announces is a limit: an event inside that is larger than what is left of it is refused
    before it is unpacked. Raises CorruptEvent, UnsupportedEvent for another algorithm.
    """
    fields, at = _fields(body)
    algorithm = fields.get(_ALGORITHM, _ZSTD)
    packed = body[at:]
    if algorithm == _NONE:
        yield from _events(io.BytesIO(packed), len(packed))
        return
    if algorithm != _ZSTD:
        raise UnsupportedEvent(f"a transaction payload uses compression algorithm {algorithm}")
    if _UNPACKED_SIZE not in fields:
        raise CorruptEvent("a transaction payload does not say how large it is when unpacked")
    try:
        yield from _events(zstandard.ZstdDecompressor().stream_reader(packed), fields[_UNPACKED_SIZE])
    except zstandard.ZstdError as error:
        raise CorruptEvent(f"a transaction payload cannot be unpacked: {error}") from error


def _fields(body: bytes) -> tuple[dict[int, int], int]:
    """Return the header's numbers by their type, and the offset of the data behind it."""
    found: dict[int, int] = {}
    at = 0
    try:
        while True:
            field, at = read_lenenc(body, at)
            if field == 0:
                return found, at
            length, at = read_lenenc(body, at)
            if field in (_ALGORITHM, _UNPACKED_SIZE):
                found[field], _ = read_lenenc(body, at)
            at += length
    except IndexError as error:
        raise CorruptEvent("a transaction payload's header cannot be read") from error


def _events(source: _Source, announced: int) -> Iterator[bytes]:
    """Cut the events out of unpacked bytes, of which there must be as many as announced."""
    rest, left = b"", announced  # `left`: how many bytes are still to be read from the source
    while chunk := source.read(min(_CHUNK, left)):
        left -= len(chunk)
        rest += chunk
        at = 0
        while len(rest) - at >= _HEADER:
            (size,) = struct.unpack_from("<I", rest, at + 9)
            if size < _HEADER:
                raise CorruptEvent(f"an event of {size} bytes inside a transaction payload")
            missing = size - (len(rest) - at)
            if missing > left:
                raise CorruptEvent(f"an event of {size} bytes inside a transaction payload of {announced} bytes is cut")
            if missing > 0:
                # A large event in one go: to add to it chunk by chunk would copy it again for each.
                rest, at = rest[at:] + _read_exactly(source, missing), 0
                left -= missing
            yield rest[at : at + size]
            at += size
        rest = rest[at:]
    if rest or left:
        raise CorruptEvent(f"{len(rest) or left} bytes of a transaction payload are left over or missing")
    if source.read(1):
        raise CorruptEvent(f"a transaction payload holds more than the {announced} bytes that it announces")


def _read_exactly(source: _Source, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise CorruptEvent("a transaction payload ends inside an event")
    return data
