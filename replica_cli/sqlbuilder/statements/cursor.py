"""Move over the tokens of a statement and read key words, symbols and names of tables.

The parser of statements derives from `Cursor` (statement.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.tokens import Kind

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.tokens import Token


@dataclass(frozen=True, slots=True)
class TableReference:
    """A table's name in a statement.

    Attributes:
        name: the table, with the default schema if the statement names none.
        first: the index of the first token of the name.
        last: the index of the last token of the name.
        is_kept: the name stays as it is written, and the secondary resolves it.
    """

    name: TableName
    first: int
    last: int
    is_kept: bool = False


class Cursor:
    """A cursor that moves forward over the tokens of a statement. It skips spaces and comments.

    It also skips the ends of executable comments, and reads the tokens between them. `default_schema` is the schema of
    names without one. `folds_names` means that names of schemas and tables are read in lower case.
    """

    def __init__(self, tokens: list[Token], default_schema: str, *, folds_names: bool) -> None:
        self._tokens = tokens
        self._folds_names = folds_names
        self._default_schema = self._folded(default_schema)
        self._indexes = [i for i, t in enumerate(tokens) if not t.is_blank and t.kind not in (Kind.OPEN, Kind.CLOSE)]
        self._at = 0

    def _table(self, into: list[TableReference], *, schema: str | None = None, is_kept: bool = False) -> bool:
        """Take a table's name with its schema, without one, or with only a point before it (MariaDB).

        Args:
            into: the list to which the reference is added.
            schema: the schema of a name without one, if it is not the session's default schema.
            is_kept: see `TableReference`.

        Returns:
            False if the tokens are not a table's name.
        """
        if not self._has_more:
            return False
        first = last = self._indexes[self._at]
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
        last = self._indexes[self._at]
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

    def _name_at(self, index: int) -> str:
        return self._folded(self._tokens[index].name)

    def _folded(self, name: str) -> str:
        return name.lower() if self._folds_names else name

    @property
    def _has_more(self) -> bool:
        return self._has_token(0)

    def _has_token(self, ahead: int) -> bool:
        return self._at + ahead < len(self._indexes)

    def _kind(self, ahead: int) -> Kind:
        return self._tokens[self._indexes[self._at + ahead]].kind

    def _token(self) -> Token:
        return self._tokens[self._indexes[self._at]]

    def _word(self, ahead: int = 0) -> str:
        """Return the key word in upper case, or an empty text if the token is no word."""
        if not self._has_token(ahead):
            return ""
        token = self._tokens[self._indexes[self._at + ahead]]
        return token.text.upper() if token.kind is Kind.WORD else ""

    def _is(self, *words: str) -> bool:
        return self._word() in words

    def _is_after(self, *words: str) -> bool:
        return self._word(-1) in words

    def _take(self, *words: str) -> bool:
        is_match = self._is(*words)
        self._at += is_match
        return is_match

    def _take_all(self, *words: str) -> bool:
        is_match = all(self._word(i) == word for i, word in enumerate(words))
        self._at += len(words) if is_match else 0
        return is_match

    def _take_symbol(self, symbol: str) -> bool:
        is_match = self._is_symbol(symbol)
        self._at += is_match
        return is_match

    def _is_symbol(self, symbol: str, ahead: int = 0) -> bool:
        return self._has_token(ahead) and self._tokens[self._indexes[self._at + ahead]].is_symbol(symbol)
