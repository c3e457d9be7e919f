"""What a service tells while it works; the command line decides how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from replica_cli.core.status import WorkerStatus


class Reporter(Protocol):
    """Hears of progress. Called from any thread; must return soon and never raise."""

    def on_status(self, status: WorkerStatus) -> None:
        """Take one secondary's newest snapshot."""

    def on_note(self, instance: str, message: str) -> None:
        """Take a sentence for people about one secondary (empty: about all)."""

    def on_stopping(self, message: str) -> None:
        """Take that a stop was asked for, and a sentence that says what comes before the end."""


class SilentReporter:
    """Say nothing."""

    def on_status(self, status: WorkerStatus) -> None:
        """Drop the snapshot."""

    def on_note(self, instance: str, message: str) -> None:
        """Drop the sentence."""

    def on_stopping(self, message: str) -> None:
        """Drop the sentence."""
