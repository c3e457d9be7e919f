"""What of the log comes above a live display, which shows the state itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.logs.records import Tag, fields_of, tag_of
from replica_cli.logs.repeats import RepeatLimit

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN_SECONDS = 300.0


class DisplayFilter(logging.Filter):
    """Let through warnings and what was done with success; of records with one subject one every five minutes."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._limit = RepeatLimit(clock) if clock else RepeatLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is to be shown."""
        tag = tag_of(record)
        if record.levelno < logging.WARNING and tag != Tag.SUCCESS:
            return False
        subject = getattr(record, "subject", None)
        if subject is None:
            return True
        return self._limit.admit(_AGAIN_SECONDS, (fields_of(record).get("instance"), tag, subject)) is not None
