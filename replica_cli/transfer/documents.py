"""JSON that text alone would not carry to the secondary: looked at here, unlike all other values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, UnsupportedEvent
from replica_cli.decoder.json_documents import difference, typed_value
from replica_cli.sqlbuilder.documents import documents_query, opaque_query, typed_rows_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.sqlbuilder.chunks import PagingKey


class JsonHandling(Enum):
    """What a table's documents need. CHECKED: MariaDB's text for MySQL. TYPED: MySQL's values for MySQL."""

    NONE = "none"
    CHECKED = "checked"
    TYPED = "typed"


class DocumentNotExact(ApplyRefused):
    """A document that the secondary cannot hold as it is."""

    code = "document_not_exact"


@dataclass(frozen=True, slots=True)
class Documents:
    """The JSON columns of one table; `key` is the index that it is read along."""

    session: Session
    definition: TableDefinition
    care: JsonHandling
    key: PagingKey | None = None

    def check(self, condition: str = "") -> bool:
        """Say whether rows need `rows` in place of a chunk. Raises DocumentNotExact, ServerError."""
        if self.care is JsonHandling.CHECKED:
            self._compare(condition)
            return False
        if self.care is JsonHandling.TYPED:
            return self.session.row(opaque_query(self.definition, self.key, condition)) is not None
        return False

    def rows(self, condition: str = "") -> Iterator[Row]:
        """Yield one literal a column and whether an ENUM holds index 0. Raises DocumentNotExact, ServerError."""
        names = [c.name for c in self.definition.written_columns if c.data_type == "json"]
        places = [i for i, c in enumerate(self.definition.written_columns) if c.data_type == "json"]
        for row in self.session.each_row(typed_rows_query(self.definition, self.key, condition)):
            literals = list(row[: -3 * len(names)])
            found = row[-3 * len(names) :]
            for number, place in enumerate(places):
                text, top, kinds = found[3 * number : 3 * number + 3]
                if text is not None:
                    literals[place] = self._typed(names[number], bytes(text), bytes(top).decode(), kinds)
            yield tuple(literals)

    def _compare(self, condition: str) -> None:
        names = [c.name for c in self.definition.written_columns if c.data_type == "json"]
        for row in self.session.each_row(documents_query(self.definition, self.key, condition)):
            for name, text in zip(names, row, strict=True):
                reason = None if text is None else difference(bytes(text))
                if reason is not None:
                    raise self._refused(
                        name, f"MySQL cannot keep a document as it is: {reason}", "correct the document on the primary"
                    )

    def _typed(self, name: str, text: bytes, top: str, kinds: bytes | None) -> bytes:
        # Each with its number: nobody promises an aggregate's order.
        pairs = sorted(json.loads(bytes(kinds))) if kinds is not None else []
        try:
            return typed_value(text, top, [kind for _, kind in pairs])
        except UnsupportedEvent as error:
            raise self._refused(name, error.message, error.hint or "") from error

    def _refused(self, name: str, reason: str, hint: str) -> DocumentNotExact:
        return DocumentNotExact(f"{self.definition.name}: column {name}: {reason}", hint=hint)
