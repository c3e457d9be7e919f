"""SQL text as tokens: strings, names and comments stay whole, and joined again they are the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Kind(Enum):
    """What a token is. OPEN and CLOSE are the ends of an executable comment, whose inside is SQL like any other."""

    SPACE = "space"
    COMMENT = "comment"
    OPEN = "open"
    CLOSE = "close"
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    WORD = "word"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL text as it stands there."""

    kind: Kind
    text: str

    def is_word(self, *words: str) -> bool:
        """Say whether this is one of these key words (given in upper case)."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_symbol(self, *symbols: str) -> bool:
        """Say whether this is one of these marks."""
        return self.kind is Kind.SYMBOL and self.text in symbols

    @property
    def is_blank(self) -> bool:
        """Say whether the token means nothing."""
        return self.kind in (Kind.SPACE, Kind.COMMENT)

    @property
    def name(self) -> str:
        """Return the name that the token stands for, without backticks."""
        return unquote(self.text)


# Double quotes are strings: our sessions never set ANSI_QUOTES. An unfinished string, name or comment is one SYMBOL.
_TOKEN = re.compile(
    r"""(?P<SPACE>\s+)
      | (?P<OPEN>/\*M?!\d*)
      | (?P<COMMENT>/\*.*?\*/ | --(?=\s)[^\n]* | \#[^\n]*)
      | (?P<CLOSE>\*/)
      | (?P<NAME>`(?:[^`]|``)*`)
      | (?P<STRING>'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*")
      | (?P<NUMBER>(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w$]))
      | (?P<WORD>[\w$@]+)
      | (?P<SYMBOL>.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def tokenise(text: str) -> list[Token]:
    """Split SQL text into tokens; `join` of them is the text again."""
    return [Token(Kind[m.lastgroup or "SYMBOL"], m.group()) for m in _TOKEN.finditer(text)]


def join(tokens: Iterable[Token]) -> str:
    """Return the text of tokens."""
    return "".join(t.text for t in tokens)


def solid(tokens: Iterable[Token]) -> list[Token]:
    """Return the tokens that mean something, without spaces and comments."""
    return [t for t in tokens if not t.is_blank]


def depths(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield each token with the number of parentheses round it; a parenthesis counts as outside of itself."""
    depth = 0
    for token in tokens:
        if token.is_symbol(")"):
            depth -= 1
        yield depth, token
        if token.is_symbol("("):
            depth += 1


def split(tokens: Sequence[Token], symbol: str) -> list[list[Token]]:
    """Split tokens at a mark outside of parentheses."""
    parts: list[list[Token]] = [[]]
    for depth, token in depths(tokens):
        if depth == 0 and token.is_symbol(symbol):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def closing(tokens: Sequence[Token], start: int) -> int:
    """Return the place of the parenthesis that closes the one at `start`. Raises ValueError where none does."""
    for place, (depth, token) in enumerate(depths(tokens[start:])):
        if depth == 0 and token.is_symbol(")"):
            return start + place
    raise ValueError("a parenthesis is never closed")


def string_value(text: str) -> str:
    r"""Return what a quoted string stands for: quotes off, doubled quotes and backslash escapes undone.

    Source: https://mariadb.com/kb/en/string-literals/ (`\%` and `\_` keep their backslash).
    """
    mark = text[0]

    def undo(match: re.Match[str]) -> str:
        letter = match[1]
        if letter is None:
            return match[0][0] if match[0][0] == mark else match[0]
        return match[0] if letter in "%_" else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(undo, text[1:-1])


def string_literal(value: str) -> str:
    """Return a quoted string that reads the same with and without an escape for every other character."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"
