"""Build SQL that makes JSON documents: from text, or from an expression if text would make another type.

Dates, times, decimals and bytes are "opaque" values in MySQL's documents: text alone makes strings and doubles of them.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.decoder.strings import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPED = re.compile(rb'[\x00-\x1f"\\]')
_ESCAPES = {b'"': b'\\"', b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
# The most bytes that a literal of type VARCHAR holds. Longer literals become BLOB.
BYTES_LIMIT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Value:
    """A value as text, and an SQL expression that makes exactly this value, None if the text alone makes it."""

    text: bytes
    expression: bytes | None = None

    def as_json(self) -> bytes:
        """Return SQL of type JSON."""
        return self.expression or b"CAST(%b AS JSON)" % as_text(self.text)

    def as_value(self) -> bytes:
        """Return SQL that can be written into a JSON column."""
        return self.expression or as_text(self.text)


def as_text(text: bytes) -> bytes:
    """Return a string literal that a JSON column accepts."""
    # A JSON column refuses binary strings, and all literals of the session are binary.
    return b"CONVERT(%b USING utf8mb4)" % quote(text)


def string_text(value: bytes) -> bytes:
    """Return a JSON string, escaped as the server escapes it."""
    escaped = _ESCAPED.sub(lambda m: _ESCAPES.get(m[0]) or b"\\u%04x" % m[0][0], value)
    return b'"%b"' % escaped


def decimal_value(text: bytes, precision: int, scale: int) -> Value:
    """Return a DECIMAL of exactly this precision and scale, because the document stores both."""
    # A literal's precision is its number of digits. A literal without a point is not a DECIMAL.
    if scale and precision == len(text.lstrip(b"-")) - 1:
        return Value(text, b"CAST(%b AS JSON)" % text)
    return Value(text, b"CAST(CAST(%b AS DECIMAL(%d,%d)) AS JSON)" % (text, precision, scale))


def temporal_value(text: bytes, kind: bytes) -> Value:
    """Return a date or time; `kind` is its SQL type, such as TIME(6)."""
    return Value(b'"%b"' % text, b"CAST(CAST('%b' AS %b) AS JSON)" % (text, kind))


def bytes_value(data: bytes, code: int) -> Value:
    """Return bytes; `code` is the type code that the document gives for them."""
    text = b'"base64:type%d:%b"' % (code, base64.b64encode(data))
    return Value(text, b"CAST(x'%b' AS JSON)" % data.hex().encode())


def object_value(keys: Sequence[bytes], values: Sequence[Value]) -> Value:
    """Return an object."""
    pairs = list(zip(keys, values, strict=True))
    text = b"{%b}" % b", ".join(b"%b: %b" % (string_text(k), v.text) for k, v in pairs)
    if all(v.expression is None for v in values):
        return Value(text)
    return Value(text, b"JSON_OBJECT(%b)" % b", ".join(b"%b, %b" % (as_text(k), v.as_json()) for k, v in pairs))


def array_value(values: Sequence[Value]) -> Value:
    """Return an array."""
    text = b"[%b]" % b", ".join(v.text for v in values)
    if all(v.expression is None for v in values):
        return Value(text)
    return Value(text, b"JSON_ARRAY(%b)" % b", ".join(v.as_json() for v in values))
