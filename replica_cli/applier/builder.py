"""Turn transactions into steps: each row event goes to the engine that its table's record calls for."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from replica_cli.applier.panic import works_of
from replica_cli.applier.window import Mode
from replica_cli.core.errors import Drift, TableChangedInWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.batch_stats import BatchStats
    from replica_cli.applier.definitions import Definitions
    from replica_cli.applier.engines import Engines
    from replica_cli.applier.steps import ApplyStep, RowEngine
    from replica_cli.applier.window import Windows
    from replica_cli.core.events import RowEvent, Transaction


class WorkBuilder:
    """Builds steps in the order of the log and counts their rows.

    `is_exact`: the diagnostic engine builds the steps of live tables, so that the table and row that fail can be named.
    """

    def __init__(self, engines: Engines, windows: Windows, definitions: Definitions, *, is_exact: bool) -> None:
        self._engines = engines
        self._windows = windows
        self._definitions = definitions
        self.is_exact = is_exact

    def works(self, batch: Sequence[Transaction], tally: BatchStats) -> Iterator[ApplyStep]:
        """Yield the steps of whole transactions without statements.

        Each step is built and counted when the caller asks for it. Raises ApplyRefused if a change cannot be made, and
        TableChangedInWindow.
        """
        if self._windows.records:
            return self.works_by_mode([(t, cast("RowEvent", c)) for t in batch for c in t.changes], tally)
        return self._strict_works([cast("RowEvent", c) for t in batch for c in t.changes], tally)

    def works_by_mode(self, events: Sequence[tuple[Transaction, RowEvent]], tally: BatchStats) -> Iterator[ApplyStep]:
        """Yield the steps of row events. Some may be inside a replay window, or belong to a quarantined table."""
        taken: list[tuple[bool, RowEvent]] = []
        for transaction, event in events:
            name = event.table.name
            mode = self._windows.mode(name, transaction)
            if mode is Mode.QUARANTINED:
                tally.skipped_rows[name] += 1
            elif mode is not Mode.SKIPPED:
                taken.append((mode is Mode.STRICT, event))
        strict = self._strict
        with self._definitions.expecting([event for _, event in taken]):
            for is_strict, portion in groupby(taken, itemgetter(0)):
                engine = strict if is_strict else self._engines.replay
                yield from self._works_of(engine, [event for _, event in portion], tally)

    def _strict_works(self, events: list[RowEvent], tally: BatchStats) -> Iterator[ApplyStep]:
        with self._definitions.expecting(events):
            yield from self._works_of(self._strict, events, tally)

    @property
    def _strict(self) -> RowEngine:
        return self._engines.exact if self.is_exact else self._engines.strict

    def _works_of(self, engine: RowEngine, events: list[RowEvent], tally: BatchStats) -> Iterator[ApplyStep]:
        try:
            for work in works_of(engine, events):
                for part in work.parts:
                    if part.rows:
                        tally.rows[part.kind, part.table] += part.rows
                yield work
        except Drift as error:
            if engine is self._engines.replay and error.table is not None:
                raise TableChangedInWindow((error.table,), error.message) from error
            raise
