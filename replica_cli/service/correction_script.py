"""Write the statements that would correct the rows that differ into a file, as the run meets them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TextIO

from replica_cli.sqlbuilder.rows.corrections import HEAD, correction

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.verification import Difference, VerifyProgress
    from replica_cli.service.verify import VerifyReporter


class CorrectionScript:
    """A reporter that writes the script, and passes everything on to another reporter."""

    def __init__(self, file: TextIO, selection: Selection, reporter: VerifyReporter) -> None:
        """Write the head of the script.

        Args:
            file: takes the script.
            selection: the selection, which has the tables' names on the secondary.
            reporter: the other reporter.
        """
        self._file = file
        self._selection = selection
        self._reporter = reporter
        self._lock = threading.Lock()
        self._file.write(f"{HEAD}\n")

    def on_progress(self, progress: VerifyProgress) -> None:
        """Pass the progress on."""
        self._reporter.on_progress(progress)

    def on_difference(self, instance: str, difference: Difference) -> None:
        """Write the statements of a difference."""
        target = self._selection.target(difference.table)
        statements = [] if target is None else correction(difference, target)
        comment = f"-- {difference.kind} at {difference.position}" + ("" if statements else ": values not known")
        with self._lock:
            self._file.write("\n".join([comment, *statements]) + "\n")
            self._file.flush()
        self._reporter.on_difference(instance, difference)

    def on_stopping(self, message: str) -> None:
        """Pass the message on."""
        self._reporter.on_stopping(message)
