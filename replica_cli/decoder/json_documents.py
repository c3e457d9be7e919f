"""Turn JSON documents that arrive as text into SQL for a JSON column of MySQL.

MariaDB's documents are only text: they are checked for what MySQL would not keep. MySQL's documents have values whose
types the text does not show: they are made with all their types.
Source of the types: JSON_TYPE, https://dev.mysql.com/doc/refman/en/json-attribute-functions.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from replica_cli.core.errors import UnsupportedEvent
from replica_cli.decoder.json_sql import (
    BYTES_LIMIT,
    Value,
    array_value,
    as_text,
    bytes_value,
    decimal_value,
    object_value,
    string_text,
    temporal_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOWEST, _HIGHEST = -(1 << 63), (1 << 64) - 1
_TEMPORALS = {"DATE": b"DATE", "TIME": b"TIME(6)", "DATETIME": b"DATETIME(6)"}
_BASE64 = re.compile(rb"base64:type(\d+):(.*)", re.DOTALL)
_VARCHAR = 15


class _NotExact(ValueError):
    """A document holds something that MySQL would not keep."""


def text_value(text: bytes) -> bytes:
    """Return SQL that can be written into a JSON column, from JSON that is text (MariaDB's).

    Raises:
        UnsupportedEvent: MySQL would keep another document.
    """
    return as_text(_exact(text))


def text_key(text: bytes) -> bytes:
    """Return SQL of type JSON, from JSON that is text. Raises as `text_value`."""
    return b"CAST(%b AS JSON)" % as_text(_exact(text))


def difference(text: bytes) -> str | None:
    """Return what MySQL would not keep of a document, None if only spaces and the order of keys would change."""
    try:
        json.loads(
            text.decode(),
            object_pairs_hook=_check_keys,
            parse_int=_check_integer,
            parse_float=_check_real,
            parse_constant=_refuse_constant,
        )
    except _NotExact as error:
        return str(error)
    except RecursionError:
        return "it is nested too deep"
    except ValueError:
        return "it is not valid JSON"
    return None


def _exact(text: bytes) -> bytes:
    reason = difference(text)
    if reason is not None:
        raise UnsupportedEvent(
            f"MySQL cannot store a JSON document unchanged: {reason}",
            hint="correct the document on the primary, or exclude the table (REPLICA_EXCLUDE_TABLES)",
        )
    return text


def _check_keys(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _NotExact("a key occurs twice")


def _check_integer(text: str) -> None:
    # MySQL makes a DOUBLE of a number that does not fit, and 0 of -0.
    if not _LOWEST <= int(text) <= _HIGHEST or text == "-0":
        raise _NotExact("a whole number is beyond 64 bits, or is -0")


def _check_real(text: str) -> None:
    number = float(text)
    if number - number or Decimal(text) != Decimal(repr(number)):
        raise _NotExact("a number has more digits than a DOUBLE")


def _refuse_constant(text: str) -> None:
    raise _NotExact(f"{text} is not a number")


@dataclass(slots=True)
class _Node:
    """A value of a document.

    `shape` is what the text shows: OBJECT, ARRAY, STRING, NUMBER or LITERAL. `kind` is its JSON_TYPE.
    """

    shape: str
    text: str = ""
    children: tuple[_Node, ...] = ()
    keys: tuple[str, ...] = ()
    kind: str = ""


def typed_value(text: bytes, top: str, kinds: Sequence[str | None]) -> bytes:
    """Return SQL that can be written into a JSON column and makes a document of MySQL with all its types.

    Args:
        text: the document as text.
        top: the JSON_TYPE of the document.
        kinds: the JSON_TYPE of each value of JSON_EXTRACT(document, '$**.*', '$**[*]'), in order; None for null.

    Raises:
        UnsupportedEvent: no SQL can make a value of one of the types, or the types do not fit the text.
    """
    root = _node(json.loads(text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number))
    nodes = [root, *_inside(root, "OBJECT"), *_inside(root, "ARRAY")]
    if len(nodes) != len(kinds) + 1:
        raise UnsupportedEvent("a JSON document has another number of values than of types")
    for node, kind in zip(nodes, (top, *kinds), strict=True):
        node.kind = kind or "NULL"
    return _value(root).as_value()


class _Number(str):
    """The text of a number. A class of its own tells numbers from strings."""

    __slots__ = ()


class _Pairs(list[tuple[str, object]]):
    """The members of an object, in order. A class of its own tells objects from arrays."""


def _node(value: object) -> _Node:
    if isinstance(value, _Pairs):
        return _Node("OBJECT", "", tuple(_node(inner) for _, inner in value), tuple(key for key, _ in value))
    if isinstance(value, list):
        return _Node("ARRAY", "", tuple(map(_node, value)))
    if isinstance(value, str):
        return _Node("NUMBER" if isinstance(value, _Number) else "STRING", value)
    return _Node("LITERAL", "null" if value is None else str(value).lower())


def _inside(node: _Node, shape: str) -> Iterator[_Node]:
    # The order of the server: first all members of one object, then the values inside each of them.
    if node.shape == shape:
        yield from node.children
    for child in node.children:
        yield from _inside(child, shape)


_SHAPES = {
    "OBJECT": "OBJECT", "ARRAY": "ARRAY", "STRING": "STRING", "BOOLEAN": "LITERAL", "NULL": "LITERAL",
    "INTEGER": "NUMBER", "UNSIGNED INTEGER": "NUMBER", "DOUBLE": "NUMBER", "DECIMAL": "NUMBER", "DATE": "STRING",
    "TIME": "STRING", "DATETIME": "STRING", "BLOB": "STRING",
}  # fmt: skip


def _value(node: _Node) -> Value:
    if node.kind not in _SHAPES:
        raise _not_makeable(node.kind)
    if _SHAPES[node.kind] != node.shape:
        raise UnsupportedEvent(f"a JSON document has a value of type {node.kind} where its text has none")
    if node.shape == "OBJECT":
        return object_value([key.encode() for key in node.keys], [_value(child) for child in node.children])
    if node.shape == "ARRAY":
        return array_value([_value(child) for child in node.children])
    text = node.text.encode()
    if node.kind == "DECIMAL":
        digits, _, fraction = text.lstrip(b"-").partition(b".")
        return decimal_value(text, max(1, len(digits.lstrip(b"0")) + len(fraction)), len(fraction))
    if node.kind in _TEMPORALS:
        return temporal_value(text, _TEMPORALS[node.kind])
    if node.kind == "BLOB":
        return _bytes(text)
    return Value(string_text(text) if node.kind == "STRING" else text)


def _bytes(text: bytes) -> Value:
    match = _BASE64.fullmatch(text)
    try:
        data = base64.b64decode(match[2]) if match else b""
    except binascii.Error as error:
        raise UnsupportedEvent(f"a JSON document's bytes cannot be read: {error}") from error
    if match is None or int(match[1]) != _VARCHAR or len(data) > BYTES_LIMIT:
        raise _not_makeable("BLOB")
    return bytes_value(data, _VARCHAR)


def _not_makeable(kind: str) -> UnsupportedEvent:
    return UnsupportedEvent(
        f"a JSON document holds a value of type {kind}, which no SQL can make on the secondary",
        hint="make it a string on the primary (CAST(CAST(document AS CHAR) AS JSON)), or exclude the table",
    )
