"""Strings: escaping, padding, MariaDB's compressed columns, and the types that travel as strings."""

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
    """Escape a value that goes between single quotes, in a session where backslash escapes."""
    return value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")


def quote(value: bytes) -> bytes:
    """Return a quoted literal of these very bytes; NUL and all others are sent as they are."""
    return b"'%b'" % (value if 39 not in value and 92 not in value else escape(value))


def key_template(charset: str | None) -> bytes:
    """Return the `%` template that a value's hex digits go into, with the charset that lets an index be used."""
    if charset is None or charset == "binary":
        return b"x'%b'"
    if not _INTRODUCER.fullmatch(charset):
        raise UnsupportedEvent(f"{charset!r} is no name of a charset")
    return b"_%b x'%%b'" % charset.encode()


def unpack(value: bytes) -> bytes:
    """Return the content of a MariaDB COMPRESSED value.

    Layout: one byte (method in the high half; in the low half one bit for raw deflate and the number of length bytes),
    the length high byte first, the stream. Nothing at all stands for the empty string.
    Raises CorruptEvent, and UnsupportedEvent for a method other than zlib. Source: MariaDB sql/field_comp.cc.
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
        # One byte more than announced, so that a stream that goes on is noticed without unpacking all of it.
        content = stream.decompress(value[start:], length + 1)
    except zlib.error as error:
        raise CorruptEvent(f"a COMPRESSED column's value cannot be unpacked: {error}") from error
    if len(content) != length or stream.unused_data or not stream.eof:
        raise CorruptEvent(f"a COMPRESSED column's value has not the {length} bytes that it announces")
    return content
