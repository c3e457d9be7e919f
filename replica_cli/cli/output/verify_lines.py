"""Reports a running comparison of rows as log lines or as JSON lines, less often the longer it takes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.output import units
from replica_cli.cli.output.console import write_document
from replica_cli.core.verification import shown_key
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.cli.output.reporters import ProgressForm
    from replica_cli.core.verification import Difference, VerifyProgress
    from replica_cli.service.verify import VerifyReporter

_logger = logging.getLogger(__name__)
# Pairs of a limit and an interval, in seconds.
_INTERVALS = ((60.0, 2.0), (600.0, 10.0), (float("inf"), 60.0))
# A log line for each of the first differences. The rest is in `verify show`.
_LOGGED_DIFFERENCES = 20


class _Thinning:
    """Decides which progress is shown: one in each interval, and each reason to wait when it begins."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._shown: dict[str, tuple[float, str]] = {}

    def is_due(self, progress: VerifyProgress) -> bool:
        now = time.monotonic()
        interval = next(i for until, i in _INTERVALS if now - self._start < until)
        with self._lock:
            at, reason = self._shown.get(progress.instance, (self._start, ""))
            if now - at < interval and reason == progress.waits_for:
                return False
            self._shown[progress.instance] = (now, progress.waits_for)
            return True


class VerifyLines:
    """Reports progress and the first differences as log lines."""

    def __init__(self) -> None:
        self._thinning = _Thinning()
        self._logged = 0

    def on_progress(self, progress: VerifyProgress) -> None:
        """Log the progress, if it is time."""
        if not self._thinning.is_due(progress):
            return
        eta = progress.eta_seconds
        rest = f", ETA {units.duration(eta)}" if eta is not None else ""
        waits = f"; waits: {progress.waits_for}" if progress.waits_for else ""
        log(
            _logger, logging.INFO, Tag.VERIFY, "%d/%d tables, %s rows, %s/s%s, %s%s",
            progress.tables_done, progress.tables_total, units.count(progress.rows),
            units.count(progress.rows_per_second), rest, counted(progress.differences, "difference"), waits,
            instance=progress.instance,
        )  # fmt: skip

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Log one of the first differences."""
        self._logged += 1
        if self._logged <= _LOGGED_DIFFERENCES:
            key = shown_key(difference)
            columns = f" ({', '.join(difference.columns)})" if difference.columns else ""
            log(
                _logger, logging.WARNING, Tag.VERIFY, "%s %s: %s%s", difference.table, difference.kind, key, columns,
                instance=instance, position=difference.position,
            )  # fmt: skip

    def on_stopping(self, message: str) -> None:
        """Log that the command is stopping."""
        log(_logger, logging.INFO, Tag.VERIFY, "%s", message)


class VerifyJson:
    """Reports progress and every difference as JSON lines on stdout."""

    def __init__(self) -> None:
        self._thinning = _Thinning()

    def on_progress(self, progress: VerifyProgress) -> None:
        """Write the progress, if it is time."""
        if self._thinning.is_due(progress):
            write_document(documents.verify_line(progress), is_line=True)

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Write the difference."""
        write_document(documents.difference_line(instance, difference), is_line=True)

    def on_stopping(self, message: str) -> None:
        """Write that the command is stopping."""
        write_document(documents.note_line("", message), is_line=True)


@contextlib.contextmanager
def open_verify_reporter(form: ProgressForm, title: str, *, is_colored: bool) -> Iterator[VerifyReporter]:
    """Return a context that gives the reporter. A live display restores the terminal at the end of the context."""
    if form == "live":
        from replica_cli.cli.output.verify_bars import LiveVerify  # noqa: PLC0415 - rich takes long to load

        with LiveVerify(title, is_colored=is_colored).drawing() as reporter:
            yield reporter
        return
    if form == "silent":
        from replica_cli.service.verify import SilentVerify  # noqa: PLC0415 - the service is loaded late

        yield SilentVerify()
        return
    yield VerifyJson() if form == "json" else VerifyLines()
