"""Read format description events, which say whether the events of a file end with a checksum.

Layout: https://mariadb.com/kb/en/format_description_event/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replica_cli.core.errors import UnsupportedEvent


@dataclass(frozen=True, slots=True)
class Format:
    """The content of the first event of one binary log file. `raw` is the event without its own checksum."""

    has_checksum: bool
    raw: bytes


def parse_format(event: bytes) -> Format:
    """Read a format description event: all of it, with header and checksum.

    Raises:
        UnsupportedEvent: the checksum algorithm is not known.
    """
    version = event[21:71].rstrip(b"\0").decode("ascii", "replace")
    if not _knows_checksums(version):
        return Format(has_checksum=False, raw=event)
    # This event always has four checksum bytes after the algorithm's byte, even if the algorithm is "none".
    algorithm = event[-5]
    if algorithm not in (0, 1):
        raise UnsupportedEvent(f"the binary log uses checksum algorithm {algorithm}", hint="set binlog_checksum=CRC32")
    return Format(has_checksum=algorithm == 1, raw=event[:-4])


def _knows_checksums(version: str) -> bool:
    # MariaDB has checksums from 5.3 on, MySQL from 5.6.1 on. All servers that `replica` can meet are newer. The check
    # remains, so that the format description of an older server is not read as if it ended with a checksum.
    digits = re.match(r"(\d+)\.(\d+)", version)
    return digits is None or (int(digits[1]), int(digits[2])) >= (5, 3)
