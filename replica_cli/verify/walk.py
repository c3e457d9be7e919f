"""Compare one table along its key, in groups of chunks: each group has a pair of snapshots of its own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from replica_cli.core.verification import Difference, ProvenRange
from replica_cli.verify.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.comparison import FoundRow
    from replica_cli.verify.pairs import Pair
    from replica_cli.verify.sides import Side
    from replica_cli.verify.tables import VerifiedTable

_FIRST_ROWS, _LEAST_ROWS, _MOST_ROWS = 2_000, 100, 100_000
_CHUNK_SECONDS = 0.3
# A row that was changed in this number of pairs is compared with the log. Most rows rest in the second one.
_PATIENCE_PAIRS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """When a step ends.

    Attributes:
        deadline: at this monotonic time.
        rows: after this number of rows, 0 for no limit.
        must_end: when it returns True, because a server is busy. It is called after each chunk, and may take its time.
        expiry: the snapshots must not be used after this monotonic time.
    """

    deadline: float
    rows: int = 0
    must_end: Callable[[], bool] = lambda: False
    expiry: float = math.inf

    def are_reached(self, rows: int) -> bool:
        """Return True if a step that has compared some rows must end."""
        return time.monotonic() >= self.deadline or 0 < self.rows <= rows or self.must_end()


@dataclass(frozen=True, slots=True)
class Step:
    """What one pair of snapshots proved.

    Attributes:
        proven: the part of the table that was compared, None if none was.
        undecided: keys in that part whose rows were changed meanwhile, so that a later step has to decide them.
        decided: keys of earlier steps that are decided now.
    """

    proven: ProvenRange | None
    undecided: Collection[KeyLiterals] = ()
    decided: Collection[KeyLiterals] = ()


class Strategy(Protocol):
    """How one table is compared. Each call of `step` uses another pair of snapshots."""

    @property
    def restless(self) -> Collection[KeyLiterals]:
        """Return the keys of rows that were changed in every pair so far: the log of the next pair must decide them."""

    @property
    def is_done(self) -> bool:
        """Return True if every row is decided."""

    def step(self, pair: Pair, limits: Limits) -> Step | None:
        """Compare a part of the table. Return None if the pair of snapshots cannot be used for this table."""


class TableWalk:
    """The comparison of one table with a key."""

    def __init__(
        self,
        table: VerifiedTable,
        primary: Side,
        secondary: Side,
        report: Callable[[Difference], None],
        low: KeyLiterals | None = None,
        *,
        wants_rows: bool = False,
    ) -> None:
        """Begin after a key.

        Args:
            table: the table.
            primary: the table on the primary.
            secondary: the table on the secondary.
            report: takes each difference.
            low: the key after which to begin, None for the first row.
            wants_rows: the differences contain the values of the rows.
        """
        self._table = table
        self._primary = primary
        self._secondary = secondary
        self._report = report
        self._low = low
        self._wants_rows = wants_rows
        self._is_at_end = False
        self._chunk_rows = _FIRST_ROWS
        self._pending: dict[KeyLiterals, int] = {}

    @property
    def restless(self) -> Collection[KeyLiterals]:
        """Return the keys of rows that were changed in every pair so far: the log of the next pair must decide them."""
        return frozenset(key for key, count in self._pending.items() if count >= _PATIENCE_PAIRS)

    @property
    def is_done(self) -> bool:
        """Return True if every row is decided."""
        return self._is_at_end and not self._pending

    def step(self, pair: Pair, limits: Limits) -> Step | None:
        """Decide the rows that were changed before, and compare chunks until a limit is reached."""
        name = self._table.name
        if name in pair.touched.uncertain:
            return None
        touched = pair.touched.keys(name)

        def report(row: FoundRow) -> None:
            key = tuple(zip(self._primary.key.names, row.key, strict=True))
            self._report(
                Difference(
                    name,
                    row.kind,
                    key,
                    row.columns,
                    pair.position,
                    primary_row=row.primary,
                    secondary_row=row.secondary,
                )
            )

        logged_part = self._secondary.of(self._table.logged_part)
        comparison = Comparison(
            self._primary, self._secondary, logged_part, touched, report, wants_rows=self._wants_rows
        )
        decided = self._decide(comparison, touched)
        if self._is_at_end:
            return Step(None, (), decided)
        low, rows = self._low, 0
        is_over = time.monotonic() >= limits.deadline
        while not self._is_at_end and not is_over:
            rows += self._compare_chunk(comparison, limits.rows)
            is_over = limits.are_reached(rows)
        if low == self._low and not self._is_at_end:
            return Step(None, (), decided)
        high = None if self._is_at_end else self._low
        undecided = [key for key in comparison.within(low, high) if touched[key] is None and key not in self._pending]
        self._pending |= dict.fromkeys(undecided, 1)
        return Step(ProvenRange(low, high, rows, pair.position), undecided, decided)

    def _decide(self, comparison: Comparison, touched: Collection[KeyLiterals]) -> Collection[KeyLiterals]:
        """Compare rows that were changed in earlier pairs; return the keys of those that are decided."""
        comparison.compare_with_log()
        before = self._pending
        restless = comparison.compare_keys([key for key in before if key not in touched])
        undecided = [key for key in before if key in touched and key not in comparison.known_by_log]
        self._pending = {key: before.get(key, 0) + 1 for key in (*undecided, *restless)}
        return before.keys() - self._pending.keys()

    def _compare_chunk(self, comparison: Comparison, rows_limit: int) -> int:
        started_at = time.monotonic()
        wanted = min(self._chunk_rows, rows_limit) if rows_limit else self._chunk_rows
        high = self._primary.key_after(comparison.condition(self._low, None), wanted - 1)
        rows = comparison.compare_range(self._low, high)
        self._low, self._is_at_end = high, high is None
        seconds = max(time.monotonic() - started_at, 0.001)
        better = int(wanted * min(2.0, max(0.5, _CHUNK_SECONDS / seconds)))
        self._chunk_rows = max(_LEAST_ROWS, min(_MOST_ROWS, better))
        return rows
