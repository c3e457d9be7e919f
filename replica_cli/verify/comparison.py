"""Compare rows of one table inside one pair of snapshots: by sums, then by halves, and at last row by row.

Rows that were changed between the two snapshots may differ although nothing is wrong. They take no part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.column_types import INTEGERS
from replica_cli.core.verification import DifferenceKind
from replica_cli.side_by_side import side_by_side
from replica_cli.sqlbuilder.rows.chunks import after, both, up_to
from replica_cli.verify.sides import KEYS_AT_ONCE, conditions_of, in_order
from replica_cli.verify.touched import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.core.verification import Literals
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.sides import Side, Sums

_Answer = TypeVar("_Answer")
# Up to this number of rows the hashes of all rows are fetched. Otherwise a range is cut in halves.
_LISTED_ROWS = 1000


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row that differs; `columns` are the names of the columns that differ, if they are known."""

    kind: DifferenceKind
    key: KeyLiterals
    columns: tuple[str, ...] = ()
    primary: Literals | None = None
    secondary: Literals | None = None


class Comparison:
    """Compares rows of one table on two servers, inside the snapshots that are open."""

    def __init__(
        self,
        primary: Side,
        secondary: Side,
        logged_part: Side,
        touched: Mapping[KeyLiterals, str | None],
        report: Callable[[FoundRow], None],
        *,
        wants_rows: bool = False,
    ) -> None:
        """Begin; nothing is read.

        Args:
            primary: the table on the primary.
            secondary: the table on the secondary.
            logged_part: the part of it that the log contains.
            touched: the keys of the rows that were changed between the snapshots, each with the hash that the row has
                on the secondary according to the log: ABSENT without a row, None if it is not known.
            report: is called for each row that differs.
            wants_rows: report the values of the rows too.
        """
        self._primary = primary
        self._secondary = secondary
        self._logged_part = logged_part
        self._touched = in_order(touched)
        self.known_by_log = {key: text for key, text in touched.items() if text is not None}
        self._report = report
        self._wants_rows = wants_rows

    def compare_range(self, low: KeyLiterals | None, high: KeyLiterals | None) -> int:
        """Compare the rows after one key up to another one; None is no bound.

        Returns:
            The number of rows on the primary.
        """
        condition, touched = self.condition(low, high), self.within(low, high)
        primary, secondary = self._both(lambda side: side.sums(condition))
        rows = primary.count
        if primary == secondary:
            return rows
        if touched:
            own, other = self._both(lambda side: side.sums_of(touched, condition))
            primary, secondary = primary - own, secondary - other
        if primary != secondary:
            self._search(low, high, primary, secondary)
        return rows

    def compare_keys(self, keys: Sequence[KeyLiterals]) -> list[KeyLiterals]:
        """Compare the rows that have one of some keys.

        Returns:
            The keys of those rows that take no part, because they were changed under another spelling of their key.
        """
        conditions = conditions_of(self._primary.key, in_order(keys))
        return [key for condition in conditions for key in self._list(condition, self._touched)]

    def compare_with_log(self) -> None:
        """Compare the touched rows of the secondary with what the log says that they are, as far as it is known."""
        expected = self.known_by_log
        keys = in_order(expected)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[start : start + KEYS_AT_ONCE]
            wanted = Counter(expected[key] for key in part if expected[key] != ABSENT)
            if Counter(self._logged_part.hashes_of(part).values()) != wanted:
                self._compare_each_with_log(part)

    def condition(self, low: KeyLiterals | None, high: KeyLiterals | None) -> str:
        """Return the condition for the rows after one key up to another one; None is no bound."""
        key = self._primary.key
        lower = f"({after(key, low)})" if low is not None else ""
        upper = f"({up_to(key, high)})" if high is not None else ""
        return both(lower, upper)

    def within(self, low: KeyLiterals | None, high: KeyLiterals | None) -> Sequence[KeyLiterals]:
        """Return the touched keys that may be in a range. Only a server can compare keys that are not whole numbers."""
        parts = self._primary.key.parts
        if len(parts) > 1 or parts[0].is_descending or parts[0].column.data_type not in INTEGERS:
            return self._touched
        least = int(low[0]) if low is not None else None
        greatest = int(high[0]) if high is not None else None
        return [
            key
            for key in self._touched
            if (least is None or int(key[0]) > least) and (greatest is None or int(key[0]) <= greatest)
        ]

    def _compare_each_with_log(self, keys: Sequence[KeyLiterals]) -> None:
        # A key may have several spellings in the log, of which the collation makes one. Then the row that is read by
        # one spelling is the row that the log has under another one.
        known = {text for text in self.known_by_log.values() if text != ABSENT}
        for key in keys:
            hashes, wanted = list(self._logged_part.hashes_of([key]).values()), self.known_by_log[key]
            if wanted == ABSENT:
                if any(text not in known for text in hashes):
                    self._report_rows(DifferenceKind.EXTRA, [key], has_primary_row=False)
            elif not hashes:
                self._report_rows(DifferenceKind.MISSING, [key], has_primary_row=False)
            elif hashes != [wanted]:
                self._report_rows(DifferenceKind.DIFFERS, [key], has_primary_row=False)

    def _search(self, low: KeyLiterals | None, high: KeyLiterals | None, primary: Sums, secondary: Sums) -> None:
        """Find the rows that differ in a range, whose sums are known to differ."""
        larger = self._primary if primary.count >= secondary.count else self._secondary
        count = max(primary.count, secondary.count)
        middle = larger.key_after(self.condition(low, high), count // 2 - 1) if count > _LISTED_ROWS else None
        if middle is None:
            self._list(self.condition(low, high), self.within(low, high))
            return
        self.compare_range(low, middle)
        self.compare_range(middle, high)

    def _list(self, condition: str, touched: Sequence[KeyLiterals]) -> list[KeyLiterals]:
        """Compare rows one by one; return the keys of those that take no part."""
        primary, secondary = self._both(lambda side: side.hashes(condition))
        ignored: list[KeyLiterals] = []
        if touched:
            # A server decides which rows these are: its collation may take another spelling of a key for the same key.
            own, other = self._both(lambda side: side.hashes_of(touched, condition))
            ignored = in_order(own.keys() | other.keys())
            for key in ignored:
                primary.pop(key, None)
                secondary.pop(key, None)
        if primary != secondary:
            differing = [key for key, text in primary.items() if key in secondary and secondary[key] != text]
            missing = [key for key in primary if key not in secondary]
            extra = [key for key in secondary if key not in primary]
            self._report_rows(DifferenceKind.DIFFERS, differing)
            self._report_rows(DifferenceKind.MISSING, missing)
            self._report_rows(DifferenceKind.EXTRA, extra)
        return ignored

    def _report_rows(self, kind: DifferenceKind, keys: Sequence[KeyLiterals], *, has_primary_row: bool = True) -> None:
        """Report rows, with the names of the columns that differ if the primary's snapshot has the row to compare."""
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[start : start + KEYS_AT_ONCE]
            columns: dict[KeyLiterals, tuple[str, ...]] = {}
            if kind is DifferenceKind.DIFFERS and has_primary_row:
                columns = self._differing_columns(part)
            primary_rows: dict[KeyLiterals, Literals] = {}
            secondary_rows: dict[KeyLiterals, Literals] = {}
            if self._wants_rows:
                primary_rows, secondary_rows = self._rows_of(part)
            for key in part:
                primary_row = primary_rows.get(key) if has_primary_row else None
                self._report(FoundRow(kind, key, columns.get(key, ()), primary_row, secondary_rows.get(key)))

    def _differing_columns(self, keys: Sequence[KeyLiterals]) -> dict[KeyLiterals, tuple[str, ...]]:
        own, other = self._both(lambda side: side.column_hashes_of(keys))
        names = [c.column.name for c in self._primary.table.columns]
        return {
            key: tuple(name for name, a, b in zip(names, own[key], other[key], strict=True) if a != b) for key in keys
        }

    def _rows_of(self, keys: Sequence[KeyLiterals]) -> tuple[dict[KeyLiterals, Literals], dict[KeyLiterals, Literals]]:
        return self._both(lambda side: side.rows_of(keys))

    def _both(self, ask: Callable[[Side], _Answer]) -> tuple[_Answer, _Answer]:
        return side_by_side(lambda: ask(self._primary), lambda: ask(self._secondary))
