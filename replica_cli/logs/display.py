"""Selects the log records that appear above a live display. The display itself shows the state."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.logs.records import Tag, fields_of, tag_of
from replica_cli.logs.repeats import RepeatLimit

if TYPE_CHECKING:
    from collections.abc import Callable

_REPEAT_SECONDS = 300.0


class DisplayFilter(logging.Filter):
    """Shows warnings, errors and records with the tag SUCCESS; of records with one subject one in five minutes."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._limit = RepeatLimit(clock) if clock else RepeatLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is shown."""
        tag = tag_of(record)
        if record.levelno < logging.WARNING and tag != Tag.SUCCESS:
            return False
        subject = getattr(record, "subject", None)
        if subject is None:
            return True
        return self._limit.admit(_REPEAT_SECONDS, (fields_of(record).get("instance"), tag, subject)) is not None
