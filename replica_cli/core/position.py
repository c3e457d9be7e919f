"""Positions in the primary's binary log, always at a transaction boundary."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
        """Return a key that sorts positions of one server. File suffixes compare as numbers (999999 < 1000000)."""
        return (file_number(self.file), self.pos)


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
