"""Sends log records to Graylog from a thread of its own.

The callers put records into a bounded queue and never wait: if the queue is full, records are dropped. While Graylog
cannot be reached the queue keeps them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from replica_cli.core.commands import fill
from replica_cli.core.printable import printable, printable_lines
from replica_cli.logs.formats import instance_of, trace_of
from replica_cli.logs.gelf_senders import sender_to
from replica_cli.logs.records import fields_of, tag_of
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from replica_cli.core.settings import Graylog

QUEUE_RECORDS = 10_000
REPORT_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_REPORT_POLL_SECONDS = 1.0
# In characters. Graylog refuses a message of 2 MiB, and its index a field of 32,766 bytes. Over UDP a message has at
# most 128 chunks, 180 KiB when compressed. A position can be long: it may have a GTID set of many servers.
_LONGEST_TEXT, _LONGEST_FIELD = 32_000, 8_000
_logger = logging.getLogger(__name__)


class GraylogHandler(logging.Handler):
    """Queues records and returns at once.

    A record is dropped and counted if the queue is full or if it could not be sent to Graylog.
    """

    def __init__(self, graylog: Graylog, project: str) -> None:
        super().__init__()
        self._project = project
        self._sender = sender_to(graylog, self._count_dropped)
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUE_RECORDS)
        self._count_lock = threading.Lock()
        self._closing = threading.Event()
        self._dropped = 0
        self._reported = 0
        self._reported_at = time.monotonic() - REPORT_SECONDS
        self._thread = threading.Thread(target=self._run, name="graylog", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return the number of records that were dropped so far."""
        return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record."""
        if record.name == __name__:
            return  # the warning of this module about Graylog goes to stderr only
        try:
            self._queue.put_nowait(_flat(record, self._project))
        except queue.Full:
            self._count_dropped()
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end the caller
            self._count_dropped()
            self.handleError(record)

    def close(self) -> None:
        """Wait up to two seconds until the queued records are sent, then drop the rest."""
        self._closing.set()
        with contextlib.suppress(queue.Full):  # if the queue is full, the thread does not wait for a record either
            self._queue.put_nowait(None)
        self._thread.join(_CLOSE_SECONDS)
        with contextlib.suppress(queue.Empty):
            while True:  # drop the records that were not sent in time; an empty queue ends the thread
                if self._queue.get_nowait() is not None:
                    self._count_dropped()
        self._report(is_last=True)
        super().close()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._queue.empty()):
            record = None
            with contextlib.suppress(queue.Empty):
                # Wake up in time to report dropped records; if none was dropped, only a record wakes up the thread.
                has_dropped = self._dropped != self._reported
                record = self._queue.get(timeout=_REPORT_POLL_SECONDS if has_dropped else None)
            if record is not None:
                self._wait_for_graylog()
                # emit() and not handle(), which takes the handler's lock: logging's shutdown takes that lock too, and
                # must not wait for a socket.
                self._sender.emit(record)
            if not self._closing.is_set():
                self._report()
        self._sender.close()

    def _wait_for_graylog(self) -> None:
        while not self._sender.connect() and not self._closing.wait(_REPORT_POLL_SECONDS):
            self._report()

    def _count_dropped(self) -> None:
        with self._count_lock:
            self._dropped += 1

    def _report(self, *, is_last: bool = False) -> None:
        new = self._dropped - self._reported
        if new and (is_last or time.monotonic() - self._reported_at >= REPORT_SECONDS):
            self._reported, self._reported_at = self._dropped, time.monotonic()
            _logger.warning(
                "Graylog does not answer or is too slow: %d record(s) dropped, %d in all", new, self._dropped
            )


def _flat(record: logging.LogRecord, project: str) -> logging.LogRecord:
    # The record is formatted in the thread of the caller, because its arguments may change before the record is sent.
    message = _cut(printable(fill(redact(record.getMessage()), instance_of(record))), _LONGEST_TEXT)
    flat = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, message, None, None)
    flat.created, flat.process, flat.threadName = record.created, record.process, record.threadName
    flat.exc_text = _cut(printable_lines(redact(trace_of(record))), _LONGEST_TEXT) or None
    for name, value in fields_of(record).items():
        setattr(flat, name, _cut(printable(redact(value)), _LONGEST_FIELD) if isinstance(value, str) else value)
    # Otherwise graypy sends them as fields with null. Records have `taskName` from Python 3.12 on.
    for name in ("stack_info", "taskName"):
        flat.__dict__.pop(name, None)
    flat.tag = tag_of(record)
    flat.project = project
    return flat


def _cut(text: str, limit: int) -> str:
    """Return a text that is not much longer than the limit. What is left out was masked before."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"
