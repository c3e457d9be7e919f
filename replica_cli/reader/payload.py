"""MySQL's TRANSACTION_PAYLOAD event: a whole transaction's events, packed with zstd.

Layout: MySQL's payload_event_body_encoding.h: type, length, value triples (1 size, 2 algorithm, 3 uncompressed size,
0 ends them), then the data. Inner events have no checksum and no position of their own.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import zstandard

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent
from replica_cli.reader.lenenc import read_lenenc

if TYPE_CHECKING:
    from collections.abc import Iterator

_ZSTD, _NONE = 0, 255
_CHUNK = 1024 * 1024


def unpack_payload(body: bytes) -> Iterator[bytes]:
    """Yield the events inside a payload event's body, one at a time: memory stays that of the largest event."""
    algorithm, at = _ZSTD, 0
    try:
        while True:
            field, at = read_lenenc(body, at)
            if field == 0:
                break
            length, at = read_lenenc(body, at)
            if field == 2:
                algorithm, _ = read_lenenc(body, at)
            at += length
    except IndexError as error:
        raise CorruptEvent("a transaction payload's header cannot be read") from error
    if algorithm not in (_ZSTD, _NONE):
        raise UnsupportedEvent(f"a transaction payload uses compression algorithm {algorithm}")
    chunks = iter((body[at:],)) if algorithm == _NONE else _decompress(body[at:])
    yield from _events(chunks)


def _decompress(data: bytes) -> Iterator[bytes]:
    try:
        yield from zstandard.ZstdDecompressor().read_to_iter(data, write_size=_CHUNK)
    except zstandard.ZstdError as error:
        raise CorruptEvent(f"a transaction payload cannot be unpacked: {error}") from error


def _events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        at = 0
        while len(rest) - at >= 19:
            (size,) = struct.unpack_from("<I", rest, at + 9)
            if size < 19:
                raise CorruptEvent(f"an event of {size} bytes inside a transaction payload")
            if len(rest) - at < size:
                break
            yield rest[at : at + size]
            at += size
        rest = rest[at:]
    if rest:
        raise CorruptEvent(f"{len(rest)} bytes are left over in a transaction payload")
