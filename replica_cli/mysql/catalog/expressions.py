"""Bring defaults and expressions of information_schema into one form for both flavours.

MariaDB writes a default as SQL ('it''s', 5, NULL, concat('a','b')). MySQL writes the bare value (it's, 5, no text for
NULL), and expressions with escaped quotes. In the common form a default is the text that may follow DEFAULT.
"""

from __future__ import annotations

import re

from replica_cli.core.column_types import BYTES, INTEGERS, REALS
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, join, solid, string_literal, string_value, tokenise

_NUMBERS = INTEGERS | REALS | {"decimal", "year", "bit"}
_NOW = re.compile(r"^(?:current_timestamp|now|localtime|localtimestamp)(?:\(\s*(\d*)\s*\))?$", re.IGNORECASE)
_NUMBER = re.compile(r"^-?[\d.]+(?:e[+-]?\d+)?$", re.IGNORECASE)


def mariadb_default(text: str | None, data_type: str) -> str | None:
    """Return MariaDB's column_default in the common form: None for no default, expressions in parentheses."""
    if text is None or text == "NULL":
        return text
    if now := _now(text):
        return now
    tokens = solid(tokenise(text, CATALOG))
    shape = [t.kind for t in tokens]
    if shape == [Kind.STRING]:
        value = string_value(text)
        return binary_default(value.encode(), data_type) if data_type in BYTES else string_literal(value)
    if shape == [Kind.WORD, Kind.STRING] and tokens[0].is_word("X", "B"):
        digits = string_value(tokens[1].text)
        is_binary = tokens[0].is_word("X") and data_type in BYTES
        return binary_default(bytes.fromhex(digits), data_type) if is_binary else text.lower()
    if _NUMBER.match(text):
        return text
    return _parenthesised(text)


def mysql_default(text: str | None, data_type: str, extra: str, *, is_nullable: bool) -> str | None:
    """Return MySQL's column_default in the common form, as `mariadb_default` does."""
    is_expression = "DEFAULT_GENERATED" in extra.upper()
    if text is None:
        return "NULL" if is_nullable else None
    if is_expression:
        text = unescaped(text)
        return _now(text) or _parenthesised(text)
    # MySQL before 8.0.13 does not show DEFAULT_GENERATED. Only temporal columns may have the function as default then.
    if data_type in ("timestamp", "datetime") and (now := _now(text)):
        return now
    if data_type in _NUMBERS:
        return text
    if data_type in BYTES:
        value = bytes.fromhex(text[2:]) if text.lower().startswith("0x") else text.encode()
        return binary_default(value, data_type)
    return string_literal(text)


def binary_default(value: bytes, data_type: str) -> str:
    """Return a default of a binary column. BINARY pads values with zero bytes, so zero bytes at the end are removed."""
    if data_type == "binary":
        value = value.rstrip(b"\0")
    return f"x'{value.hex()}'" if value else "''"


def unescaped(text: str) -> str:
    r"""Return an expression of MySQL's information_schema as SQL: the server writes \' for ' and \\ for \."""
    return string_value(f"'{text}'") if "\\" in text else text


def extra_text(text: str) -> str:
    """Return information_schema's `extra` without words that only repeat what the default says, in one spelling."""
    words = " ".join(text.replace("DEFAULT_GENERATED", "").replace(",", " ").split())
    return re.sub(r"on update current_timestamp\(\)", "on update current_timestamp", words, flags=re.IGNORECASE)


def _now(text: str) -> str | None:
    match = _NOW.match(text)
    if match is None:
        return None
    digits = match[1]
    return f"CURRENT_TIMESTAMP({digits})" if digits and digits != "0" else "CURRENT_TIMESTAMP"


def _parenthesised(text: str) -> str:
    # One pair of parentheses marks an expression, so a pair that the server kept is not doubled.
    tokens = tokenise(text.strip(), CATALOG)
    depth = 0
    for index, token in enumerate(tokens):
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0:
            is_whole = index == len(tokens) - 1 and tokens[0].is_symbol("(")
            return join(tokens) if is_whole else f"({join(tokens)})"
    return f"({text})"
