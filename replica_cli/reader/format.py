"""Format description events: which checksum the file's events end in.

Layout: https://mariadb.com/kb/en/format_description_event/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replica_cli.core.errors import UnsupportedEvent


@dataclass(frozen=True, slots=True)
class Format:
    """What one binlog file's first event says. `raw` is the event without its own checksum."""

    server_version: str
    has_checksum: bool
    raw: bytes


def parse_format(event: bytes) -> Format:
    """Read a format description event (whole). Raises UnsupportedEvent where its checksum algorithm is unknown."""
    version = event[21:71].rstrip(b"\0").decode("ascii", "replace")
    if not _knows_checksums(version):
        return Format(version, has_checksum=False, raw=event)
    # The event itself always carries four checksum bytes behind the algorithm's byte, whatever that says.
    algorithm = event[-5]
    if algorithm not in (0, 1):
        raise UnsupportedEvent(f"the binary log uses checksum algorithm {algorithm}", hint="set binlog_checksum=CRC32")
    return Format(version, has_checksum=algorithm == 1, raw=event[:-4])


def _knows_checksums(version: str) -> bool:
    # MySQL 5.6.1 and MariaDB 5.3: everything that this tool can meet. Kept to say so plainly for what is older.
    digits = re.match(r"(\d+)\.(\d+)", version)
    return digits is None or (int(digits[1]), int(digits[2])) >= (5, 3)
