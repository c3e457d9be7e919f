"""Unpack MySQL's TRANSACTION_PAYLOAD event: all events of one transaction, compressed with zstd.

Layout: MySQL's payload_event_body_encoding.h. Triples of type, length and value come first (type 1 is the size, 2 the
algorithm, 3 the uncompressed size, 0 ends them), then the data. Inner events have no checksum and no position.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Protocol

import zstandard

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.reader.parsers.lenenc import read_lenenc

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


_ZSTD, _NONE = 0, 255
_ALGORITHM, _UNPACKED_SIZE = 2, 3
_CHUNK = 1024 * 1024
_HEADER = 19


def unpack_payload(body: bytes) -> Iterator[bytes]:
    """Yield the events inside the body of a payload event, one at a time.

    The memory that this needs is that of the largest inner event and a read of 1 MiB. The size that the body announces
    is a limit: an inner event that is larger than what is left of it is refused before it is unpacked.

    Raises:
        CorruptEvent: the data cannot be unpacked, or its size is not the announced one.
        UnsupportedEvent: the compression algorithm is not known.
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
    """Return the numbers of the header by their type, and the offset of the data after it."""
    fields: dict[int, int] = {}
    at = 0
    try:
        while True:
            field, at = read_lenenc(body, at)
            if field == 0:
                return fields, at
            length, at = read_lenenc(body, at)
            if field in (_ALGORITHM, _UNPACKED_SIZE):
                fields[field], _ = read_lenenc(body, at)
            at += length
    except IndexError as error:
        raise CorruptEvent("a transaction payload's header cannot be read") from error


def _events(source: _Source, announced: int) -> Iterator[bytes]:
    """Yield the events of the unpacked bytes. Raises CorruptEvent if there are more or fewer bytes than announced."""
    rest, left = b"", announced  # `left` is the number of announced bytes that are not yet read
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
                # Read the rest of a large event at once: adding chunk by chunk would copy the event for each chunk.
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
