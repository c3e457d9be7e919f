"""Compare one table to its end: open pairs of snapshots one after another, and store what each of them proves.

A part of a table is stored as proven when every row in it is decided, those included that were changed meanwhile. So a
run that is interrupted goes on after the last stored part, and no row is left out.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.verification import ProvenRange, TableProof
from replica_cli.sqlbuilder.rows.chunks import split_literals
from replica_cli.verify.sides import Side
from replica_cli.verify.walk import TableWalk
from replica_cli.verify.whole import WholeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.checkpoint.proofs import Progress
    from replica_cli.core.verification import Difference
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.pairs import Pair
    from replica_cli.verify.tables import VerifiedTable
    from replica_cli.verify.walk import Limits, Step, Strategy

# After this number of pairs in a row that prove nothing for a table, the table counts as not decided.
_FRUITLESS_PAIRS = 40
_UNKNOWN_CHANGES = (
    f"in {_FRUITLESS_PAIRS} pairs of snapshots it was not known which of its rows were changed in between (statements, "
    "XA transactions, cascades, row images without all columns, or too many changes)"
)
_CHANGED = (
    "it has no transactions on the primary, and whenever a part of it was read, another session changed it meanwhile: "
    "`ALTER TABLE ... ENGINE=InnoDB` on the primary, or run again when it is not written"
)
# A read of such a table keeps its writers waiting, and is thrown away if one of them comes between: so it is short.
_STILL_ROWS = 5_000
_HELD_DIFFERENCES = 1_000


class _ChangedError(Exception):
    """A table without snapshots was changed while it was read."""


@dataclass(slots=True)
class _Unsaved:
    """A part of the table that was compared, and the keys of its rows that are not decided yet."""

    proven: ProvenRange
    undecided: set[KeyLiterals] = field(default_factory=set)


class TableRun:
    """One table of a run. One thread uses it."""

    def __init__(
        self,
        table: VerifiedTable,
        primary: Session,
        secondary: Session,
        *,
        progress: Progress | None,
        report: Callable[[Difference], None],
        save: Callable[[int, ProvenRange], None],
        wants_rows: bool = False,
    ) -> None:
        """Begin, or go on where an interrupted run ended.

        Args:
            table: the table.
            primary: the session that has the primary's snapshots.
            secondary: the session that has the secondary's snapshots.
            progress: how far an interrupted run came, None to begin.
            report: takes each difference.
            save: stores a part of the table, with its number, when all of its rows are decided.
            wants_rows: the differences contain the values of the rows.
        """
        self.table = table
        self._save = save
        self._own_report = report
        self._take = self._pass_on
        self._saved_count = progress.range_count if progress else 0
        self._unsaved: list[_Unsaved] = []
        self._fruitless = 0
        self._reason = _UNKNOWN_CHANGES
        self._has_given_up = False
        self._differences = 0
        self._rows = progress.row_count if progress else 0
        sides = Side(primary, table.primary, is_primary=True), Side(secondary, table.secondary, is_primary=False)
        self._strategy: Strategy
        if table.key is None:
            self._strategy = WholeTable(table, *sides, self._report, wants_rows=wants_rows)
        else:
            low = split_literals(progress.last_key) if progress and progress.last_key else None
            self._strategy = TableWalk(table, *sides, self._report, low, wants_rows=wants_rows)

    @property
    def restless(self) -> frozenset[KeyLiterals]:
        """Return the keys of which the next pair must tell what the log says."""
        return frozenset(self._strategy.restless)

    @property
    def is_done(self) -> bool:
        """Return True if every row is decided, or if the table cannot be decided."""
        return self._strategy.is_done or bool(self.undecided_reason)

    @property
    def undecided_reason(self) -> str:
        """Return why the table cannot be decided; empty if it can."""
        return self._reason if self._has_given_up or self._fruitless >= _FRUITLESS_PAIRS else ""

    @property
    def proof(self) -> TableProof:
        """Return how far the table is compared."""
        estimate = max(self.table.rows_estimated, self._rows) or None
        return TableProof(self.table.name, self._rows, estimate, self._differences, self._strategy.is_done)

    def step(self, pair: Pair, limits: Limits) -> int:
        """Compare a part of the table in open snapshots; return the number of rows that were read on each server."""
        step = self._strategy.step(pair, limits) if self.table.has_snapshots else self._step_if_still(pair, limits)
        is_fruitful = step is not None and (bool(step.decided) or step.proven is not None)
        self._fruitless = 0 if is_fruitful or self._strategy.is_done else self._fruitless + 1
        if step is None:
            return 0
        self._note(step)
        count = 0 if step.proven is None else step.proven.rows
        self._rows += count
        return count + len(step.decided)

    def _step_if_still(self, pair: Pair, limits: Limits) -> Step | None:
        """Compare a part of a table without snapshots. If the table was changed meanwhile, the part does not count."""
        before = copy(self._strategy)
        rows = min(limits.rows or _STILL_ROWS, _STILL_ROWS)
        try:
            with self._holding(pair):
                return self._strategy.step(pair, replace(limits, rows=rows))
        except (_ChangedError, PrimaryError) as error:
            # While rows are inserted, an engine may give numbers that do not fit together.
            if isinstance(error, PrimaryError) and not pair.has_changed(self.table):
                raise
            self._strategy = before
            self._reason = _CHANGED
            return None

    @contextmanager
    def _holding(self, pair: Pair) -> Iterator[None]:
        """Keep differences back until it is known that the table was not changed. Raises _ChangedError if it was."""
        held: list[Difference] = []

        def pass_all_on() -> None:
            if pair.has_changed(self.table):
                raise _ChangedError
            for difference in held:
                self._pass_on(difference)
            held.clear()

        def hold(difference: Difference) -> None:
            held.append(difference)
            if len(held) >= _HELD_DIFFERENCES:
                pass_all_on()

        self._take = hold
        try:
            yield
            pass_all_on()
        finally:
            self._take = self._pass_on

    def postpone(self, reason: str) -> None:
        """Note that a pair of snapshots cannot be used for the table, and why."""
        self._fruitless += 1
        self._reason = reason

    def give_up(self, reason: str) -> None:
        """Note that the table cannot be compared, and why."""
        self._has_given_up = True
        self._reason = reason

    def _note(self, step: Step) -> None:
        for part in self._unsaved:
            part.undecided.difference_update(step.decided)
        if step.proven is not None:
            self._unsaved.append(_Unsaved(step.proven, set(step.undecided)))
        # In order: a run goes on after the last part that is stored. The last part waits for `finish`.
        while self._unsaved and not self._unsaved[0].undecided and self._unsaved[0].proven.high is not None:
            self._save_first()

    def finish(self) -> None:
        """Store the last part of the table, after a check that the table was not altered meanwhile."""
        while self._unsaved and not self._unsaved[0].undecided:
            self._save_first()

    def _save_first(self) -> None:
        self._saved_count += 1
        self._save(self._saved_count, self._unsaved.pop(0).proven)

    def _report(self, difference: Difference) -> None:
        self._take(difference)

    def _pass_on(self, difference: Difference) -> None:
        self._differences += difference.count
        self._own_report(difference)
