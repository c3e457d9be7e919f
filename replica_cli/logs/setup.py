"""Installs the log handlers of a process: stderr, filtered by verbosity, and Graylog, filtered by level."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from replica_cli.core.settings import LogFormat, Logging
from replica_cli.logs.display import DisplayFilter
from replica_cli.logs.formats import JsonFormatter, TextFormatter

if TYPE_CHECKING:
    from collections.abc import Iterable

_PACKAGE = "replica_cli"
_NOTHING = logging.CRITICAL + 10
_installed: list[logging.Handler] = []
# Records that were dropped by handlers that are closed.
_dropped_before = 0
_lock = threading.Lock()


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`: a live display replaces it, so that lines appear above the display."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute in the base class, looked up for each record
        """Return the current `sys.stderr`."""
        return sys.stderr


def setup_logging(
    settings: Logging,
    verbosity: int = 0,
    *,
    stream: TextIO | None = None,
    handler: logging.Handler | None = None,
    is_display: bool = False,
) -> None:
    """Send log records to stderr, and to Graylog if it is enabled. A second call replaces the handlers.

    Args:
        settings: level, format and Graylog.
        verbosity: -2 (nothing), -1 (errors), 0 (the level of the settings), 1 (DEBUG of `replica`) or 2 (DEBUG of all
            libraries too).
        stream: where records go instead of stderr.
        handler: a handler that gets all records instead, such as the one of a worker that sends them to the supervisor.
            Then this process sends nothing to Graylog, because the supervisor does.
        is_display: a live display is drawn on stderr, so that only records that it does not show appear above it.
    """
    close_logging()
    wanted = logging.DEBUG if verbosity > 0 else logging.getLevelNamesMapping()[settings.level]
    output = handler or (logging.StreamHandler(stream) if stream else StderrHandler())
    if handler is None:
        output.setFormatter(JsonFormatter(settings.project) if settings.format is LogFormat.JSON else TextFormatter())
        if is_display:
            output.addFilter(DisplayFilter())
        else:
            output.setLevel(_stderr_level(wanted, verbosity))
    handlers = [output]
    if settings.graylog.is_enabled and handler is None:
        from replica_cli.logs.graylog import GraylogHandler  # noqa: PLC0415 - graypy slows down the start, and most users have no Graylog

        handlers.append(GraylogHandler(settings.graylog, settings.project))
    for each in handlers:
        logging.root.addHandler(each)
        _installed.append(each)
    # INFO and DEBUG records of libraries say nothing about replication.
    logging.root.setLevel(logging.DEBUG if verbosity > 1 else logging.WARNING)
    logging.getLogger(_PACKAGE).setLevel(wanted)
    logging.captureWarnings(capture=True)


def set_level(level: str) -> None:
    """Change the lowest level that is logged. The records above a live display, and those with `-q`, do not change."""
    number = logging.getLevelNamesMapping()[level]
    before = logging.getLogger(_PACKAGE).level
    logging.getLogger(_PACKAGE).setLevel(number)
    for each in _installed:
        if each.level == before:
            each.setLevel(number)


def dropped_records() -> int | None:
    """Return how many records this process could not send to Graylog; None if Graylog was never used. From any thread.

    The number never falls. A worker process sends none itself: its records are counted in the supervisor.
    """
    with _lock:
        is_used = _dropped_before or any(hasattr(each, "dropped") for each in _installed)
        return _dropped_before + sum(map(_dropped_by, _installed)) if is_used else None


def _dropped_by(handler: logging.Handler) -> int:
    return int(getattr(handler, "dropped", 0))


def close_logging() -> None:
    """Remove the handlers that `setup_logging` added; wait a short time for queued records to reach Graylog."""
    global _dropped_before  # noqa: PLW0603 - a process has one logging
    _close(_installed)
    with _lock:
        _dropped_before += sum(_dropped_by(each) for each in _installed)
        _installed.clear()


def _close(handlers: Iterable[logging.Handler]) -> None:
    # Graylog is closed before stderr, because it then logs to stderr how many records it dropped.
    for each in reversed(list(handlers)):
        each.close()
        logging.root.removeHandler(each)


def _stderr_level(wanted: int, verbosity: int) -> int:
    if verbosity <= -2:
        return _NOTHING
    return max(wanted, logging.ERROR) if verbosity == -1 else wanted
