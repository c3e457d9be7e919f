"""Makes few events of many small ones: of a batch counts what becomes of each row, not how often it changes.

A batch is one commit, so nobody sees what lies between. Every row must still be there where the primary changed it, and
missing where it wrote one. Left as they are: few events, large ones, such as have not all columns, and those of tables
without a primary key, with foreign keys from or to them, with triggers or with history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.applier.folding import Contradiction, Folding, TableForm
from replica_cli.applier.plan import columns_for, is_present
from replica_cli.applier.target import definition_of
from replica_cli.core.errors import Drift
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RELAXED_UNIQUE_CHECKS, RowKind
from replica_cli.decoder.compile import compile_keyed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.work import Part, Work
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.decoder.compile import KeyedFunction
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
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """How a table map's whole events of one kind begin behind their flags, and what cuts their rows apart."""

    head: bytes
    form: TableForm
    cut: KeyedFunction


class Compaction:
    """Folds the row events of batches for one engine.

    `replaces`: that engine needs a statement for each updated row, so a delete and an insert of many rows stand for it.
    """

    def __init__(
        self,
        definitions: Definitions,
        selection: Selection,
        references: References,
        *,
        replaces: bool,
    ) -> None:
        self._definitions = definitions
        self._selection = selection
        self._references = references
        self._replaces = replaces
        self._kinds: dict[tuple[TableMap, int, bytes, bytes], _Kind | None] = {}

    def forget(self) -> None:
        """Forget the tables: a definition changed."""
        self._kinds.clear()
        self._references.forget()

    def compact(self, events: Sequence[RowEvent]) -> Compacted:
        """Return fewer events where that can be. Raises CorruptEvent."""
        if len(events) < LEAST_EVENTS:
            return Compacted(events)
        folding = Folding()
        kinds = self._kinds
        try:
            for event in events:
                raw = event.raw
                named = (event.table, raw[_CODE], event.present, event.present_after)
                if named not in kinds:
                    kinds[named] = self._learn(event)
                kind = kinds[named]
                if (
                    kind is None
                    or event.flags & _SPECIAL_FLAGS
                    or len(raw) > _SMALL_BYTES
                    or not raw.startswith(kind.head, _FLAGS_END)
                ):
                    folding.keep(event)
                else:
                    folding.fold(event, kind.form, kind.cut)
        except Contradiction:
            return Compacted(events)
        folding.end()
        return Compacted(folding.events, folding.parts)

    def _learn(self, event: RowEvent) -> _Kind | None:
        if not _is_whole(event):
            return None
        table = event.table
        try:
            definition = definition_of(event, self._definitions, self._selection)
            columns = columns_for(table, definition)
        except Drift:
            return None  # the engine says so
        key = definition.primary_key
        names = [c.name for c in columns]
        if key is None or not self._is_free(definition, names):
            return None
        others = [i for i in definition.indexes if i.is_unique and i is not key]
        form = TableForm.of(event, replaces=self._replaces or bool(others))
        ordinals = [names.index(part.name) for part in key.columns]
        cut = compile_keyed(table, columns, ordinals, event.present, event.present_after)
        return _Kind(event.raw[_FLAGS_END : event.rows_start], form, cut)

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


def _is_whole(event: RowEvent) -> bool:
    """Say whether all columns are there, and nothing else (MySQL tells the partition of a row)."""
    count = len(event.table.types)
    bitmaps = (event.present, event.present_after) if event.kind is RowKind.UPDATE else (event.present,)
    return (
        not event.is_partial_json
        and (event.raw[_CODE] < _FIRST_WITH_EXTRA or event.raw.startswith(_NO_EXTRA, _FLAGS_END))
        and all(is_present(bitmap, ordinal) for bitmap in bitmaps for ordinal in range(count))
    )


def counted(works: Iterator[Work], parts: tuple[Part, ...]) -> Iterator[Work]:
    """Yield the works of compacted events; the first adds to the counts what they do not show."""
    for work in works:
        yield replace(work, parts=(*work.parts, *parts)) if parts else work
        parts = ()
