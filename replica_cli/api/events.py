"""The last important records of the log, for the API and the status page."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from replica_cli.core.commands import fill
from replica_cli.logs.formats import instance_of, timestamp
from replica_cli.logs.records import Tag, fields_of, tag_of
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from replica_cli.api.documents import EventDocument

_MOST = 200
# Records at INFO that say that something has changed.
_CHANGES = frozenset({Tag.SUCCESS, Tag.RECONNECT, Tag.DRIFT, Tag.HEALTH})
_LONGEST_MESSAGE = 2000


class EventLog(logging.Handler):
    """A log handler that keeps warnings, errors and changes of state. Secrets are masked as in the log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._events: deque[EventDocument] = deque(maxlen=_MOST)
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record if it is important."""
        tag = tag_of(record)
        if record.levelno < logging.WARNING and tag not in _CHANGES:
            return
        instance = instance_of(record)
        fields = fields_of(record)
        schema, table, position = (fields.get(name) for name in ("schema", "table", "position"))
        name = f"{schema}.{table}" if schema and table else table
        self._add({
            "time": timestamp(record.created),
            "level": record.levelname,
            "tag": tag,
            "instance": instance or None,
            "table": redact(str(name)) if name else None,
            "position": str(position) if position else None,
            "message": fill(redact(record.getMessage()), instance)[:_LONGEST_MESSAGE],
        })  # fmt: skip

    def note(self, instance: str, message: str) -> None:
        """Keep a message that is not in the log, such as a new phase."""
        self._add({
            "time": timestamp(time.time()), "level": "INFO", "tag": str(Tag.INFO), "instance": instance or None,
            "table": None, "position": None, "message": fill(redact(message), instance)[:_LONGEST_MESSAGE],
        })  # fmt: skip

    def newest(self, limit: int = _MOST) -> list[EventDocument]:
        """Return the events, the newest first."""
        with self._guard:
            return list(self._events)[::-1][:limit]

    def _add(self, event: EventDocument) -> None:
        with self._guard:
            self._events.append(event)
