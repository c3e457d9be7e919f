"""Compare a table without a key that serves for reading it in order: the whole table in one pair of snapshots.

It may have no key, keep all versions of its rows, or be ordered in another way on the other server. Both servers sum
the hashes of all rows, and the log says what the secondary must have more or less. Equal rows count as often as they
occur. If the sums differ, rows are put into parts by their hashes, and the hashes of the parts that differ are fetched.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.verification import Difference, DifferenceKind, ProvenRange
from replica_cli.side_by_side import side_by_side
from replica_cli.sqlbuilder.rows.row_hashes import part_of_hash
from replica_cli.verify.pairs import SnapshotExpired
from replica_cli.verify.sides import Sums, sums_of
from replica_cli.verify.walk import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.pairs import Pair
    from replica_cli.verify.sides import Side
    from replica_cli.verify.tables import VerifiedTable
    from replica_cli.verify.walk import Limits

_Answer = TypeVar("_Answer")
_PARTS = 4096
# About how many rows of each server are fetched at once.
_FETCHED_ROWS = 20_000


class WholeTable:
    """The comparison of one table as a whole."""

    def __init__(
        self,
        table: VerifiedTable,
        primary: Side,
        secondary: Side,
        report: Callable[[Difference], None],
        *,
        wants_rows: bool = False,
    ) -> None:
        """Begin; nothing is read.

        Args:
            table: the table.
            primary: the table on the primary.
            secondary: the table on the secondary.
            report: takes each difference.
            wants_rows: the differences contain the values of the rows.
        """
        self._table = table
        self._wants_rows = wants_rows
        self._primary = primary
        self._secondary = secondary
        self._report = report
        self.is_done = False

    @property
    def restless(self) -> Collection[KeyLiterals]:
        """Return no keys."""
        return ()

    def step(self, pair: Pair, limits: Limits) -> Step | None:
        """Compare the table. Return None if the pair of snapshots cannot be used for this table.

        Raises:
            SnapshotExpired: the search for the rows that differ takes longer than the snapshots may live.
        """
        name = self._table.name
        if name in pair.touched.uncertain:
            return None
        balance = pair.touched.balance(name)
        primary, secondary = self._both(lambda side: side.sums())
        if primary + sums_of(balance) != secondary:
            self._search(pair, balance, limits)
        self.is_done = True
        return Step(ProvenRange(None, None, primary.count, pair.position))

    def _search(self, pair: Pair, balance: Counter[str], limits: Limits) -> None:
        primary, secondary = self._both(lambda side: side.parts(_PARTS))
        changes: dict[int, Counter[str]] = {}
        for row_hash, number in balance.items():
            changes.setdefault(part_of_hash(row_hash, _PARTS), Counter())[row_hash] = number
        nothing, no_changes = Sums(), Counter[str]()
        differing = [
            part
            for part in sorted(primary.keys() | secondary.keys() | changes.keys())
            if primary.get(part, nothing) + sums_of(changes.get(part, no_changes)) != secondary.get(part, nothing)
        ]
        rows = max(sum(s.count for s in sums.values()) for sums in (primary, secondary))
        at_once = max(1, _FETCHED_ROWS * _PARTS // max(rows, 1))
        for start in range(0, len(differing), at_once):
            if time.monotonic() >= limits.expiry:
                raise SnapshotExpired
            self._fetch(pair, differing[start : start + at_once], changes)

    def _fetch(self, pair: Pair, parts: Sequence[int], changes: dict[int, Counter[str]]) -> None:
        expected, present = self._both(lambda side: side.hash_counts(_PARTS, parts))
        for part in parts:
            expected.update(changes.get(part, {}))
        for row_hash in sorted(expected.keys() | present.keys()):
            more = present[row_hash] - expected[row_hash]
            if more:
                self._report(self._difference(pair, row_hash, more))

    def _difference(self, pair: Pair, row_hash: str, more: int) -> Difference:
        kind = DifferenceKind.EXTRA if more > 0 else DifferenceKind.MISSING
        row = None
        if self._wants_rows:
            row = (self._secondary if more > 0 else self._primary).rows_with_hashes([row_hash]).get(row_hash)
        return Difference(
            self._table.name,
            kind,
            (),
            (),
            pair.position,
            row_hash,
            abs(more),
            None if more > 0 else row,
            row if more > 0 else None,
        )

    def _both(self, ask: Callable[[Side], _Answer]) -> tuple[_Answer, _Answer]:
        return side_by_side(lambda: ask(self._primary), lambda: ask(self._secondary))
