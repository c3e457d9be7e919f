"""Documents that arrive as text: whether MySQL keeps them as they are, and those whose text hides types.

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
    """What a document holds and MySQL does not."""


def text_value(text: bytes) -> bytes:
    """Return JSON that is text already (MariaDB's) as SQL that can be put into a JSON column.

    Raises UnsupportedEvent where MySQL would keep another document.
    """
    return as_text(_exact(text))


def text_key(text: bytes) -> bytes:
    """Return JSON that is text already as SQL of type JSON. Raises UnsupportedEvent."""
    return b"CAST(%b AS JSON)" % as_text(_exact(text))


def difference(text: bytes) -> str | None:
    """Say what MySQL would not keep of a document; None where its own is the same but for spaces and order of keys."""
    try:
        json.loads(
            text.decode(), object_pairs_hook=_distinct, parse_int=_whole, parse_float=_real, parse_constant=_constant
        )
    except _NotExact as error:
        return str(error)
    except RecursionError:
        return "it is nested too deep"
    except ValueError:
        return "it is no JSON"
    return None


def _exact(text: bytes) -> bytes:
    found = difference(text)
    if found is not None:
        raise UnsupportedEvent(
            f"a JSON document cannot be kept as it is on MySQL: {found}",
            hint="correct the document on the primary, or leave the table out",
        )
    return text


def _distinct(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _NotExact("a key is there twice")


def _whole(text: str) -> None:
    # What does not fit becomes a DOUBLE; -0 becomes 0.
    if not _LOWEST <= int(text) <= _HIGHEST or text == "-0":
        raise _NotExact("a whole number is beyond 64 bits, or is -0")


def _real(text: str) -> None:
    number = float(text)
    if number - number or Decimal(text) != Decimal(repr(number)):
        raise _NotExact("a number has more digits than a DOUBLE")


def _constant(text: str) -> None:
    raise _NotExact(f"{text} is no number")


@dataclass(slots=True)
class _Node:
    """A value of the document: the text of a scalar, or what is inside."""

    shape: str
    text: str = ""
    children: tuple[_Node, ...] = ()
    keys: tuple[str, ...] = ()
    kind: str = ""


def typed_value(text: bytes, top: str, kinds: Sequence[str | None]) -> bytes:
    """Return SQL that makes a document of MySQL with all of its types.

    `top` is the document's JSON_TYPE, `kinds` those of JSON_EXTRACT(document, '$**.*', '$**[*]') in order, null as
    None. Raises UnsupportedEvent for a type that no SQL can make, and where types and text do not fit each other.
    """
    root = _node(json.loads(text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number))
    found = [root, *_inside(root, "OBJECT"), *_inside(root, "ARRAY")]
    if len(found) != len(kinds) + 1:
        raise UnsupportedEvent("a JSON document has not as many values as types")
    for node, kind in zip(found, (top, *kinds), strict=True):
        node.kind = kind or "NULL"
    return _value(root).as_value()


class _Number(str):
    """A number's own text."""

    __slots__ = ()


class _Pairs(list[tuple[str, object]]):
    """An object's members, in order."""


def _node(value: object) -> _Node:
    if isinstance(value, _Pairs):
        return _Node("OBJECT", "", tuple(_node(inner) for _, inner in value), tuple(key for key, _ in value))
    if isinstance(value, list):
        return _Node("ARRAY", "", tuple(map(_node, value)))
    if isinstance(value, str):
        return _Node("NUMBER" if isinstance(value, _Number) else "STRING", value)
    return _Node("LITERAL", "null" if value is None else str(value).lower())


def _inside(node: _Node, shape: str) -> Iterator[_Node]:
    # As the server walks: all members of one object, then into each of them.
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
        raise _unmade(node.kind)
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
        raise _unmade("BLOB")
    return bytes_value(data, _VARCHAR)


def _unmade(kind: str) -> UnsupportedEvent:
    return UnsupportedEvent(
        f"a JSON document holds a value of type {kind}, which no SQL can make on the secondary",
        hint="make it a string on the primary (CAST(CAST(document AS CHAR) AS JSON)), or leave the table out",
    )
