"""Read the values of rows as SQL that makes the same values on the other server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import UnsupportedEvent
from replica_cli.decoder.json_documents import typed_value
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.rows.chunks import as_written, value_expression
from replica_cli.sqlbuilder.rows.json_queries import kinds_in_order, type_expressions
from replica_cli.sqlbuilder.rows.row_texts import TextForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.verification import Literals
    from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn


class RowValues:
    """The values of some columns of one server."""

    def __init__(self, columns: Sequence[ComparedColumn]) -> None:
        written = [c for c in columns if not c.column.is_generated]
        self._names = [c.column.name for c in written]
        # Documents between two MySQL servers keep the types that their text does not tell.
        self._typed = [
            number
            for number, c in enumerate(written)
            if c.column.data_type == "json" and c.text.form is TextForm.DOCUMENT
        ]
        types = [e for number in self._typed for e in type_expressions(quote(self._names[number]))]
        self.expressions = [*(value_expression(as_written(c.column, c.other_type)) for c in written), *types]

    def literals(self, row: Sequence[object]) -> Literals:
        """Return the names of the columns with their values, from the values of `expressions`."""
        literals = [_text(value) for value in row[: len(self._names)]]
        for at, number in enumerate(self._typed):
            text, top, kinds = row[len(literals) + 3 * at : len(literals) + 3 * at + 3]
            if text is not None:
                literals[number] = _typed(literals[number], text, top, kinds)
        return tuple(zip(self._names, literals, strict=True))


def _typed(literal: str, text: object, top: object, kinds: object) -> str:
    """Return SQL for a document with all its types; `literal` if its values have types that no SQL can make."""
    array = None if kinds is None else _text(kinds)
    try:
        return _text(typed_value(_text(text).encode(), _text(top), kinds_in_order(array)))
    except UnsupportedEvent:
        return literal


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
