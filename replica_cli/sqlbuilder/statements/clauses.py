"""Leave clauses out of statements on tables and indexes before they run on the secondary."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statements.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Kind, Token, depths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

_EXECUTION_OPTIONS = {
    "ALGORITHM": frozenset({"DEFAULT", "INSTANT", "INPLACE", "NOCOPY", "COPY"}),
    "LOCK": frozenset({"DEFAULT", "NONE", "SHARED", "EXCLUSIVE"}),
}
_CONSTRAINTS = (("FOREIGN", "KEY"), ("CONSTRAINT",), ("CHECK",))


def without_execution_options(parsed: ParsedStatement) -> ParsedStatement:
    """Return an ALTER TABLE, CREATE INDEX or DROP INDEX without ALGORITHM, LOCK and ONLINE.

    They say how the primary runs the statement. They do not change its result, and another release may refuse them.
    """
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return parsed
    noun = next(i for i, t in enumerate(parsed.tokens) if t.is_word("TABLE", "INDEX"))
    left_out = {i for i, t in enumerate(parsed.tokens[:noun]) if t.is_word("ONLINE", "OFFLINE")}
    if parsed.tokens[noun].is_word("INDEX"):
        return _without_tokens(parsed, left_out.union(_options_of_index(parsed)))
    stripped = _without_tokens(parsed, left_out)
    return _without_clauses(
        stripped, [clause for clause in _clauses(stripped) if _is_execution_option(_solid(stripped, clause))]
    )


def dropped_constraints(parsed: ParsedStatement) -> frozenset[str]:
    """Return the names (lower case) in the clauses DROP FOREIGN KEY, DROP CONSTRAINT and DROP CHECK of a statement."""
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return frozenset()
    names = (_dropped(_solid(parsed, clause)) for clause in _clauses(parsed))
    return frozenset(name for name in names if name)


def without_dropped(parsed: ParsedStatement, names: Collection[str]) -> ParsedStatement | None:
    """Return an ALTER TABLE that does not drop some constraints (names in lower case), or None if no clause is left."""
    clauses = list(_clauses(parsed))
    left_out = [clause for clause in clauses if _dropped(_solid(parsed, clause)) in names]
    return None if len(left_out) == len(clauses) else _without_clauses(parsed, left_out)


def _clauses(parsed: ParsedStatement) -> Iterator[range]:
    """Yield the token indexes of each clause after the table's name. Commas separate the clauses."""
    start = begin = parsed.references[0].last + 1
    for index, (depth, token) in enumerate(depths(parsed.tokens[begin:]), begin):
        if depth == 0 and token.is_symbol(","):
            yield range(start, index)
            start = index + 1
    yield range(start, len(parsed.tokens))


def _solid(parsed: ParsedStatement, clause: range) -> list[Token]:
    return [t for i in clause if not (t := parsed.tokens[i]).is_blank and not t.is_symbol(";")]


def _is_execution_option(clause: Sequence[Token]) -> bool:
    words = [t for t in clause if not t.is_symbol("=")]
    return len(words) == 2 and _is_option_with_value(*words)


def _is_option_with_value(option: Token, value: Token) -> bool:
    return any(option.is_word(name) and value.is_word(*values) for name, values in _EXECUTION_OPTIONS.items())


def _dropped(clause: Sequence[Token]) -> str:
    if not clause or not clause[0].is_word("DROP"):
        return ""
    for words in _CONSTRAINTS:
        if len(clause) == len(words) + 2 and all(t.is_word(w) for t, w in zip(clause[1:], words, strict=False)):
            return clause[-1].name.lower() if clause[-1].kind in (Kind.NAME, Kind.WORD) else ""
    return ""


def _options_of_index(parsed: ParsedStatement) -> Iterator[int]:
    """Yield the token indexes of ALGORITHM and LOCK after an index's columns, and of their values."""
    begin = parsed.references[0].last + 1
    indexes = [i for i, (depth, t) in enumerate(depths(parsed.tokens[begin:]), begin) if depth == 0 and not t.is_blank]
    words = [i for i in indexes if not parsed.tokens[i].is_symbol("=")]
    for option, value in itertools.pairwise(words):
        if _is_option_with_value(parsed.tokens[option], parsed.tokens[value]):
            yield from (i for i in indexes if option <= i <= value)


def _without_clauses(parsed: ParsedStatement, left_out: Sequence[range]) -> ParsedStatement:
    """Return the statement without some clauses.

    The comma before a clause goes with it. A clause with no kept clause before it takes the comma after it.
    """
    indexes: set[int] = set()
    kept = 0
    for clause in _clauses(parsed):
        if clause not in left_out:
            kept += 1
            continue
        if any(parsed.tokens[i].kind in (Kind.OPEN, Kind.CLOSE) for i in clause):
            kept += 1  # without it, one end of an executable comment would be missing
            continue
        indexes |= {i for i in clause if not parsed.tokens[i].is_symbol(";")}
        indexes.add(clause.start - 1 if kept else clause.stop)
    return _without_tokens(parsed, indexes)


def _without_tokens(parsed: ParsedStatement, indexes: Collection[int]) -> ParsedStatement:
    """Return the statement with a space in place of some tokens, so that the indexes of all others stay the same."""
    space = Token(Kind.SPACE, " ")
    return replace(parsed, tokens=tuple(space if i in indexes else t for i, t in enumerate(parsed.tokens)))
