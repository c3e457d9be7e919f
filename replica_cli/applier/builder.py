"""From transactions to work: each row event goes to the engine that its table's record asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from replica_cli.applier.panic import works_of
from replica_cli.applier.window import Mode, TableChangedInWindow
from replica_cli.core.errors import Drift

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.engines import Engines
    from replica_cli.applier.tally import Tally
    from replica_cli.applier.window import Windows
    from replica_cli.applier.work import RowEngine, Work
    from replica_cli.core.events import RowEvent, Transaction


class WorkBuilder:
    """Builds work in source order and counts it. `is_exact` takes the engine that can name what exactly fails."""

    def __init__(self, engines: Engines, windows: Windows, *, is_exact: bool) -> None:
        self._engines = engines
        self._windows = windows
        self.is_exact = is_exact

    def works(self, run: Sequence[Transaction], tally: Tally) -> Iterator[Work]:
        """Yield the work for whole transactions without statements, built and counted as it is asked for.

        Raises ApplyRefused where a change cannot be made, TableChangedInWindow.
        """
        if self._windows.records:
            return self.works_by_mode([(t, cast("RowEvent", c)) for t in run for c in t.changes], tally)
        events = [cast("RowEvent", c) for t in run for c in t.changes]
        return self._works_of(self._strict, events, tally)

    def works_by_mode(self, events: Sequence[tuple[Transaction, RowEvent]], tally: Tally) -> Iterator[Work]:
        """Yield the work for row events of which some may lie in a window, or belong to a table set aside."""
        strict = self._strict
        portion: list[RowEvent] = []
        engine: RowEngine | None = None
        for transaction, event in events:
            name = event.table.name
            mode = self._windows.mode(name, transaction)
            if mode is Mode.QUARANTINED:
                tally.skipped_rows[name] += 1
                continue
            if mode is Mode.SKIPPED:
                continue
            wanted = strict if mode is Mode.STRICT else self._engines.replay
            if engine is not None and wanted is not engine:
                yield from self._works_of(engine, portion, tally)
                portion = []
            engine = wanted
            portion.append(event)
        if engine is not None:
            yield from self._works_of(engine, portion, tally)

    @property
    def _strict(self) -> RowEngine:
        return self._engines.exact if self.is_exact else self._engines.strict

    def _works_of(self, engine: RowEngine, events: list[RowEvent], tally: Tally) -> Iterator[Work]:
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
