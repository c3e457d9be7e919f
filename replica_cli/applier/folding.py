"""The rows of a batch, table by table, as they are before it and as they are after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.work import Part
from replica_cli.core.events import RowEvent, RowKind

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from replica_cli.core.events import TableMap
    from replica_cli.decoder.compile import KeyedFunction

# What one event holds at most, unless a row alone is larger.
_EVENT_BYTES = 64 * 1024
_CODE = 4
_LENGTH = slice(9, 13)


class Contradiction(Exception):
    """Rows do what they cannot, such as being written twice."""


@dataclass(frozen=True, slots=True, eq=False)
class TableForm:
    """How a table map's events are made.

    `start` is an event up to its bitmaps, its code that of an INSERT; `present` the bitmap of all columns.
    `replaces`: an update goes out as a delete and an insert.
    """

    table: TableMap
    start: bytes
    present: bytes
    replaces: bool

    @classmethod
    def of(cls, event: RowEvent, *, replaces: bool) -> TableForm:
        """Return the form that an event with all columns shows."""
        bitmaps = len(event.present) + len(event.present_after)
        start = bytearray(event.raw[: event.rows_start - bitmaps])
        start[_CODE] -= event.kind
        return cls(event.table, bytes(start), event.present, replaces)

    def event(self, kind: RowKind, images: Sequence[bytes]) -> RowEvent:
        """Return an event of so many rows."""
        bitmaps = self.present * (2 if kind is RowKind.UPDATE else 1)
        raw = bytearray(b"".join((self.start, bitmaps, *images)))
        raw[_CODE] += kind
        raw[_LENGTH] = len(raw).to_bytes(4, "little")
        after = self.present if kind is RowKind.UPDATE else b""
        begin = len(self.start) + len(bitmaps)
        return RowEvent(kind, self.table, 0, self.present, after, bytes(raw), begin, row_count=len(images))


class Folding:
    """Takes in events in source order; `events` and `parts` are what comes out of them.

    A row is a key and its images before and after the batch, None where there is no row.
    """

    def __init__(self) -> None:
        self.events: list[RowEvent] = []
        self._rows: dict[TableMap, dict[Hashable, list[bytes | None]]] = {}
        self._forms: dict[TableMap, TableForm] = {}
        self._counts: Counter[tuple[RowKind, TableMap]] = Counter()

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return the rows that were folded away, by kind and table, and, fewer than none, those made of them."""
        return tuple(Part(kind, table.name, count) for (kind, table), count in self._counts.items() if count)

    def fold(self, event: RowEvent, form: TableForm, cut: KeyedFunction) -> None:
        """Take in the rows of an event. Raises Contradiction, CorruptEvent."""
        kind, table = event.kind, event.table
        rows = self._rows.get(table)
        if rows is None:
            rows = self._begin(form)
        found = cut(event.raw, event.rows_start, len(event.raw))
        self._counts[kind, table] += len(found)
        if kind is RowKind.UPDATE:
            for key, image, key_before, before in found:
                if key == key_before:
                    _update(rows, key, before, image)
                else:
                    rows = self._delete(rows, form, key_before, before)
                    _insert(rows, key, image)
        elif kind is RowKind.INSERT:
            for key, image in found:
                _insert(rows, key, image)
        else:
            for key, image in found:
                rows = self._delete(rows, form, key, image)

    def keep(self, event: RowEvent) -> None:
        """Take in an event as it is."""
        self._flush_all_of(event.table)
        self.events.append(event)

    def end(self) -> None:
        """Let out all that is still pending."""
        for table in list(self._rows):
            self._flush(table)

    def _begin(self, form: TableForm) -> dict[Hashable, list[bytes | None]]:
        # The same table may have had another map before: what went by it comes first.
        self._flush_all_of(form.table)
        self._forms[form.table] = form
        rows = self._rows[form.table] = {}
        return rows

    def _delete(
        self, rows: dict[Hashable, list[bytes | None]], form: TableForm, key: Hashable, image: bytes
    ) -> dict[Hashable, list[bytes | None]]:
        row = rows.get(key)
        if row is None:
            rows[key] = [image, None]
        elif row[1] is None:
            raise Contradiction
        elif row[0] is None:
            # It is new, and must be written before it goes: else nobody would notice one that was there already.
            self._flush(form.table)
            rows = self._begin(form)
            rows[key] = [image, None]
        else:
            row[1] = None
        return rows

    def _flush_all_of(self, table: TableMap) -> None:
        for other in [m for m in self._rows if m is table or m.name == table.name]:
            self._flush(other)

    def _flush(self, table: TableMap) -> None:
        form, rows = self._forms[table], self._rows.pop(table)
        deletes: list[bytes] = []
        updates: list[bytes] = []
        inserts: list[bytes] = []
        for before, after in rows.values():
            if before is None:
                inserts.append(after or b"")
            elif after is None:
                deletes.append(before)
            elif form.replaces:
                deletes.append(before)
                inserts.append(after)
            else:
                updates.append(before + after)
        # In this order no unique key is held by two rows on the way. Updates change none but the primary key's row.
        for kind, images in ((RowKind.DELETE, deletes), (RowKind.UPDATE, updates), (RowKind.INSERT, inserts)):
            self._counts[kind, table] -= len(images)
            self.events += [form.event(kind, portion) for portion in _portions(images)]


def _insert(rows: dict[Hashable, list[bytes | None]], key: Hashable, image: bytes) -> None:
    row = rows.get(key)
    if row is None:
        rows[key] = [None, image]
    elif row[1] is None:
        row[1] = image
    else:
        raise Contradiction


def _update(rows: dict[Hashable, list[bytes | None]], key: Hashable, before: bytes, after: bytes) -> None:
    row = rows.get(key)
    if row is None:
        rows[key] = [before, after]
    elif row[1] is None:
        raise Contradiction
    else:
        row[1] = after


def _portions(images: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    first = size = 0
    for number, image in enumerate(images):
        if number > first and size + len(image) > _EVENT_BYTES:
            yield images[first:number]
            first, size = number, 0
        size += len(image)
    if images:
        yield images[first:]
