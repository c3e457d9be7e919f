"""Make literals of strings: escape and quote them, and unpack MariaDB's compressed columns."""

from __future__ import annotations

import re
import zlib

from replica_cli.core.errors import CorruptEvent, UnsupportedEvent

_INTRODUCER = re.compile(r"[a-z0-9_]+")
_METHOD_PLAIN = 0
_METHOD_ZLIB = 8
_IS_RAW_DEFLATE = 0x08
_LENGTH_BYTES = 0x07


def escape(value: bytes) -> bytes:
    """Escape a value for use between single quotes, in a session in which a backslash escapes."""
    return value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")


def quote(value: bytes) -> bytes:
    """Return a quoted literal of exactly these bytes. Only quotes and backslashes are escaped, not NUL."""
    return b"'%b'" % (value if 39 not in value and 92 not in value else escape(value))


def key_template(charset: str | None) -> bytes:
    """Return the `%` template for the hex digits of a value, with the charset, so that the server uses an index.

    Raises:
        UnsupportedEvent: the charset's name has unexpected characters.
    """
    if charset is None or charset == "binary":
        return b"x'%b'"
    if not _INTRODUCER.fullmatch(charset):
        raise UnsupportedEvent(f"{charset!r} is not the name of a charset")
    return b"_%b x'%%b'" % charset.encode()


def unpack(value: bytes) -> bytes:
    """Return the content of a MariaDB COMPRESSED value.

    The layout is one byte, the length with its high byte first, and the stream. The byte has the method in its high
    half, and in its low half one bit for raw deflate and the number of length bytes. No bytes mean the empty string.
    Source: MariaDB sql/field_comp.cc.

    Raises:
        CorruptEvent: the value cannot be unpacked, or its size is not the announced one.
        UnsupportedEvent: the method is not zlib.
    """
    if not value:
        return value
    method, header = value[0] >> 4, value[0] & 0x0F
    if method == _METHOD_PLAIN and not header:
        return value[1:]
    if method != _METHOD_ZLIB:
        raise UnsupportedEvent(f"a COMPRESSED column's value is packed by method {method}, which is not known")
    start = 1 + (header & _LENGTH_BYTES)
    length = int.from_bytes(value[1:start], "big")
    stream = zlib.decompressobj(-zlib.MAX_WBITS if header & _IS_RAW_DEFLATE else zlib.MAX_WBITS)
    try:
        # Unpack one byte more than announced: that shows that a stream is longer, without unpacking all of it.
        content = stream.decompress(value[start:], length + 1)
    except zlib.error as error:
        raise CorruptEvent(f"a COMPRESSED column's value cannot be unpacked: {error}") from error
    if len(content) != length or stream.unused_data or not stream.eof:
        raise CorruptEvent(f"a COMPRESSED column's value does not have the {length} bytes that it announces")
    return content
