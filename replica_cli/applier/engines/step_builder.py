"""Turn transactions into steps: each row event goes to the engine that its table's record calls for."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from replica_cli.applier.failures import engine_steps
from replica_cli.applier.window import Mode
from replica_cli.core.errors import Drift, TableChangedInWindow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.applier.commit_tracker import BatchStats
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.event_log import EventLog
    from replica_cli.applier.engines.steps import ApplyStep, RowEngine
    from replica_cli.applier.window import Windows
    from replica_cli.core.events import RowEvent, Transaction
    from replica_cli.core.table import TableName
    from replica_cli.mysql.catalog.foreign_key_parents import References


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one applier.

    Attributes:
        strict: applies changes of live tables.
        replay: applies changes inside the replay window, idempotently.
        diagnostic: applies changes strictly and names the row that fails.
        references: the foreign keys that the engines take into account.
        event_log: logs each event; None unless the level is DEBUG.

    """

    strict: RowEngine
    replay: RowEngine
    diagnostic: RowEngine
    references: References
    event_log: EventLog | None = None

    def forget(self, tables: Collection[TableName], *, are_keys_new: bool = True) -> None:
        """Forget what was derived from the definitions of tables, because these changed.

        Args:
            tables: the primary's names; all tables if empty.
            are_keys_new: a foreign key may refer to another table than before.

        """
        if are_keys_new:
            self.references.forget()
        for engine in (self.strict, self.replay, self.diagnostic):
            engine.forget(tables)
        if self.event_log is not None:
            self.event_log.forget(tables)


class StepBuilder:
    """Builds steps in the order of the log and counts their rows.

    Attributes:
        is_diagnostic: True if the diagnostic engine builds the steps of live tables.

    """

    def __init__(
        self, engines: Engines, windows: Windows, definitions: Definitions, *, is_diagnostic: bool = False
    ) -> None:
        self._engines = engines
        self._windows = windows
        self._definitions = definitions
        self.is_diagnostic = is_diagnostic

    @property
    def can_diagnose(self) -> bool:
        """Return True if the diagnostic engine is not in use, and can say more than the strict engine."""
        return not self.is_diagnostic and self._engines.strict is not self._engines.diagnostic

    @contextlib.contextmanager
    def diagnosing(self) -> Iterator[None]:
        """Use the diagnostic engine inside the block, and the strict one after it."""
        self.is_diagnostic = True
        try:
            yield
        finally:
            self.is_diagnostic = False

    def steps(self, transactions: Sequence[Transaction], stats: BatchStats) -> Iterator[ApplyStep]:
        """Yield the steps of whole transactions without statements.

        Each step is built, and counted in `stats`, when the caller asks for it. Raises ApplyRefused if a change cannot
        be made, and TableChangedInWindow.
        """
        if self._windows.records:
            return self.steps_by_mode([(t, cast("RowEvent", c)) for t in transactions for c in t.changes], stats)
        return self._strict_steps(transactions, stats)

    def steps_by_mode(self, events: Sequence[tuple[Transaction, RowEvent]], stats: BatchStats) -> Iterator[ApplyStep]:
        """Yield the steps of row events. Some may be inside a replay window, or belong to a quarantined table."""
        taken: list[tuple[bool, Transaction, RowEvent]] = []
        for transaction, event in events:
            name = event.table.name
            mode = self._windows.mode(name, transaction)
            if mode is Mode.QUARANTINED:
                stats.skipped_rows[name] += 1
            elif mode is not Mode.SKIPPED:
                taken.append((mode is Mode.STRICT, transaction, event))
        strict = self._strict
        with self._definitions.expecting([event for *_, event in taken]):
            if self._engines.event_log is not None:
                self._engines.event_log.note((transaction, event) for _, transaction, event in taken)
            # A portion is consecutive events for one engine.
            for is_strict, portion in groupby(taken, itemgetter(0)):
                engine = strict if is_strict else self._engines.replay
                yield from self._counted(engine, [event for *_, event in portion], stats)

    def _strict_steps(self, transactions: Sequence[Transaction], stats: BatchStats) -> Iterator[ApplyStep]:
        events = cast("list[RowEvent]", [c for t in transactions for c in t.changes])
        with self._definitions.expecting(events):
            if self._engines.event_log is not None:
                self._engines.event_log.note((t, cast("RowEvent", c)) for t in transactions for c in t.changes)
            yield from self._counted(self._strict, events, stats)

    @property
    def _strict(self) -> RowEngine:
        return self._engines.diagnostic if self.is_diagnostic else self._engines.strict

    def _counted(self, engine: RowEngine, events: list[RowEvent], stats: BatchStats) -> Iterator[ApplyStep]:
        try:
            for step in engine_steps(engine, events):
                for count in step.counts:
                    if count.rows:
                        stats.rows[count.kind, count.table] += count.rows
                yield step
        except Drift as error:
            if engine is self._engines.replay and error.table is not None:
                raise TableChangedInWindow((error.table,), error.message) from error
            raise
