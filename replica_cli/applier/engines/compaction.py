"""Reduce many small row events of a batch to few: only what becomes of each row counts, not how often it changes.

A batch is one commit, so no other connection sees the states in between. The engine still checks that a row exists
before the batch if the primary changed it, and does not exist if the primary inserted it. These events stay as they
are: all events of a batch of few events; large events; events without all columns; and those of tables without a
primary key, with foreign keys from or to them, with triggers or with history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.folding import Contradiction, EventTemplate, Folding, FoldPlan, folding_body
from replica_cli.applier.engines.row_plan import columns_for, is_present
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import Drift
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RELAXED_UNIQUE_CHECKS, RowKind
from replica_cli.decoder.compile import compile_each

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.steps import ApplyStep, RowCount
    from replica_cli.core.events import RowEvent, RowHead
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableDefinition, TableName
    from replica_cli.mysql.catalog.foreign_key_parents import References

# Fewer events cost more to compact than it saves. An event larger than this already holds many rows, or large ones.
LEAST_EVENTS = 32
_SMALL_BYTES = 2048
_SPECIAL_FLAGS = NO_FOREIGN_KEY_CHECKS | RELAXED_UNIQUE_CHECKS
_CODE = 4
_FLAGS_END = 27
_NO_EXTRA = b"\x02\x00"
_FIRST_WITH_EXTRA = 30


@dataclass(frozen=True, slots=True)
class Compacted:
    """Events with the same result as the original ones.

    `corrections` corrects the row counts of `events`: it adds the rows that were folded and subtracts those of the new
    events.
    """

    events: Sequence[RowEvent]
    corrections: tuple[RowCount, ...] = ()


class Compaction:
    """Compacts the row events of batches for one engine.

    `replaces` returns True for a table for which that engine needs one statement for each updated row. There a delete
    and an insert of many rows at once replace the updates.
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
        self._plans: TableCache[RowHead, FoldPlan | None] = TableCache(trims_itself=False)

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget some tables, or all if none is given, because their definitions changed."""
        self._plans.forget(tables)

    def compact(self, events: Sequence[RowEvent]) -> Compacted:
        """Return fewer events if possible, else the same ones. Raises CorruptEvent."""
        if len(events) < LEAST_EVENTS:
            return Compacted(events)
        folding = Folding()
        # Only the heads of this batch: a batch of few tables then takes no longer if the cache holds many.
        heads = dict.fromkeys(event.head for event in events)
        try:
            self._fold(events, heads, folding)
        except Contradiction:
            return Compacted(events)
        plans = self._plans.entries
        folding.end((head, plan.count) for head in heads if (plan := plans[head]) is not None)
        return Compacted(folding.events, folding.corrections)

    def _fold(self, events: Sequence[RowEvent], heads: Iterable[RowHead], folding: Folding) -> None:
        plans, rows_of = self._plans.entries, folding.rows
        self._plans.trim()
        for head in heads:
            cached = plans.get(head)
            if cached is not None:
                cached.count = 0
        for event in events:
            head, raw, _ = event
            try:
                plan = plans[head]
            except KeyError:
                plan = self._plans.keep(head.table.name, head, self._learn(event))
            length = len(raw)
            if plan is None or length > _SMALL_BYTES:
                folding.keep(event)
                continue
            rows, flush = rows_of.get(head.table) or folding.begin(plan.template)
            plan.count += plan.fold(raw, head.rows_start, length, rows, flush)

    def _learn(self, event: RowEvent) -> FoldPlan | None:
        head = event.head
        if head.flags & _SPECIAL_FLAGS or not is_whole(event):
            return None
        try:
            definition = definition_of(event, self._definitions, self._selection)
            columns = columns_for(head.table, definition)
        except Drift:
            return None  # the engine raises it
        key = definition.primary_key
        names = [c.name for c in columns]
        if key is None or not self._is_free(definition, names):
            return None
        ordinals = [names.index(part.name) for part in key.columns]
        # An UPDATE can stay one if it changes no other unique key. If that cannot be known, or if the engine needs one
        # statement for each row, `others` is None, and each UPDATE becomes a delete and an insert.
        others = None if self._replaces(definition) else _unique_columns(definition, columns)
        body = folding_body(head.kind, has_more=bool(others))
        fold = compile_each(head, columns, ordinals, others or (), body)
        return FoldPlan(EventTemplate(head, event.raw, replaces=others is None), fold)

    def _is_free(self, definition: TableDefinition, names: Sequence[str]) -> bool:
        """Return True if rows may be reordered, and deleted and inserted again, without other effects."""
        return (
            definition.kind == "BASE TABLE"
            and not definition.foreign_keys
            and not definition.triggers
            # A column that only the secondary has would lose its values.
            and all(c.name in names for c in definition.columns if not c.is_generated)
            and not self._references.is_parent(definition.name)
        )


def _unique_columns(definition: TableDefinition, columns: Sequence[Column]) -> tuple[int, ...] | None:
    """Return the ordinals of the columns of all unique keys except the primary key.

    Return None if such a key also has a generated column, or one that is not logged.
    """
    ordinals = {c.name: i for i, c in enumerate(columns) if not c.is_generated}
    indexes = [i for i in definition.indexes if i.is_unique and i.name != "PRIMARY"]
    parts = dict.fromkeys(part.name for index in indexes for part in index.columns)
    if not all(name in ordinals for name in parts):
        return None
    return tuple(ordinals[name] for name in parts)


def is_whole(event: RowEvent) -> bool:
    """Return True if the event has all columns and no extra data (MySQL adds the partition of a row)."""
    head = event.head
    count = len(head.table.types)
    bitmaps = (head.present, head.present_after) if head.kind is RowKind.UPDATE else (head.present,)
    return (
        not head.is_partial_json
        and (event.raw[_CODE] < _FIRST_WITH_EXTRA or event.raw.startswith(_NO_EXTRA, _FLAGS_END))
        and all(is_present(bitmap, ordinal) for bitmap in bitmaps for ordinal in range(count))
    )


def compacted_steps(
    compaction: Compaction | None,
    events: Sequence[RowEvent],
    steps_for: Callable[[Sequence[RowEvent]], Iterator[ApplyStep]],
) -> Iterator[ApplyStep]:
    """Return an engine's steps for events, after their compaction if there is one.

    The first step of compacted events also carries the corrections of the row counts. Raises CorruptEvent.
    """
    if compaction is None:
        return steps_for(events)
    compacted = compaction.compact(events)
    return _with_counts(steps_for(compacted.events), compacted.corrections)


def _with_counts(steps: Iterator[ApplyStep], corrections: tuple[RowCount, ...]) -> Iterator[ApplyStep]:
    for step in steps:
        yield replace(step, counts=(*step.counts, *corrections)) if corrections else step
        corrections = ()
