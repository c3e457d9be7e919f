"""Decide which part limits a stream that is behind: from the seconds that its thread has spent in each part."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(StrEnum):
    """A part of the way of a row. The thread that applies is always in one of them while it streams.

    Attributes:
        PRIMARY: it waits, and the primary has nothing to send.
        LINK: it waits for bytes of the primary, and the stream is behind.
        BUILDING: it works: rows are decoded, and statements are made of them.
        SECONDARY: it waits for the results of statements.
        COMMIT: it waits for the answer to a COMMIT.
    """

    PRIMARY = "primary"
    LINK = "link"
    BUILDING = "building"
    SECONDARY = "secondary"
    COMMIT = "commit"


# The parts that can limit a stream. If the primary has nothing to send, nothing limits.
LIMITING_PARTS = (Part.LINK, Part.BUILDING, Part.SECONDARY, Part.COMMIT)
# The next batch is built while the secondary works on the one before it. So a stream whose secondary is always busy
# may spend most of its time with building, and a stream that is limited by building hardly waits. A wait for a quarter
# of the time names what is waited for.
_WAIT_SHARE = 0.25
# With less time in all parts together the stream did not run: it was connecting, paused, or waiting for an attempt.
_LEAST_SECONDS = 1.0

NAMES: Mapping[Part, str] = {
    Part.LINK: "the link to the primary",
    Part.BUILDING: "the building of statements",
    Part.SECONDARY: "the secondary's server",
    Part.COMMIT: "the commits on the secondary",
}
REMEDIES: Mapping[Part, str] = {
    Part.LINK: "run replica nearer to the primary, give the link more bandwidth, or let the primary compress its log "
    "(log_bin_compress, binlog_transaction_compression)",
    Part.BUILDING: "a faster processor helps, and so do equal definitions with REPLICA_ENGINE=auto, because row images "
    "need no SQL text; a table that is not needed can be left out by the filters",
    Part.SECONDARY: "look for locks (SHOW PROCESSLIST), slow disks and a slow link to it; a larger "
    "innodb_buffer_pool_size, fewer indexes, or innodb_flush_log_at_trx_commit=2 make its work less",
    Part.COMMIT: "a larger REPLICA_BATCH_AGE makes fewer commits; sync_binlog=0 or innodb_flush_log_at_trx_commit=2 on "
    "the secondary make each of them faster, and so does a faster disk",
}


def limiting_part(seconds: Mapping[Part, float], *, lag_seconds: float | None, max_lag_seconds: float) -> Part | None:
    """Return the part that limits a stream, None if the lag is not above its limit or no part is to blame.

    Args:
        seconds: the seconds that were spent in each part during the last interval.
        lag_seconds: the current lag, None if it is not known.
        max_lag_seconds: the limit of the lag.

    """
    total = sum(seconds.values())
    if lag_seconds is None or lag_seconds <= max_lag_seconds or total < _LEAST_SECONDS:
        return None
    link, secondary, commit = (seconds.get(part, 0.0) for part in (Part.LINK, Part.SECONDARY, Part.COMMIT))
    if max(link, secondary + commit) >= _WAIT_SHARE * total:
        if link > secondary + commit:
            return Part.LINK
        return Part.COMMIT if commit > secondary else Part.SECONDARY
    is_working = seconds.get(Part.BUILDING, 0.0) >= seconds.get(Part.PRIMARY, 0.0)
    return Part.BUILDING if is_working else None


def limit_text(part: Part) -> str:
    """Return in words what limits a stream: `limited by the link to the primary`."""
    return f"limited by {NAMES[part]}"


def known_part(text: object) -> Part | None:
    """Return the part of a name, None if no part has it: another version may have written it."""
    return Part(text) if isinstance(text, str) and text in set(LIMITING_PARTS) else None
