"""Decide if an offset in a binary log file is a transaction boundary, by walking the file's own event headers."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ROTATION_SECONDS = 5.0
_HEADER = struct.Struct("<IBIIIH")
_GTID = frozenset({33, 34, 42, 162})  # MySQL's, anonymous, tagged; MariaDB's: each begins a group
# Outside of every group: stop, rotate, format description, previous GTIDs, and MariaDB's start of encryption,
# GTID list and checkpoint.
_ALONE = frozenset({3, 4, 15, 35, 161, 163, 164})


def is_followed_by_nothing(file: Path, pos: int) -> bool:
    """Return True if after a boundary only events come that belong to no transaction, such as MariaDB's checkpoints."""
    with file.open("rb") as source:
        while True:
            source.seek(pos)
            header = source.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return True
            _, kind, _, length, _, _ = _HEADER.unpack(header)
            if kind not in _ALONE or not length:
                return False
            pos += length


def why_no_boundary(file: Path, pos: int) -> str:
    """Return why an offset is no boundary, empty if it is one."""
    # The primary announces a rotation a moment before it makes the next file.
    deadline = time.monotonic() + _ROTATION_SECONDS
    while not file.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)  # noqa: TID251 - no stop comes during a check
    if not file.is_file():
        return f"{file.name} is gone"
    size = file.stat().st_size
    if pos == size:
        return ""
    at = 4
    with file.open("rb") as source:
        while at < size:
            source.seek(at)
            header = source.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return f"{file.name} is cut at {at}"
            _, kind, _, length, _, _ = _HEADER.unpack(header)
            if at == pos:
                return "" if kind in _GTID | _ALONE else f"an event of type {kind} begins at {file.name}:{pos}"
            if at > pos or not length:
                break
            at += length
    return f"no event begins at {file.name}:{pos}, nor does the file end there ({size})"
