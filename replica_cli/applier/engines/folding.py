"""Fold the row events of a batch: keep of each row only what it is before the batch and what it is after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from replica_cli.applier.engines.steps import RowCount, cuts
from replica_cli.core.events import CASCADES_ARE_LOGGED, RowEvent, RowHead, RowKind
from replica_cli.decoder.compile import EachBody

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from replica_cli.core.events import TableMap
    from replica_cli.core.table import TableName

    # The images of a row before and after the batch, None if the row does not exist, and whether it must be deleted and
    # inserted.
    Row = list[bytes | bool | None]
    Rows = dict[Hashable, Row]

# Size limit of one event in bytes. A single larger row gets an event of its own.
_EVENT_BYTES = 64 * 1024
_CODE = 4
_LENGTH = slice(9, 13)


class Contradiction(Exception):
    """The events of a row do not fit each other, for example two inserts of the same row."""


class EventTemplate:
    """Makes events of one table map. An event with all columns is the model.

    `replaces`: every update is written as a delete and an insert.
    """

    def __init__(self, head: RowHead, raw: bytes, *, replaces: bool) -> None:
        self.table = head.table
        self.replaces = replaces
        bitmaps = len(head.present) + len(head.present_after)
        self._start = raw[: head.rows_start - bitmaps]
        self._insert_code = raw[_CODE] - head.kind
        self._flags = head.flags & CASCADES_ARE_LOGGED
        self._heads = {kind: self._head(kind, head.present) for kind in RowKind}

    def event(self, kind: RowKind, images: Sequence[bytes]) -> RowEvent:
        """Return an event with these row images."""
        head = self._heads[kind]
        raw = bytearray(b"".join((self._start, head.present, head.present_after, *images)))
        raw[_CODE] = self._insert_code + kind
        raw[_LENGTH] = len(raw).to_bytes(4, "little")
        return RowEvent(head, bytes(raw), len(images))

    def _head(self, kind: RowKind, present: bytes) -> RowHead:
        after = present if kind is RowKind.UPDATE else b""
        return RowHead(kind, self.table, self._flags, present, after, len(self._start) + len(present) + len(after))


@dataclass(slots=True, eq=False)
class FoldPlan:
    """How the events with one head are folded.

    `fold` takes in the rows of one event and returns their number. `count` is the number of rows folded in this batch.
    """

    template: EventTemplate
    fold: Callable[[bytes, int, int, Rows, Callable[[], Rows]], int]
    count: int = 0


class Folding:
    """Takes in events in the order of the log. The result is in `events` and `corrections`.

    `rows` has for each table map its pending rows by their keys, and a function that writes them out and begins again
    with no rows.
    """

    def __init__(self) -> None:
        self.events: list[RowEvent] = []
        self.rows: dict[TableMap, tuple[Rows, Callable[[], Rows]]] = {}
        self._templates: dict[TableName, EventTemplate] = {}  # by table with pending rows: of one map at a time
        self._counts: Counter[tuple[RowKind, TableMap]] = Counter()

    @property
    def corrections(self) -> tuple[RowCount, ...]:
        """Return the corrections of the row counts, by kind and table.

        They add the rows that were folded and subtract those of the events made of them, so a number may be negative.
        """
        return tuple(RowCount(kind, table.name, count) for (kind, table), count in self._counts.items() if count)

    def begin(self, template: EventTemplate) -> tuple[Rows, Callable[[], Rows]]:
        """Begin to fold a table. Return its pending rows, and the function that writes them out and begins again."""
        # The table may have pending rows of another table map. They must be written first.
        self._write_out(template.table.name)
        self._templates[template.table.name] = template
        pending = self.rows[template.table] = {}, partial(self._flush_and_begin, template)
        return pending

    def keep(self, event: RowEvent) -> None:
        """Take in an event without change, after the pending rows of its table."""
        self._write_out(event.table.name)
        self.events.append(event)

    def end(self, counts: Iterable[tuple[RowHead, int]]) -> None:
        """Write out all pending rows. `counts` are the numbers of rows that were taken in."""
        for name in list(self._templates):
            self._write_out(name)
        for head, count in counts:
            self._counts[head.kind, head.table] += count

    def _flush_and_begin(self, template: EventTemplate) -> Rows:
        return self.begin(template)[0]

    def _write_out(self, name: TableName) -> None:
        template = self._templates.pop(name, None)
        if template is None:
            return
        table, replaces = template.table, template.replaces
        rows, _ = self.rows.pop(table)
        deletes: list[bytes] = []
        updates: list[bytes] = []
        inserts: list[bytes] = []
        for before, after, is_moved in cast("Iterable[tuple[bytes | None, bytes | None, bool]]", rows.values()):
            if before is None:
                inserts.append(after or b"")
            elif after is None:
                deletes.append(before)
            elif replaces or is_moved:
                deletes.append(before)
                inserts.append(after)
            else:
                updates.append(before + after)
        # In this order no value of a unique key is in two rows at once: the updates change no unique key.
        for kind, images in ((RowKind.DELETE, deletes), (RowKind.UPDATE, updates), (RowKind.INSERT, inserts)):
            self._counts[kind, table] -= len(images)
            self.events += [template.event(kind, images[part]) for part in cuts(map(len, images), _EVENT_BYTES)]


def folding_body(kind: RowKind, *, has_more: bool) -> EachBody:
    """Return the code that folds each row of an event, for `compile_each`.

    `has_more`: the table has other unique keys than the primary key. Their columns are the `more` of `compile_each`.

    `rows` has the pending rows by key: the image before the batch, the image after it, and whether the row must be
    deleted and inserted. `flush` writes them out and returns an empty dictionary. The function for an INSERT without
    `has_more`, with the parts of the decoder left out:

        def rows(data, p, end, rows, flush):
            count = 0
            get = rows.get
            while p < end:
                ...  # moves p to the next row, and sets key_b and row_b
                row = get(key_b)
                if row is None: rows[key_b] = [None, row_b, False]
                elif row[1] is not None: raise Contradiction
                else:
                    row[1] = row_b
                count += 1
            return count
    """
    if kind is RowKind.INSERT:
        each = _insert("b", has_more=has_more)
    elif kind is RowKind.DELETE:
        each = _delete()
    else:
        each = [
            "if key_a == key_b:",
            "    row = get(key_a)",
            f"    if row is None: rows[key_a] = [row_b, row_a, {'more_a != more_b' if has_more else 'False'}]",
            "    elif row[1] is None: raise Contradiction",
            "    else:",
            "        row[1] = row_a",
            *(["        if more_a != more_b: row[2] = True"] if has_more else []),
            "else:",
            *("    " + line for line in (*_delete(), *_insert("a", has_more=has_more))),
        ]
    return EachBody("rows, flush", ("get = rows.get",), tuple(each), {"Contradiction": Contradiction})


def _insert(tag: str, *, has_more: bool) -> list[str]:
    return [
        f"row = get(key_{tag})",
        f"if row is None: rows[key_{tag}] = [None, row_{tag}, False]",
        "elif row[1] is not None: raise Contradiction",
        "else:",
        f"    row[1] = row_{tag}",
        *(["    row[2] = True"] if has_more else []),
    ]


def _delete() -> list[str]:
    return [
        "row = get(key_b)",
        "if row is None: rows[key_b] = [row_b, None, False]",
        "elif row[1] is None: raise Contradiction",
        "elif row[0] is None:",
        # The row is new in this batch. It is inserted before it is deleted, so that a row that exists already is
        # noticed.
        "    rows = flush()",
        "    get = rows.get",
        "    rows[key_b] = [row_b, None, False]",
        "else: row[1] = None",
    ]
