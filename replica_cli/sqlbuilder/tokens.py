"""Split SQL text into tokens as the server does: strings, names and comments stay whole.

The joined tokens are again the text. Sources: `MYSQLlex` of both servers, https://mariadb.com/kb/en/comment-syntax/,
https://dev.mysql.com/doc/refman/9.7/en/identifiers.html and https://mariadb.com/kb/en/identifier-names/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Dialect:
    """What decides how a server reads a text: its flavour, the session's sql_mode and the client's charset.

    Attributes:
        is_one_byte: the client's charset has one byte for each character, so that a no-break space counts as a space.
        folds_names: the server has lower_case_table_names, so it reads names of schemas and tables in lower case.
    """

    is_mariadb: bool
    has_ansi_quotes: bool
    has_backslash_escapes: bool
    is_one_byte: bool = False
    folds_names: bool = False


# For texts that servers write for the sessions of `replica`, with the sql_mode of these sessions: SHOW CREATE TABLE
# and the catalog.
CATALOG = Dialect(is_mariadb=True, has_ansi_quotes=False, has_backslash_escapes=True)


class Kind(Enum):
    """The kind of a token. OPEN and CLOSE are the ends of an executable comment; the SQL between them is tokens too."""

    SPACE = "space"
    COMMENT = "comment"
    OPEN = "open"
    CLOSE = "close"
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    WORD = "word"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """A piece of SQL text, unchanged."""

    kind: Kind
    text: str

    def is_word(self, *words: str) -> bool:
        """Return True if this is one of these key words (given in upper case)."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_symbol(self, *symbols: str) -> bool:
        """Return True if this is one of these symbols."""
        return self.kind is Kind.SYMBOL and self.text in symbols

    @property
    def is_blank(self) -> bool:
        """Return True if the token is a space or a comment."""
        return self.kind in (Kind.SPACE, Kind.COMMENT)

    @property
    def name(self) -> str:
        """Return the name that the token spells, without its quotes."""
        if self.kind is not Kind.NAME or self.text[0] not in '`"':
            return self.text
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)


# A number is an identifier if a letter of an identifier follows (2024x), unless it has a point or an exponent. Next to
# a point every bare word is a name (db.2024, t.select, if.t). Of an unfinished string, name or comment the first
# character is a SYMBOL, and the rest is read as other text.
_PATTERN = r"""(?P<SPACE>{blank}+)
  | (?P<OPEN>/\*{open}(?:\d{{5,6}})?)
  | (?P<COMMENT>/\*.*?\*/ | --(?=[\x00-\x20\x7f]|{blank}|\Z)[^\n\0]* | \#[^\n\0]*)
  | (?P<CLOSE>\*/)
  | (?P<NAME>`(?:[^`]|``)*`{names})
  | (?P<STRING>{strings})
  | (?P<PART>(?<=\.){letter}+)
  | (?P<NUMBER>0x[0-9a-fA-F]+(?!{letter}) | 0b[01]+(?!{letter})
      | \d+e[+-]?\d+ | \d+E[+-]?\d+ | \d+\.\d*(?:[eE][+-]?\d+)? | \d+(?!{letter}) | (?<!{letter})\.\d+(?:[eE][+-]?\d+)?)
  | (?P<SCHEMA>{letter}+(?=\.{letter}))
  | (?P<WORD>(?:{letter}|@)+)
  | (?P<SYMBOL>.)"""


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    inside = r"(?:[^{0}\\]|{0}{0}|\\.)*" if dialect.has_backslash_escapes else "(?:[^{0}]|{0}{0})*"
    single, double = (f"{quote}{inside.format(quote)}{quote}" for quote in "'\"")
    text = _PATTERN.format(
        blank=r"[ \t\n\v\f\r\xa0]" if dialect.is_one_byte else r"[ \t\n\v\f\r]",
        letter=r"[0-9A-Za-z_$\x80-\x9f\xa1-\U0010ffff]" if dialect.is_one_byte else r"[0-9A-Za-z_$\x80-\U0010ffff]",
        # A primary logs a version comment for a later version as a plain comment. MySQL takes /*M! for a plain comment.
        open="M?!" if dialect.is_mariadb else "!",
        names=' | "(?:[^"]|"")*"' if dialect.has_ansi_quotes else "",
        strings=single if dialect.has_ansi_quotes else f"{single} | {double}",
    )
    return re.compile(text, re.VERBOSE | re.DOTALL)


_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


_KINDS = {**{kind.name: kind for kind in Kind}, "PART": Kind.NAME, "SCHEMA": Kind.NAME}


def tokenise(text: str, dialect: Dialect) -> list[Token]:
    """Split SQL text into tokens. `join` makes the same text of them."""
    return [Token(_KINDS[m.lastgroup or "SYMBOL"], m.group()) for m in _pattern(dialect).finditer(text)]


def join(tokens: Iterable[Token]) -> str:
    """Return the text of tokens."""
    return "".join(t.text for t in tokens)


def solid(tokens: Iterable[Token]) -> list[Token]:
    """Return the tokens without spaces and comments."""
    return [t for t in tokens if not t.is_blank]


def unwrapped(tokens: Iterable[Token]) -> list[Token]:
    """Return the tokens without spaces, comments and the ends of executable comments: the text inside these is SQL."""
    return [t for t in tokens if not t.is_blank and t.kind not in (Kind.OPEN, Kind.CLOSE)]


def depths(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield each token with the number of parentheses around it. A parenthesis is not inside of itself."""
    depth = 0
    for token in tokens:
        if token.is_symbol(")"):
            depth -= 1
        yield depth, token
        if token.is_symbol("("):
            depth += 1


def split(tokens: Sequence[Token], symbol: str) -> list[list[Token]]:
    """Split tokens at each such symbol that is outside of parentheses."""
    parts: list[list[Token]] = [[]]
    for depth, token in depths(tokens):
        if depth == 0 and token.is_symbol(symbol):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def closing(tokens: Sequence[Token], start: int) -> int:
    """Return the index of the parenthesis that closes the one at index `start`.

    Raises:
        ValueError: the parenthesis is never closed.
    """
    for index, (depth, token) in enumerate(depths(tokens[start:])):
        if depth == 0 and token.is_symbol(")"):
            return start + index
    raise ValueError("a parenthesis is never closed")


def string_value(text: str) -> str:
    r"""Return the value of a quoted string: without its quotes, with doubled quotes and backslash escapes undone.

    `\%` and `\_` keep their backslash. Source: https://mariadb.com/kb/en/string-literals/
    """
    quote = text[0]

    def undo(match: re.Match[str]) -> str:
        letter = match[1]
        if letter is None:
            return match[0][0] if match[0][0] == quote else match[0]
        return match[0] if letter in "%_" else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(undo, text[1:-1])


def string_literal(value: str) -> str:
    """Return a text as a quoted string in its shortest form: only backslash, single quote and NUL are escaped."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"
