"""Places in the primary's binary log: always at the end of a transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FILE = re.compile(r"^(?P<base>.+)\.(?P<number>\d+)$")


@dataclass(frozen=True, slots=True)
class Position:
    """A transaction boundary: file and 64-bit offset, and the GTID set executed up to it.

    `file` is empty where only the GTID set is known (a MySQL primary asked without BACKUP_ADMIN).
    `gtid` is MariaDB's state ("0-1-100,1-2-7") or MySQL's set ("uuid:1-5"), empty where GTIDs are off.
    """

    file: str
    pos: int
    gtid: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.pos}" if self.file else "-"
        return place if self.file or not self.gtid else f"gtid {self.gtid}"

    @property
    def order(self) -> tuple[int, int]:
        """Return a key that sorts positions of one server; file suffixes compare as numbers (999999 < 1000000)."""
        return (file_number(self.file), self.pos)


def file_number(name: str) -> int:
    """Return the numeric suffix of a binlog file name, -1 where there is none."""
    match = _FILE.match(name)
    return int(match["number"]) if match else -1


def parse_file_position(text: str) -> Position:
    """Read `FILE:POS` as people type it.

    Raises ValueError where it is not that.
    """
    file, _, pos = text.rpartition(":")
    if not _FILE.match(file) or not (pos.isascii() and pos.isdecimal()) or int(pos) < 4:
        raise ValueError(f"{text!r} is not FILE:POS, such as binlog.000042:1187")
    return Position(file, int(pos))
