"""Write the primary's rows in place of rows that differ, at the position at which the secondary is.

The caller is the only process that writes, and applies nothing meanwhile. So the secondary stays at its position, and
each row has to become what it was on the primary at that position: the primary's row of now if the log has not changed
it since then, else what the log says. The rows of a report are never used.

The rows and the position row are written in one commit, which fails if another process has taken over. Before it, the
hashes of the written rows are compared with those of the primary: what is not equal is not committed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from replica_cli.core.reports.repair import RepairOutcome
from replica_cli.mysql.errnos import DUPLICATES, ServerError
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.rows.chunks import is_one_of
from replica_cli.verify.sides import Side, in_order
from replica_cli.verify.touched import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from replica_cli.core.verification import Difference
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.pairs import Pair
    from replica_cli.verify.tables import VerifiedTable

# Rows are written as they are: what the primary has accepted is not checked again, and nothing cascades.
PREPARATION = (b"SET SESSION foreign_key_checks = 0", b"SET NAMES binary")
# Rows that have more are written one at a time. In SQL they are twice as long.
_BYTES_AT_ONCE = 4 << 20
_PACKET_MARGIN = 64
_LATER = "it changes all the time, or the log does not tell what it was: try again"
_CHANGED = "the table has no transactions on the primary, and was changed meanwhile: try again"


@dataclass(frozen=True, slots=True)
class RepairedRow:
    """What became of one difference."""

    difference: Difference
    outcome: RepairOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a row has to become: its hash, ABSENT for no row, and its values as SQL.

    If the log tells it, the hash is that of the part that the log contains.
    """

    hash: str
    values: tuple[bytes, ...] = ()
    is_by_log: bool = False


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why rows cannot be written. `is_clash`: another row of the secondary has one of their unique values."""

    reason: str
    is_clash: bool = False


class RowRepair:
    """Repairs rows of one table. The sessions of the pair have their snapshots open."""

    def __init__(
        self,
        table: VerifiedTable,
        primary: Session,
        writer: Session,
        commit: Callable[[Sequence[RepairedRow]], None],
    ) -> None:
        """Prepare for a table.

        Args:
            table: the table.
            primary: the session with the primary's snapshot.
            writer: the session that writes; no transaction is open on it.
            commit: writes the position row and the records of the rows on `writer`, and commits.
        """
        self._table = table
        self._primary = Side(primary, table.primary, is_primary=True)
        self._secondary = Side(writer, table.secondary, is_primary=False)
        self._writer = writer
        self._commit = commit

    def repair(self, pair: Pair, differences: Sequence[Difference]) -> list[RepairedRow]:
        """Repair some rows; return what became of each.

        Raises:
            Fenced: another process has taken over.
            ServerError: a server does not answer.
        """
        if self._table.name in pair.touched.uncertain:
            return self._refuse(differences, _LATER)
        by_part = self._repair_by_hash if self._table.key is None else self._repair_by_key
        if len(differences) > 1 and self._are_too_large(differences):
            return [row for difference in differences for row in by_part(pair, [difference])]
        return by_part(pair, differences)

    def _are_too_large(self, differences: Sequence[Difference]) -> bool:
        """Return True if the primary's rows together would need too much memory."""
        if not self._primary.large_columns:
            return False
        if self._table.key is None:
            return True
        keys = [tuple(literal for _, literal in d.key) for d in differences]
        return self._primary.large_bytes(keys) > _BYTES_AT_ONCE

    def _repair_by_key(self, pair: Pair, differences: Sequence[Difference]) -> list[RepairedRow]:
        rows, refusal = self._replace(pair, differences)
        if refusal is None:
            return rows
        if len(differences) == 1:
            return self._refuse(differences, refusal.reason)
        # One row must not keep the others from being repaired. Those that exchange unique values need each other.
        clashing = []
        for difference in differences:
            done, refusal = self._replace(pair, [difference])
            rows += done
            if refusal is not None and refusal.is_clash:
                clashing.append(difference)
            elif refusal is not None:
                rows += self._refuse([difference], refusal.reason)
        if clashing:
            done, refusal = self._replace(pair, clashing)
            rows += done if refusal is None else self._refuse(clashing, refusal.reason)
        return rows

    def _replace(self, pair: Pair, differences: Sequence[Difference]) -> tuple[list[RepairedRow], _Refusal | None]:
        """Replace rows by the wanted ones, and commit; or return why they cannot be written, with nothing done."""
        by_key = {tuple(literal for _, literal in d.key): d for d in differences}
        keys = in_order(by_key)
        wanted = self._wanted(pair, keys)
        self._writer.begin()
        try:
            present = self._present(pair, keys)
            rows, to_write = [], []
            for key in keys:
                if key not in wanted:
                    rows.append(RepairedRow(by_key[key], RepairOutcome.REFUSED, _LATER))
                elif present.get(key, ABSENT) == wanted[key].hash:
                    rows.append(RepairedRow(by_key[key], RepairOutcome.VANISHED))
                else:
                    to_write.append(key)
            refusal = self._write(to_write, wanted)
        except BaseException:
            self._writer.rollback()
            raise
        if refusal is not None:
            self._writer.rollback()
            return [], refusal
        rows += [RepairedRow(by_key[key], RepairOutcome.WRITTEN) for key in to_write]
        return self._commit_unless_changed(pair, rows), None

    def _refuse(self, differences: Sequence[Difference], reason: str) -> list[RepairedRow]:
        rows = [RepairedRow(d, RepairOutcome.REFUSED, reason) for d in differences]
        self._writer.begin()
        self._commit(rows)
        return rows

    def _wanted(self, pair: Pair, keys: Sequence[KeyLiterals]) -> dict[KeyLiterals, _Wanted]:
        """Return what the rows have to become; a row is left out if that is not known."""
        touched = pair.touched.keys(self._table.name)
        hashes, values = self._primary.hashes_of(keys), self._primary.rows_of(keys)
        # The collation may take another spelling of a touched key for one of these.
        others = self._primary.hashes_of([k for k in touched if k not in keys], is_one_of(self._primary.key, keys))
        wanted: dict[KeyLiterals, _Wanted] = {}
        for key in keys:
            if key in touched:
                by_log, row = touched[key], pair.touched.values(self._table.name, key)
                if by_log == ABSENT:
                    wanted[key] = _Wanted(ABSENT, is_by_log=True)
                elif by_log is not None and row is not None:
                    wanted[key] = _Wanted(by_log, row, is_by_log=True)
            elif key not in others:
                row_values = tuple(literal.encode("utf-8", "surrogateescape") for _, literal in values.get(key, ()))
                wanted[key] = _Wanted(hashes.get(key, ABSENT), row_values)
        return wanted

    def _write(self, keys: Sequence[KeyLiterals], wanted: Mapping[KeyLiterals, _Wanted]) -> _Refusal | None:
        """Write rows in the open transaction; return why they cannot be written, None if they are as wanted."""
        if not keys:
            return None
        target = quote_table(self._table.secondary.name)
        statements = [f"DELETE FROM {target} WHERE {is_one_of(self._secondary.key, keys)}".encode()]
        rows = [wanted[key].values for key in keys if wanted[key].hash != ABSENT]
        if rows:
            statements.append(self._insert(rows))
        if reason := self._why_too_long(statements):
            return _Refusal(reason)
        try:
            self._writer.execute_each(statements)
        except ServerError as error:
            if error.is_connection_lost:
                raise
            return _Refusal(f"the secondary refuses it: {error.text}", is_clash=error.errno in DUPLICATES)
        for side, part in self._sides(keys, wanted):
            expected = Counter(wanted[key].hash for key in part if wanted[key].hash != ABSENT)
            if Counter(side.hashes_of(part).values()) != expected:
                return _Refusal("what the secondary stores is not equal to the primary's row")
        return None

    def _why_too_long(self, statements: Sequence[bytes]) -> str:
        """Return why statements cannot be sent, empty if they can. The server would end the connection."""
        longest = max(map(len, statements))
        if longest + _PACKET_MARGIN <= self._packet_bytes:
            return ""
        return f"a statement of {longest} bytes is longer than max_allowed_packet of the secondary: raise it"

    @cached_property
    def _packet_bytes(self) -> int:
        row = self._writer.row("SELECT @@max_allowed_packet")
        return int(row[0]) if row else 0

    def _sides(
        self, keys: Sequence[KeyLiterals], wanted: Mapping[KeyLiterals, _Wanted]
    ) -> Iterator[tuple[Side, list[KeyLiterals]]]:
        """Yield keys with the side that hashes their rows: as a whole, or only the part that the log contains."""
        yield self._secondary, [key for key in keys if not wanted[key].is_by_log]
        yield self._secondary.of(self._table.logged_part), [key for key in keys if wanted[key].is_by_log]

    def _present(self, pair: Pair, keys: Sequence[KeyLiterals]) -> dict[KeyLiterals, str]:
        """Return the hashes of the secondary's rows."""
        touched = pair.touched.keys(self._table.name)
        by_log = self._secondary.of(self._table.logged_part).hashes_of([key for key in keys if key in touched])
        return self._secondary.hashes_of([key for key in keys if key not in touched]) | by_log

    def _insert(self, rows: Sequence[tuple[bytes, ...]]) -> bytes:
        columns = [c.column for c in self._table.secondary.columns if not c.column.is_generated]
        names = ",".join(quote(c.name) for c in columns)
        head = f"INSERT INTO {quote_table(self._table.secondary.name)} ({names}) VALUES ".encode()
        return head + b",".join(b"(%b)" % b",".join(row) for row in rows)

    def _repair_by_hash(self, pair: Pair, differences: Sequence[Difference]) -> list[RepairedRow]:
        """Repair rows of a table without a key: the number of rows with each hash becomes that of the primary."""
        balance = pair.touched.balance(self._table.name)
        hashes = sorted({d.row_hash for d in differences})
        expected = self._primary.counts_of(hashes)
        expected.update({row_hash: balance[row_hash] for row_hash in hashes})
        self._writer.begin()
        try:
            present = self._secondary.counts_of(hashes)
            more = {h: present[h] - expected[h] for h in hashes if present[h] != expected[h]}
            reason = self._add_and_remove(more, expected) if more else ""
        except BaseException:
            self._writer.rollback()
            raise
        if reason:
            self._writer.rollback()
            if len(more) > 1:
                # One row must not keep the others from being repaired.
                alone = ([d for d in differences if d.row_hash == h] for h in hashes)
                return [row for each in alone for row in self._repair_by_hash(pair, each)]
            self._writer.begin()
        outcome = RepairOutcome.REFUSED if reason else RepairOutcome.WRITTEN
        rows = [
            RepairedRow(d, outcome, reason) if d.row_hash in more else RepairedRow(d, RepairOutcome.VANISHED)
            for d in differences
        ]
        return self._commit_unless_changed(pair, rows)

    def _add_and_remove(self, more: Mapping[str, int], expected: Mapping[str, int]) -> str:
        """Delete rows with hashes of which there are too many, and insert the missing ones, in the open transaction.

        Returns:
            Why that is not possible; empty if the numbers are the expected ones.
        """
        try:
            self._secondary.delete({h: count for h, count in more.items() if count > 0})
            missing = [h for h, count in more.items() if count < 0]
            rows = self._primary.rows_with_hashes(missing)
            if len(rows) < len(missing):
                return _LATER
            for row_hash, row in rows.items():
                values = tuple(literal.encode("utf-8", "surrogateescape") for _, literal in row)
                insert = self._insert([values])
                if reason := self._why_too_long([insert]):
                    return reason
                for _ in range(-more[row_hash]):
                    self._writer.execute(insert)
        except ServerError as error:
            if error.is_connection_lost:
                raise
            return f"the secondary refuses it: {error.text}"
        counts = self._secondary.counts_of(list(more))
        if any(counts[row_hash] != expected[row_hash] for row_hash in more):
            return "what the secondary stores is not equal to the primary's row"
        return ""

    def _commit_unless_changed(self, pair: Pair, rows: list[RepairedRow]) -> list[RepairedRow]:
        """Commit the open transaction, unless the primary's rows that were read are not those of the snapshot."""
        try:
            has_changed = pair.has_changed(self._table)
        except BaseException:
            self._writer.rollback()
            raise
        if has_changed:
            self._writer.rollback()
            rows = [RepairedRow(row.difference, RepairOutcome.REFUSED, _CHANGED) for row in rows]
            self._writer.begin()
        self._commit(rows)
        return rows
