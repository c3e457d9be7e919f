"""Where records go: stderr by verbosity, Graylog by level. Called once in each process."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from replica_cli.core.settings import LogFormat, Logging
from replica_cli.logs.display import DisplayFilter
from replica_cli.logs.formats import JsonFormatter, TextFormatter

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = "replica_cli"
_NOTHING = logging.CRITICAL + 10
_installed: list[logging.Handler] = []


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment: a live display puts itself there, and lines go above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute in the base class, looked up anew here
        """Return the process's stderr of now."""
        return sys.stderr


def setup_logging(
    settings: Logging,
    verbosity: int = 0,
    *,
    stream: TextIO | None = None,
    handler: logging.Handler | None = None,
    is_display: bool = False,
) -> None:
    """Send records to stderr (or `stream`, or `handler`, such as a worker's QueueHandler), and to Graylog if enabled.

    `verbosity` is -2 (nothing), -1 (errors), 0 (the level of the settings), 1 (our DEBUG) or 2 (everybody's DEBUG);
    `is_display`: a live display is drawn on stderr, and only what it does not show itself comes above it. Calling again
    replaces the handlers.
    A `handler` takes all there is to Graylog as well: the process at its other end has the Graylog handler.
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
        from replica_cli.logs.graylog import GraylogHandler  # noqa: PLC0415 - graypy costs start-up; most have none

        handlers.append(GraylogHandler(settings.graylog, settings.project))
    for each in handlers:
        logging.root.addHandler(each)
        _installed.append(each)
    # The libraries' INFO and DEBUG are about themselves.
    logging.root.setLevel(logging.DEBUG if verbosity > 1 else logging.WARNING)
    logging.getLogger(_OURS).setLevel(wanted)
    logging.captureWarnings(capture=True)


def set_level(level: str) -> None:
    """Log from another level on. What comes above a live display stays the same, and so does `-q`."""
    number = logging.getLevelNamesMapping()[level]
    before = logging.getLogger(_OURS).level
    logging.getLogger(_OURS).setLevel(number)
    for each in _installed:
        if each.level == before:
            each.setLevel(number)


def close_logging() -> None:
    """Take off what `setup_logging` put on; Graylog gets a moment to take what is queued."""
    _close(_installed)
    _installed.clear()


def _close(handlers: Iterable[logging.Handler]) -> None:
    # Graylog before stderr: its last words are about what it dropped.
    for each in reversed(list(handlers)):
        each.close()
        logging.root.removeHandler(each)


def _stderr_level(wanted: int, verbosity: int) -> int:
    if verbosity <= -2:
        return _NOTHING
    return max(wanted, logging.ERROR) if verbosity == -1 else wanted
