"""Handle JSON values that text alone would not copy exactly.

Unlike all other values, they are looked at in this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, UnsupportedEvent
from replica_cli.decoder.json_documents import difference, typed_value
from replica_cli.sqlbuilder.rows.json_queries import documents_query, kinds_in_order, opaque_query, typed_rows_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session
    from replica_cli.sqlbuilder.rows.chunks import PagingKey


class JsonHandling(Enum):
    """How the JSON documents of a table are copied.

    CHECKED: from MariaDB to MySQL, each text is checked first. TYPED: between MySQL servers, values keep their MySQL
    types. NONE: documents are copied like other text.
    """

    NONE = "none"
    CHECKED = "checked"
    TYPED = "typed"


class DocumentNotExact(ApplyRefused):
    """The secondary cannot hold a document exactly."""

    code = "document_not_exact"


@dataclass(frozen=True, slots=True)
class Documents:
    """The JSON columns of one table. `key` is the index that the table is read along."""

    session: Session
    definition: TableDefinition
    json_handling: JsonHandling
    key: PagingKey | None = None

    def check(self, condition: str = "") -> bool:
        """Check the documents of a chunk; return True if its rows must be read with `rows`.

        Raises:
            DocumentNotExact: the secondary cannot hold one of the documents exactly.
            ServerError: the primary refuses a query or does not answer.
        """
        if self.json_handling is JsonHandling.CHECKED:
            self._compare(condition)
            return False
        if self.json_handling is JsonHandling.TYPED:
            return self.session.row(opaque_query(self.definition, self.key, condition)) is not None
        return False

    def rows(self, condition: str = "") -> Iterator[Row]:
        """Yield each row: one literal for each column, then whether an ENUM holds index 0.

        Raises:
            DocumentNotExact: the secondary cannot hold one of the documents exactly.
            ServerError: the primary refuses the query or does not answer.
        """
        names = [c.name for c in self.definition.written_columns if c.data_type == "json"]
        indexes = [i for i, c in enumerate(self.definition.written_columns) if c.data_type == "json"]
        for row in self.session.each_row(typed_rows_query(self.definition, self.key, condition)):
            literals = list(row[: -3 * len(names)])
            documents = row[-3 * len(names) :]
            for number, index in enumerate(indexes):
                text, top, kinds = documents[3 * number : 3 * number + 3]
                if text is not None:
                    literals[index] = self._typed(names[number], bytes(text), bytes(top).decode(), kinds)
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
        try:
            return typed_value(text, top, kinds_in_order(kinds))
        except UnsupportedEvent as error:
            raise self._refused(name, error.message, error.hint or "") from error

    def _refused(self, name: str, reason: str, hint: str) -> DocumentNotExact:
        return DocumentNotExact(f"{self.definition.name}: column {name}: {reason}", hint=hint)
