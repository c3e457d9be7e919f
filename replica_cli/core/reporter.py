"""The interface through which a service reports progress; the command line decides how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.status import WorkerStatus


class Reporter(Protocol):
    """Receives progress. Any thread may call it; each method must return soon and must not raise."""

    def on_status(self, status: WorkerStatus) -> None:
        """Receive the newest snapshot of one secondary."""

    def on_note(self, instance: str, message: str) -> None:
        """Receive a sentence for people about one instance, or about all if `instance` is empty."""

    def on_stopping(self, message: str) -> None:
        """Receive the request to stop; `message` says what happens before the end."""


class SilentReporter:
    """A reporter that shows nothing."""

    def on_status(self, status: WorkerStatus) -> None:
        """Ignore the snapshot."""

    def on_note(self, instance: str, message: str) -> None:
        """Ignore the message."""

    def on_stopping(self, message: str) -> None:
        """Ignore the message."""


class Reporters:
    """A reporter that passes everything on to several reporters, in their order."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def on_status(self, status: WorkerStatus) -> None:
        """Pass the snapshot on."""
        for reporter in self._reporters:
            reporter.on_status(status)

    def on_note(self, instance: str, message: str) -> None:
        """Pass the message on."""
        for reporter in self._reporters:
            reporter.on_note(instance, message)

    def on_stopping(self, message: str) -> None:
        """Pass the message on."""
        for reporter in self._reporters:
            reporter.on_stopping(message)
