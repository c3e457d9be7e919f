"""Write definitions in one spelling, so that two spellings of the same thing compare as equal.

It covers display widths, aliases, and the different words that the two flavours use for the same type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.core.charsets import canonical_charset
from replica_cli.sqlbuilder.definitions.crossing import FIXED_BINARIES_ON_MYSQL
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, Token, join, solid, string_literal, string_value, tokenise

if TYPE_CHECKING:
    from replica_cli.core.table import Column, TableDefinition

_WIDTH = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint)\(\d+\)")
# The format in which MariaDB before 5.6 stored times. The secondary uses the format that its mysql56_temporal_format
# says; the values are the same.
_OLD_TEMPORAL = re.compile(r" /\* mariadb-5\.3 \*/")
# MySQL has no such attribute. The copy leaves it out.
_COMPRESSED = re.compile(r" /\*M?!\d+ COMPRESSED\*/", re.IGNORECASE)
_ALIASES = {"geomcollection": "geometrycollection", "year(4)": "year"}
# Of two names for one function, each flavour prints the one that it prefers.
_FUNCTIONS = {"lcase": "lower", "ucase": "upper", "substring": "substr", "ceil": "ceiling", "now": "current_timestamp",
              "character_length": "char_length", "octet_length": "length"}  # fmt: skip
_RULES = {"NO ACTION": "RESTRICT"}


def is_json(column: Column, table: TableDefinition) -> bool:
    """Return True for a JSON column: MySQL's type, or MariaDB's LONGTEXT with the check that the JSON alias adds."""
    if column.data_type == "json":
        return True
    check = compact(f"json_valid({quote(column.name)})")
    return (
        column.data_type == "longtext"
        and column.collation == "utf8mb4_bin"
        and any(compact(clause) == check for _, clause in table.checks)
    )


def column_type(column: Column, table: TableDefinition, *, is_same_flavour: bool = True) -> str:
    """Return the column's type in one spelling.

    Between two flavours, UUID and INET types are returned as the binary types that they become.
    """
    if not is_same_flavour and column.data_type in FIXED_BINARIES_ON_MYSQL:
        return FIXED_BINARIES_ON_MYSQL[column.data_type]
    if is_json(column, table):
        return "json"
    text = _OLD_TEMPORAL.sub("", column.column_type)
    if not is_same_flavour:
        text = _COMPRESSED.sub("", text)
    if "zerofill" not in text:
        # The width of a zero-filled number changes its text. For all other numbers the width has no effect.
        text = _WIDTH.sub(r"\1", text)
    return _ALIASES.get(text, text)


def charset(name: str | None) -> str | None:
    """Return a charset or collation under its new name: utf8 is utf8mb3."""
    return canonical_charset(name) if name else name


def rule(name: str) -> str:
    """Return a foreign key's rule under one name: InnoDB treats NO ACTION as RESTRICT."""
    return _RULES.get(name, name)


def compact(expression: str) -> str:
    """Return an expression without spaces, charset introducers and outer parentheses, and with words in lower case."""
    tokens = solid(tokenise(expression, CATALOG))
    while len(tokens) > 1 and tokens[0].is_symbol("(") and _closes_last(tokens):
        tokens = tokens[1:-1]
    return join(_plain(t) for t in tokens if not _is_introducer(t))


def loose(expression: str) -> str:
    """Return an expression as `compact` does, also without inner parentheses and with one name for each function.

    MySQL prints every pair of parentheses, MariaDB only those that are needed.
    """
    tokens = (t for t in tokenise(compact(expression), CATALOG) if not t.is_symbol("(", ")"))
    return "".join(_FUNCTIONS.get(t.text, t.text) if t.kind is Kind.WORD else t.text for t in tokens).replace(
        "<>", "!="
    )


def _closes_last(tokens: list[Token]) -> bool:
    """Return True if the first parenthesis is closed by the last token."""
    depth = 0
    for number, token in enumerate(tokens):
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0:
            return number == len(tokens) - 1
    return False


def _plain(token: Token) -> Token:
    if token.kind is Kind.WORD:
        # The spaces keep two words apart.
        return Token(Kind.WORD, f" {token.text.lower()} ")
    if token.kind is Kind.STRING:
        return Token(Kind.STRING, string_literal(string_value(token.text)))
    return token


def _is_introducer(token: Token) -> bool:
    return token.kind is Kind.WORD and token.text.lower() in ("_utf8mb4", "_utf8mb3", "_utf8", "_latin1")
