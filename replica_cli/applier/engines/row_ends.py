"""Rewrites the end of current row versions in row images, for a secondary whose release uses another end.

A current row of a system-versioned table ends at the last moment that a TIMESTAMP can hold: in 2038 before MariaDB
11.5, in 2106 since. A secondary of the other release would not take an unchanged row for a current one: the row would
be a former version there, or not even a valid one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import columns_for, is_present
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import ApplyRefused, Drift
from replica_cli.core.events import RowEvent
from replica_cli.decoder.compile import EachBody, compile_each

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import RowHead
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableName
    from replica_cli.decoder.compile import EachFunction

_FRACTION = (999_999).to_bytes(3, "big")
_ENDS = {2038: (2**31 - 1).to_bytes(4, "big") + _FRACTION, 2106: (2**32 - 1).to_bytes(4, "big") + _FRACTION}
_WIDTH = 7
_BEYOND_2038 = 0x80
_HASH_WIDTH = 8
_LENGTH = slice(9, 13)


class RowEnds:
    """Rewrites the row events of system-versioned tables. `RowVersions` uses it.

    `old` is the year in which current rows end on the primary, `new` that on the secondary: 2038 or 2106.
    """

    def __init__(self, definitions: Definitions, selection: Selection, *, old: int, new: int) -> None:
        self._definitions = definitions
        self._selection = selection
        self._old, self._new = _ENDS[old], _ENDS[new]
        self._functions: TableCache[RowHead, EachFunction | None] = TableCache()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the compiled functions of tables, or all functions: definitions changed."""
        self._functions.forget(tables)

    def rewritten(self, event: RowEvent) -> RowEvent:
        """Return the event as the secondary's release would have logged it; without a period of versions, as it is.

        Raises:
            ApplyRefused: if the end of the period is not the last column or not in the row image, or if a time is later
                than the secondary can hold.

        """
        head = event.head
        try:
            function = self._functions.entries[head]
        except KeyError:
            function = self._functions.keep(head.table.name, head, self._compile(event))
        if function is None:
            return event
        images: list[bytes] = []
        function(event.raw, head.rows_start, len(event.raw), images.append, partial(self._fix, head.table.name))
        raw = bytearray(event.raw[: head.rows_start] + b"".join(images))
        raw[_LENGTH] = len(raw).to_bytes(4, "little")
        return RowEvent(head, bytes(raw), event.folded_rows)

    def _compile(self, event: RowEvent) -> EachFunction | None:
        head = event.head
        try:
            columns = columns_for(event.table, definition_of(event, self._definitions, self._selection))
        except Drift:
            return None  # the engine raises Drift when it applies the event
        period = {c.generation_expression.upper(): i for i, c in enumerate(columns) if c.is_of_period}
        if not period:
            return None
        needed = (period["ROW START"], *range(period["ROW END"], len(columns)))
        self._check(event, columns, needed)
        tags = "ba" if head.present_after else "b"
        each = tuple(f"add(fix(row_{tag}, key_{tag}))" for tag in tags)
        return compile_each(head, columns, needed, (), EachBody("add, fix", (), each, {}))

    def _check(self, event: RowEvent, columns: tuple[Column, ...], needed: tuple[int, ...]) -> None:
        bitmaps = [b for b in (event.head.present, event.head.present_after) if b]
        # After the end of the period only the hidden hashes of long unique keys may follow.
        is_last = all(columns[ordinal].extra == "HIDDEN" for ordinal in needed[2:])
        if is_last and all(is_present(b, ordinal) for b in bitmaps for ordinal in needed):
            return
        raise ApplyRefused(
            f"{event.table.name}: the secondary's release ends current rows at another time, and replica cannot write "
            "it: the end of the period is not the last column, or not in the row image",
            hint="use a secondary of the primary's release, or make the end of the period the last column and set "
            "binlog_row_image=FULL",
            table=event.table.name,
        )

    def _fix(self, table: TableName, row: bytes, values: tuple[bytes, bytes, *tuple[bytes | None, ...]]) -> bytes:
        """Return a row image with the secondary's end of current rows.

        Args:
            table: the table's name, for the error.
            row: the row image.
            values: the start and the end of the row version, then the hashes of long unique keys, as in the image:
                None for a NULL.

        """
        begins, ends, *hashes = values
        is_current = ends == self._old
        if self._new < self._old and (begins[0] | (0 if is_current else ends[0])) & _BEYOND_2038:
            raise ApplyRefused(
                f"{table}: a row version begins or ends after 2038, which the secondary's release cannot hold",
                hint="use a secondary of MariaDB 11.5 or later",
                table=table,
            )
        if not is_current:
            return row
        offset = len(row) - _HASH_WIDTH * sum(value is not None for value in hashes) - _WIDTH
        return row[:offset] + self._new + row[offset + _WIDTH :]
