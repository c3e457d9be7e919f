"""Makes few events of many small ones: of a batch counts what becomes of each row, not how often it changes.

A batch is one commit, so nobody sees what lies between. Every row must still be there where the primary changed it, and
missing where it wrote one. Left as they are: few events, large ones, such as have not all columns, and those of tables
without a primary key, with foreign keys from or to them, with triggers or with history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.applier.folding import Contradiction, EventTemplate, Folding, Kind, folding_body
from replica_cli.applier.plan import columns_for, is_present
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of
from replica_cli.core.errors import Drift
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RELAXED_UNIQUE_CHECKS, RowKind
from replica_cli.decoder.compile import compile_each

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.steps import ApplyStep, RowCount
    from replica_cli.core.events import RowEvent, RowHead
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableDefinition, TableName
    from replica_cli.mysql.references import References

# Fewer are not worth the search; an event above these bytes holds many rows already, or large ones.
LEAST_EVENTS = 32
_SMALL_BYTES = 2048
_SPECIAL_FLAGS = NO_FOREIGN_KEY_CHECKS | RELAXED_UNIQUE_CHECKS
_CODE = 4
_FLAGS_END = 27
_NO_EXTRA = b"\x02\x00"
_FIRST_WITH_EXTRA = 30


@dataclass(frozen=True, slots=True)
class Compacted:
    """Events that leave the same rows behind; `parts` adds to the counts what was folded, and takes what was made."""

    events: Sequence[RowEvent]
    parts: tuple[RowCount, ...] = ()


class Compaction:
    """Folds the row events of batches for one engine.

    `replaces` says of a table whether that engine needs a statement for each updated row: then a delete and an insert
    of many rows stand for it.
    """

    def __init__(
        self,
        definitions: Definitions,
        selection: Selection,
        references: References,
        *,
        replaces: Callable[[TableDefinition], bool],
    ) -> None:
        self._definitions = definitions
        self._selection = selection
        self._references = references
        self._replaces = replaces
        self._kinds: TableCache[RowHead, Kind | None] = TableCache(trims_itself=False)

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget tables, or all: definitions changed."""
        self._kinds.forget(tables)

    def compact(self, events: Sequence[RowEvent]) -> Compacted:
        """Return fewer events where that can be. Raises CorruptEvent."""
        if len(events) < LEAST_EVENTS:
            return Compacted(events)
        folding = Folding()
        # As many as the batch has, not as there are: a batch of few tables takes no longer where many are known.
        heads = dict.fromkeys(event.head for event in events)
        try:
            self._fold(events, heads, folding)
        except Contradiction:
            return Compacted(events)
        kinds = self._kinds.entries
        folding.end((head, kind.count) for head in heads if (kind := kinds[head]) is not None)
        return Compacted(folding.events, folding.parts)

    def _fold(self, events: Sequence[RowEvent], heads: Iterable[RowHead], folding: Folding) -> None:
        kinds, rows_of = self._kinds.entries, folding.rows
        self._kinds.trim()
        for head in heads:
            known = kinds.get(head)
            if known is not None:
                known.count = 0
        for event in events:
            head, raw, _ = event
            try:
                kind = kinds[head]
            except KeyError:
                kind = self._kinds.keep(head.table.name, head, self._learn(event))
            length = len(raw)
            if kind is None or length > _SMALL_BYTES:
                folding.keep(event)
                continue
            rows, flush = rows_of.get(head.table) or folding.begin(kind.form)
            kind.count += kind.fold(raw, head.rows_start, length, rows, flush)

    def _learn(self, event: RowEvent) -> Kind | None:
        head = event.head
        if head.flags & _SPECIAL_FLAGS or not is_whole(event):
            return None
        try:
            definition = definition_of(event, self._definitions, self._selection)
            columns = columns_for(head.table, definition)
        except Drift:
            return None  # the engine says so
        key = definition.primary_key
        names = [c.name for c in columns]
        if key is None or not self._is_free(definition, names):
            return None
        ordinals = [names.index(part.name) for part in key.columns]
        # Where nothing else than the primary key is unique, or no change of it, a row can be changed where it stands.
        others = None if self._replaces(definition) else _unique_columns(definition, columns)
        body = folding_body(head.kind, has_more=bool(others))
        fold = compile_each(head, columns, ordinals, others or (), body)
        return Kind(EventTemplate(head, event.raw, replaces=others is None), fold)

    def _is_free(self, definition: TableDefinition, names: Sequence[str]) -> bool:
        """Say whether rows may be written in another order, and anew: nothing else hangs on them."""
        return (
            definition.kind == "BASE TABLE"
            and not definition.foreign_keys
            and not definition.triggers
            # One that the primary has not would lose what it holds.
            and all(c.name in names for c in definition.columns if not c.is_generated)
            and not self._references.is_parent(definition.name)
        )


def _unique_columns(definition: TableDefinition, columns: Sequence[Column]) -> tuple[int, ...] | None:
    """Return the ordinals of the columns of all unique keys but the primary key, None where others decide too."""
    ordinals = {c.name: i for i, c in enumerate(columns) if not c.is_generated}
    indexes = [i for i in definition.indexes if i.is_unique and i.name != "PRIMARY"]
    parts = dict.fromkeys(part.name for index in indexes for part in index.columns)
    if not all(name in ordinals for name in parts):
        return None
    return tuple(ordinals[name] for name in parts)


def is_whole(event: RowEvent) -> bool:
    """Say whether all columns are there, and nothing else (MySQL tells the partition of a row)."""
    head = event.head
    count = len(head.table.types)
    bitmaps = (head.present, head.present_after) if head.kind is RowKind.UPDATE else (head.present,)
    return (
        not head.is_partial_json
        and (event.raw[_CODE] < _FIRST_WITH_EXTRA or event.raw.startswith(_NO_EXTRA, _FLAGS_END))
        and all(is_present(bitmap, ordinal) for bitmap in bitmaps for ordinal in range(count))
    )


def with_counts(works: Iterator[ApplyStep], parts: tuple[RowCount, ...]) -> Iterator[ApplyStep]:
    """Yield the works of compacted events; the first adds to the counts what they do not show."""
    for work in works:
        yield replace(work, parts=(*work.parts, *parts)) if parts else work
        parts = ()
