"""A place in a statement's tokens, and what can be read there: key words, marks, and names of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.tokens import Kind

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.tokens import Token


@dataclass(frozen=True, slots=True)
class TableReference:
    """A table's name in a statement: its first and its last token. `is_kept`: the secondary resolves it as written."""

    name: TableName
    first: int
    last: int
    is_kept: bool = False


class Cursor:
    """Moves over the tokens that mean something; the ends of executable comments mean nothing by themselves.

    `default_schema` is that of names without one; `folds_names`: names of schemas and tables mean lower case.
    """

    def __init__(self, tokens: list[Token], default_schema: str, *, folds_names: bool) -> None:
        self._tokens = tokens
        self._folds_names = folds_names
        self._default_schema = self._folded(default_schema)
        self._places = [i for i, t in enumerate(tokens) if not t.is_blank and t.kind not in (Kind.OPEN, Kind.CLOSE)]
        self._at = 0

    def _table(self, into: list[TableReference], *, schema: str | None = None, is_kept: bool = False) -> bool:
        """Take a table's name: with its schema, without one, or MariaDB's with a point alone before it.

        `schema` is that of a name without one, where it is not the session's.
        """
        if not self._has_more:
            return False
        first = last = self._places[self._at]
        names = []
        if self._take_symbol("."):
            names.append(self._default_schema)
        elif self._is_dotted():
            names.append(self._name_at(first))
            self._at += 2
        else:
            names.append(self._default_schema if schema is None else schema)
        if not self._has_more or not self._is_name():
            return False
        last = self._places[self._at]
        names.append(self._name_at(last))
        self._at += 1
        if not all(names) or any("\0" in name for name in names) or self._is_symbol("."):
            return False
        into.append(TableReference(TableName(*names), first, last, is_kept))
        return True

    def _is_dotted(self) -> bool:
        return self._has_more and self._is_name() and self._is_symbol(".", ahead=1)

    def _is_name(self) -> bool:
        return self._token().kind in (Kind.NAME, Kind.WORD)

    def _name_at(self, place: int) -> str:
        return self._folded(self._tokens[place].name)

    def _folded(self, name: str) -> str:
        return name.lower() if self._folds_names else name

    @property
    def _has_more(self) -> bool:
        return self._has_more_behind(0)

    def _has_more_behind(self, ahead: int) -> bool:
        return self._at + ahead < len(self._places)

    def _kind(self, ahead: int) -> Kind:
        return self._tokens[self._places[self._at + ahead]].kind

    def _token(self) -> Token:
        return self._tokens[self._places[self._at]]

    def _word(self, ahead: int = 0) -> str:
        """Return a key word in upper case, an empty text for anything else."""
        if not self._has_more_behind(ahead):
            return ""
        token = self._tokens[self._places[self._at + ahead]]
        return token.text.upper() if token.kind is Kind.WORD else ""

    def _is(self, *words: str) -> bool:
        return self._word() in words

    def _is_after(self, *words: str) -> bool:
        return self._word(-1) in words

    def _take(self, *words: str) -> bool:
        found = self._is(*words)
        self._at += found
        return found

    def _take_all(self, *words: str) -> bool:
        found = all(self._word(i) == word for i, word in enumerate(words))
        self._at += len(words) if found else 0
        return found

    def _take_symbol(self, symbol: str) -> bool:
        found = self._is_symbol(symbol)
        self._at += found
        return found

    def _is_symbol(self, symbol: str, ahead: int = 0) -> bool:
        return self._has_more_behind(ahead) and self._tokens[self._places[self._at + ahead]].is_symbol(symbol)
