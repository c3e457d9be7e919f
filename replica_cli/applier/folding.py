"""The rows of a batch, table by table, as they are before it and as they are after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from replica_cli.applier.steps import RowCount, cuts
from replica_cli.core.events import CASCADES_ARE_LOGGED, RowEvent, RowHead, RowKind
from replica_cli.decoder.compile import EachBody

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from replica_cli.core.events import TableMap
    from replica_cli.core.table import TableName

    # A row's images before and after the batch, None where there is no row, and whether it must go and come anew.
    Row = list[bytes | bool | None]
    Rows = dict[Hashable, Row]

# What one event holds at most, unless a row alone is larger.
_EVENT_BYTES = 64 * 1024
_CODE = 4
_LENGTH = slice(9, 13)


class Contradiction(Exception):
    """Rows do what they cannot, such as being written twice."""


class EventTemplate:
    """How a table map's events are made, as an event with all columns shows it.

    `replaces`: every update goes out as a delete and an insert.
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
        """Return an event of so many rows."""
        head = self._heads[kind]
        raw = bytearray(b"".join((self._start, head.present, head.present_after, *images)))
        raw[_CODE] = self._insert_code + kind
        raw[_LENGTH] = len(raw).to_bytes(4, "little")
        return RowEvent(head, bytes(raw), len(images))

    def _head(self, kind: RowKind, present: bytes) -> RowHead:
        after = present if kind is RowKind.UPDATE else b""
        return RowHead(kind, self.table, self._flags, present, after, len(self._start) + len(present) + len(after))


@dataclass(slots=True, eq=False)
class Kind:
    """What is done with events that begin alike: `fold` takes in their rows; `count` says how many there were."""

    form: EventTemplate
    fold: Callable[[bytes, int, int, Rows, Callable[[], Rows]], int]
    count: int = 0


class Folding:
    """Takes in events in source order; `events` and `parts` are what comes out of them.

    `rows` has for each table map its rows by their keys, and what lets them out and begins again.
    """

    def __init__(self) -> None:
        self.events: list[RowEvent] = []
        self.rows: dict[TableMap, tuple[Rows, Callable[[], Rows]]] = {}
        self._forms: dict[TableName, EventTemplate] = {}  # of each table whose rows are pending: of one map at a time
        self._counts: Counter[tuple[RowKind, TableMap]] = Counter()

    @property
    def parts(self) -> tuple[RowCount, ...]:
        """Return the rows that were folded away, by kind and table, and, fewer than none, those made of them."""
        return tuple(RowCount(kind, table.name, count) for (kind, table), count in self._counts.items() if count)

    def begin(self, form: EventTemplate) -> tuple[Rows, Callable[[], Rows]]:
        """Begin with a table: its rows, and what lets them out."""
        # The same table may have had another map before: what went by it comes first.
        self._flush(form.table.name)
        self._forms[form.table.name] = form
        found = self.rows[form.table] = {}, partial(self._renew, form)
        return found

    def keep(self, event: RowEvent) -> None:
        """Take in an event as it is."""
        self._flush(event.table.name)
        self.events.append(event)

    def end(self, counts: Iterable[tuple[RowHead, int]]) -> None:
        """Let out all that is still pending; so many rows were taken in."""
        for name in list(self._forms):
            self._flush(name)
        for head, count in counts:
            self._counts[head.kind, head.table] += count

    def _renew(self, form: EventTemplate) -> Rows:
        return self.begin(form)[0]

    def _flush(self, name: TableName) -> None:
        form = self._forms.pop(name, None)
        if form is None:
            return
        table, replaces = form.table, form.replaces
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
        # In this order no unique key is held by two rows on the way: updates change none.
        for kind, images in ((RowKind.DELETE, deletes), (RowKind.UPDATE, updates), (RowKind.INSERT, inserts)):
            self._counts[kind, table] -= len(images)
            self.events += [form.event(kind, images[part]) for part in cuts(map(len, images), _EVENT_BYTES)]


def folding_body(kind: RowKind, *, has_more: bool) -> EachBody:
    """Return what is done with each row of an event; `has_more`: with other unique keys than the primary key.

    For `compile_each`, whose `more` are the columns of those keys.
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
    return EachBody("rows, renew", ("get = rows.get",), tuple(each), {"Contradiction": Contradiction})


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
        # It is new, and must be written before it goes: else nobody would notice one that was there already.
        "    rows = renew()",
        "    get = rows.get",
        "    rows[key_b] = [row_b, None, False]",
        "else: row[1] = None",
    ]
