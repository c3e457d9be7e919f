"""Clauses of statements on tables and indexes that are left out where the statement is carried out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Kind, Token, depths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.sqlbuilder.statement import ParsedStatement

_WAYS = {
    "ALGORITHM": frozenset({"DEFAULT", "INSTANT", "INPLACE", "NOCOPY", "COPY"}),
    "LOCK": frozenset({"DEFAULT", "NONE", "SHARED", "EXCLUSIVE"}),
}
_CONSTRAINTS = (("FOREIGN", "KEY"), ("CONSTRAINT",), ("CHECK",))


def without_way(parsed: ParsedStatement) -> ParsedStatement:
    """Return an ALTER TABLE, CREATE INDEX or DROP INDEX without ALGORITHM, LOCK and ONLINE.

    They say how the primary did it, change no outcome, and another release may refuse them.
    """
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return parsed
    noun = next(i for i, t in enumerate(parsed.tokens) if t.is_word("TABLE", "INDEX"))
    left_out = {i for i, t in enumerate(parsed.tokens[:noun]) if t.is_word("ONLINE", "OFFLINE")}
    if parsed.tokens[noun].is_word("INDEX"):
        return _without_places(parsed, left_out.union(_options_of_index(parsed)))
    found = _without_places(parsed, left_out)
    return _without_clauses(found, [clause for clause in _clauses(found) if _is_way(_solid(found, clause))])


def dropped_constraints(parsed: ParsedStatement) -> frozenset[str]:
    """Return the names in lower case of what DROP FOREIGN KEY, DROP CONSTRAINT and DROP CHECK name."""
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return frozenset()
    names = (_dropped(_solid(parsed, clause)) for clause in _clauses(parsed))
    return frozenset(name for name in names if name)


def without_dropped(parsed: ParsedStatement, names: Collection[str]) -> ParsedStatement | None:
    """Return an ALTER TABLE that does not drop some constraints (names in lower case), None if nothing is left."""
    clauses = list(_clauses(parsed))
    left_out = [clause for clause in clauses if _dropped(_solid(parsed, clause)) in names]
    return None if len(left_out) == len(clauses) else _without_clauses(parsed, left_out)


def _clauses(parsed: ParsedStatement) -> Iterator[range]:
    """Yield the places of what commas separate behind the table's name."""
    start = begin = parsed.references[0].last + 1
    for place, (depth, token) in enumerate(depths(parsed.tokens[begin:]), begin):
        if depth == 0 and token.is_symbol(","):
            yield range(start, place)
            start = place + 1
    yield range(start, len(parsed.tokens))


def _solid(parsed: ParsedStatement, clause: range) -> list[Token]:
    return [t for i in clause if not (t := parsed.tokens[i]).is_blank and not t.is_symbol(";")]


def _is_way(clause: Sequence[Token]) -> bool:
    words = [t for t in clause if not t.is_symbol("=")]
    return len(words) == 2 and _says_way(*words)


def _says_way(option: Token, value: Token) -> bool:
    return any(option.is_word(name) and value.is_word(*values) for name, values in _WAYS.items())


def _dropped(clause: Sequence[Token]) -> str:
    if not clause or not clause[0].is_word("DROP"):
        return ""
    for words in _CONSTRAINTS:
        if len(clause) == len(words) + 2 and all(t.is_word(w) for t, w in zip(clause[1:], words, strict=False)):
            return clause[-1].name.lower() if clause[-1].kind in (Kind.NAME, Kind.WORD) else ""
    return ""


def _options_of_index(parsed: ParsedStatement) -> Iterator[int]:
    """Yield the places of ALGORITHM and LOCK behind an index's columns, with their values."""
    begin = parsed.references[0].last + 1
    places = [i for i, (depth, t) in enumerate(depths(parsed.tokens[begin:]), begin) if depth == 0 and not t.is_blank]
    words = [i for i in places if not parsed.tokens[i].is_symbol("=")]
    for option, value in itertools.pairwise(words):
        if _says_way(parsed.tokens[option], parsed.tokens[value]):
            yield from (i for i in places if option <= i <= value)


def _without_clauses(parsed: ParsedStatement, left_out: Sequence[range]) -> ParsedStatement:
    """Return the statement without some clauses, each with the comma before it, the first ones with the one behind."""
    places: set[int] = set()
    kept = 0
    for clause in _clauses(parsed):
        if clause not in left_out:
            kept += 1
            continue
        if any(parsed.tokens[i].kind in (Kind.OPEN, Kind.CLOSE) for i in clause):
            kept += 1  # one end of an executable comment would be missing
            continue
        places |= {i for i in clause if not parsed.tokens[i].is_symbol(";")}
        places.add(clause.start - 1 if kept else clause.stop)
    return _without_places(parsed, places)


def _without_places(parsed: ParsedStatement, places: Collection[int]) -> ParsedStatement:
    """Return the statement with a space at some places; all other tokens stay where they are."""
    space = Token(Kind.SPACE, " ")
    return replace(parsed, tokens=tuple(space if i in places else t for i, t in enumerate(parsed.tokens)))
