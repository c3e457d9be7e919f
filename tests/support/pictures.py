"""Makes a picture of a page small enough for the documents: at most 256 colours."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOR, _WITH_ALPHA, _PALETTE = 2, 6, 3


def small_png(data: bytes) -> bytes:
    """Return a PNG of 8 bits for each channel with its most frequent colours; others become the nearest of these.

    Source: https://www.w3.org/TR/png-3/
    """
    chunks = list(_chunks(data))
    width, height, _, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    size = {_TRUE_COLOR: 3, _WITH_ALPHA: 4}[kind]
    rows = _unfiltered(zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")), width * size, size)
    pixels = [[row[i : i + 3] for i in range(0, len(row), size)] for row in rows]
    counts = Counter(pixel for row in pixels for pixel in row)
    palette = [color for color, _ in counts.most_common(256)]
    index = {color: number for number, color in enumerate(palette)}
    for color in counts.keys() - index.keys():
        index[color] = min(range(len(palette)), key=lambda n, c=color: _distance(palette[n], c))  # type: ignore[misc]  # mypy knows no default of a lambda
    lines = b"".join(b"\0" + bytes(index[pixel] for pixel in row) for row in pixels)
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(lines, 9)),
            (b"IEND", b""),
        )
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _unfiltered(data: bytes, length: int, size: int) -> list[bytes]:
    """Return the lines of a picture: each byte may have been written as a difference to its neighbours."""
    rows: list[bytes] = []
    above = bytearray(length)
    for at in range(0, len(data), length + 1):
        kind, row = data[at], bytearray(data[at + 1 : at + 1 + length])
        for i in range(length):
            left = row[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            row[i] = (row[i] + _predicted(kind, left, above[i], corner)) & 0xFF
        rows.append(bytes(row))
        above = row
    return rows


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    if kind < 4:
        return (0, left, above, (left + above) // 2)[kind]
    guess = left + above - corner
    near = (abs(guess - left), abs(guess - above), abs(guess - corner))
    return (left, above, corner)[near.index(min(near))]
