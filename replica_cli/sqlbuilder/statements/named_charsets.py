"""Find the charsets and collations in a statement, and write others in their place.

Which collation a charset without one means depends on the session and on the server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import Kind, string_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replica_cli.sqlbuilder.statements.statement import ParsedStatement
    from replica_cli.sqlbuilder.tokens import Token


def bare_charsets(parsed: ParsedStatement) -> dict[int, str]:
    """Return the charset names (lower case) that have no COLLATE or BINARY in the same item, by token index."""
    return {index: name for index, name, item in _named_charsets(parsed.tokens) if not _is_settled(item)}


def with_collations(parsed: ParsedStatement, collations: Mapping[int, str]) -> ParsedStatement:
    """Return the statement with a COLLATE after the charset names at these token indexes."""
    tokens = list(parsed.tokens)
    for index, collation in collations.items():
        tokens[index] = tokens[index]._replace(text=f"{tokens[index].text} COLLATE {collation}")
    return replace(parsed, tokens=tuple(tokens))


def named_collations(parsed: ParsedStatement) -> Iterator[tuple[int, str]]:
    """Yield the token index and the name (lower case) of each collation in a statement."""
    solid = [i for i, t in enumerate(parsed.tokens) if not t.is_blank]
    for n, index in enumerate(solid):
        if not parsed.tokens[index].is_word("COLLATE"):
            continue
        rest = [i for i in solid[n + 1 : n + 3] if not parsed.tokens[i].is_symbol("=")]
        if rest and parsed.tokens[rest[0]].kind in (Kind.WORD, Kind.NAME, Kind.STRING):
            yield rest[0], _text(parsed.tokens[rest[0]])


def with_utf8_as_utf8mb4(parsed: ParsedStatement) -> ParsedStatement:
    """Return the statement with utf8mb4 instead of utf8, which is what MariaDB reads without UTF8_IS_UTF8MB3."""
    charsets = {index: "utf8mb4" for index, name, _ in _named_charsets(parsed.tokens) if name == "utf8"}
    collations = {
        index: name.replace("utf8_", "utf8mb4_", 1)
        for index, name in named_collations(parsed)
        if name.startswith("utf8_")
    }
    return with_names(parsed, {**charsets, **collations})


def asks_for_default_charset(parsed: ParsedStatement) -> bool:
    """Return True if a statement asks for the schema's charset by the word DEFAULT."""
    return any(parsed.tokens[index].is_word("DEFAULT") for index, *_ in _named_charsets(parsed.tokens))


def names_table_charset(parsed: ParsedStatement) -> bool:
    """Return True if a CREATE TABLE names the table's own charset or collation."""
    end = _end_of_columns(parsed)
    if end is None:
        return False
    depth = 0
    for token in parsed.tokens[end + 1 :]:
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0 and token.is_word("PARTITION", "SELECT"):
            return False
        if depth == 0 and token.is_word("CHARSET", "CHARACTER", "COLLATE"):
            return True
    return False


def with_table_collation(parsed: ParsedStatement, collation: str) -> ParsedStatement:
    """Return a CREATE TABLE with the table's collation after its list of columns. Without a list it is unchanged."""
    end = _end_of_columns(parsed)
    if end is None:
        return parsed
    charset = collation.partition("_")[0]
    return with_names(parsed, {end: f") DEFAULT CHARACTER SET {charset} COLLATE {collation}"})


def _end_of_columns(parsed: ParsedStatement) -> int | None:
    """Return the token index of the parenthesis that ends the list of columns, or None if there is no list."""
    depth = 0
    for index in range(parsed.references[0].last + 1, len(parsed.tokens)):
        token = parsed.tokens[index]
        if not (depth or token.is_blank or token.kind is Kind.OPEN or token.is_symbol("(")):
            return None
        depth += token.is_symbol("(") - token.is_symbol(")")
        if not depth and token.is_symbol(")"):
            return index
    return None


def with_names(parsed: ParsedStatement, names: Mapping[int, str]) -> ParsedStatement:
    """Return the statement with other texts at these token indexes."""
    tokens = tuple(t._replace(text=names[i]) if i in names else t for i, t in enumerate(parsed.tokens))
    return replace(parsed, tokens=tokens)


def _text(token: Token) -> str:
    return (string_value(token.text) if token.kind is Kind.STRING else token.name).lower()


def _named_charsets(tokens: tuple[Token, ...]) -> Iterator[tuple[int, str, list[Token]]]:
    """Yield for each charset its token index, its name and the tokens of its item, as `_items` defines it."""
    items = _items(tokens)
    solid = [i for i, t in enumerate(tokens) if not t.is_blank]
    for n, index in enumerate(solid):
        if tokens[index].is_word("CHARSET"):
            at = n + 1
        elif tokens[index].is_word("CHARACTER") and n + 1 < len(solid) and tokens[solid[n + 1]].is_word("SET"):
            at = n + 2
        else:
            continue
        if at < len(solid) and tokens[solid[at]].is_symbol("="):
            at += 1
        if at < len(solid) and tokens[solid[at]].kind in (Kind.WORD, Kind.NAME, Kind.STRING):
            yield solid[at], _text(tokens[solid[at]]), [tokens[i] for i in items[solid[at]]]


def _items(tokens: tuple[Token, ...]) -> dict[int, list[int]]:
    """Return by token index the indexes of its item: of all tokens between the same commas and parentheses."""
    items: dict[int, list[int]] = {}
    levels: list[list[int]] = [[]]
    for index, token in enumerate(tokens):
        if token.is_symbol("("):
            levels.append([])
        elif token.is_symbol(")") and len(levels) > 1:
            levels.pop()
        elif token.is_symbol(",") and len(levels) > 1:
            # Outside of all parentheses commas between options are optional, so all options are one item.
            levels[-1] = []
        else:
            levels[-1].append(index)
            items[index] = levels[-1]
    return items


def _is_settled(item: list[Token]) -> bool:
    words = [t for t in item if not t.is_blank]
    # CAST(… AS CHAR CHARACTER SET x) allows no COLLATE and stores nothing.
    return any(t.is_word("COLLATE", "BINARY", "AS") for t in words)
