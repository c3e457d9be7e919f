"""Sends log records to Graylog from a thread of its own.

The callers put records into a bounded queue and never wait: if the queue is full, records are dropped.

GELF: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from graypy import GELFTCPHandler, GELFUDPHandler

from replica_cli.core.commands import fill
from replica_cli.core.printable import printable, printable_lines
from replica_cli.logs.formats import instance_of, trace_of
from replica_cli.logs.records import fields_of, tag_of
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    import socket

    from replica_cli.core.settings import Graylog

QUEUE_RECORDS = 10_000
REPORT_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_REPORT_POLL_SECONDS = 1.0
_logger = logging.getLogger(__name__)


class GraylogHandler(logging.Handler):
    """Queues records and returns at once.

    A record is dropped and counted if the queue is full or if it could not be sent to Graylog.
    """

    def __init__(self, graylog: Graylog, project: str, *, queue_records: int = QUEUE_RECORDS) -> None:
        super().__init__()
        self._project = project
        self._sender = _sender(graylog, self._count_dropped)
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(queue_records)
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
                # emit() and not handle(), which takes the handler's lock: logging's shutdown takes that lock too, and
                # must not wait for a socket.
                self._sender.emit(record)
            if not self._closing.is_set():
                self._report()
        self._sender.close()

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
    message = printable(fill(redact(record.getMessage()), instance_of(record)))
    flat = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, message, None, None)
    flat.created, flat.process, flat.threadName = record.created, record.process, record.threadName
    flat.exc_text = printable_lines(redact(trace_of(record))) or None
    for name, value in fields_of(record).items():
        setattr(flat, name, printable(redact(value)) if isinstance(value, str) else value)
    # Otherwise graypy sends them as fields with null. Records have `taskName` from Python 3.12 on.
    for name in ("stack_info", "taskName"):
        flat.__dict__.pop(name, None)
    flat.tag = tag_of(record)
    flat.project = project
    return flat


def _sender(graylog: Graylog, on_lost: Any) -> logging.Handler:
    options = {"localname": graylog.source, "debugging_fields": False, "extra_fields": True}
    kind: Any = _TcpSender if graylog.protocol == "tcp" else _UdpSender
    sender: logging.Handler = kind(graylog.host, graylog.port, **options)
    sender.timeout_seconds = graylog.timeout_seconds  # type: ignore[attr-defined]  # an attribute of both senders
    sender.on_lost = on_lost  # type: ignore[attr-defined]  # as above
    return sender


# graypy has no types, so its classes are Any to the type checker; only this module uses them.
class _UdpSender(GELFUDPHandler):  # type: ignore[misc]
    on_lost: Any
    timeout_seconds: float

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own name
        self.on_lost()


class _TcpSender(GELFTCPHandler):  # type: ignore[misc]
    on_lost: Any
    timeout_seconds: float

    def makeSocket(self, timeout: float = 1.0) -> socket.socket:  # noqa: ARG002, N802 - logging's own name
        connected: socket.socket = super().makeSocket(self.timeout_seconds)
        return connected

    def send(self, data: bytes) -> None:
        super().send(data)
        if self.sock is None:  # SocketHandler hides a failed connect or send, and waits longer each time
            self.on_lost()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own name
        self.on_lost()
