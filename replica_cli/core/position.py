"""Positions in the primary's binary log, always at a transaction boundary, and their order.

Positions compare themselves. No other module compares files, offsets or GTID sets of positions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replica_cli.core.errors import PositionsIncomparable
from replica_cli.core.gtid import covers

# The offset of the first event in each file of the log.
FIRST_EVENT = 4
_FILE = re.compile(r"^(?P<base>.+)\.(?P<number>\d+)$")


@dataclass(frozen=True, slots=True)
class Position:
    """A transaction boundary in the primary's binary log.

    Attributes:
        file: the binary log file; empty if only the GTID set is known (a MySQL primary, read without BACKUP_ADMIN).
        pos: the 64-bit byte offset in the file.
        gtid: the GTID set that is executed up to this position: MariaDB's state ("0-1-100,1-2-7") or MySQL's set
            ("uuid:1-5"). Empty if GTIDs are off.
    """

    file: str
    pos: int
    gtid: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.pos}" if self.file else "-"
        return text if self.file or not self.gtid else f"gtid {self.gtid}"

    @property
    def order(self) -> tuple[int, int]:
        """Return a key that sorts positions of one server that have a file.

        File suffixes compare as numbers (999999 < 1000000).
        """
        return (file_number(self.file), self.pos)

    def at_least(self, other: Position) -> bool:
        """Return True if this position is `other`, or comes after it in the same log.

        File and offset decide if both positions have them, else the GTID sets. GTID sets are not a total order: if each
        of two sets has a transaction that the other lacks, neither position is at least the other.

        Raises:
            PositionsIncomparable: one position has only a file and the other one only a GTID set.

        """
        if self.file and other.file:
            return self.order >= other.order
        if self._is_comparable(other):
            return covers(self.gtid, other.gtid)
        raise PositionsIncomparable(self, other)

    def is_before(self, other: Position) -> bool:
        """Return True if `other` comes after this position in the same log. Raises PositionsIncomparable."""
        return other.at_least(self) and not self.at_least(other)

    def is_same(self, other: Position) -> bool:
        """Return True if both are one place in the same log. Raises PositionsIncomparable."""
        return self.at_least(other) and other.at_least(self)

    def has_all_of(self, other: Position) -> bool:
        """Return True if every transaction before `other` is also before this position.

        The GTID sets decide if both positions have one: a set does not change when the log rotates, and it is true
        after the log was reset, when file and offset mean nothing. Else file and offset decide.

        Raises:
            PositionsIncomparable: one position has only a file and the other one only a GTID set.

        """
        return covers(self.gtid, other.gtid) if self.gtid and other.gtid else self.at_least(other)

    def is_after_transaction(self, start: Position, gtid: str) -> bool:
        """Return True if a transaction of the same log ends at this position or before it.

        Args:
            start: the position at which the transaction begins.
            gtid: the transaction's own GTID, empty if it has none.

        Raises:
            PositionsIncomparable: this position has no file, and the transaction has no GTID.

        """
        if self.file and start.file:
            return start.order < self.order
        if self.gtid and not gtid:
            raise PositionsIncomparable(self, start)
        # Before a server has executed anything, its position has neither a file nor a set.
        return bool(gtid) and covers(self.gtid, gtid)

    def is_same_transaction(self, other: Position) -> bool:
        """Return True if two positions that identify a transaction are of the same one.

        Such a position has the transaction's start and the transaction's own GTID
        (`checkpoint.intents.transaction_position`). A GTID identifies the transaction also after another server became
        the primary.
        """
        return self.gtid == other.gtid if self.gtid or other.gtid else self.order == other.order

    def _is_comparable(self, other: Position) -> bool:
        # A position with neither a file nor a set is that of a server that has executed nothing.
        return all(p.gtid or not p.file for p in (self, other))


def file_number(name: str) -> int:
    """Return the numeric suffix of a binary log's file name, -1 if it has none."""
    match = _FILE.match(name)
    return int(match["number"]) if match else -1


def parse_file_position(text: str) -> Position:
    """Parse `FILE:POS`.

    Raises:
        ValueError: if the text does not have this form, or POS is below 4, where the first event begins.
    """
    file, _, pos = text.rpartition(":")
    if not _FILE.match(file) or not (pos.isascii() and pos.isdecimal()) or int(pos) < 4:
        raise ValueError(f"{text!r} is not FILE:POS, such as binlog.000042:1187")
    return Position(file, int(pos))
