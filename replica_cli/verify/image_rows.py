"""Read some values of each row in the row events of the log, before and after the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import compile_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import RowEvent, RowHead
    from replica_cli.core.table import Column
    from replica_cli.decoder.form import Output


class ImageRows:
    """Reads some outputs of the rows of events with one head."""

    def __init__(self, head: RowHead, columns: Sequence[Column], outputs: Sequence[Output]) -> None:
        self._kind, self._width = head.kind, len(outputs)
        self._function = compile_pairs(head, columns, outputs)

    def read(self, event: RowEvent) -> list[tuple[tuple[bytes, ...], tuple[bytes, ...]]]:
        """Return each row before and after the change. An inserted or deleted row is given as both.

        Raises:
            ApplyRefused: the table does not fit the event.
        """
        rows = self._function(event.raw, event.head.rows_start, len(event.raw))
        if self._kind is RowKind.UPDATE:
            return [(row[self._width :], row[: self._width]) for row in rows]
        return [(row, row) for row in rows]
