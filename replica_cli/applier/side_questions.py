"""What a stream asks beside its rows: a server that answers with an error is asked again later, and the rows go on.

Nothing here may decide how a row is applied. What the rows need, such as a definition, is asked for without this: there
the stream begins again from the position row.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.retry import delay_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Retry

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
# An error whose number is not known may go away. After this number of attempts it ends the stream.
UNKNOWN_ATTEMPTS = 6


@dataclass(slots=True)
class _Failing:
    attempts: int = 0
    due_at: float = 0.0


class SideQuestions:
    """Counts the failures of each question until it is answered."""

    def __init__(self, instance: str, retry: Retry) -> None:
        self._instance = instance
        self._retry = retry
        self._failing: dict[str, _Failing] = {}

    def ask(self, what: str, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return the answer; `otherwise` if the server has an error for it, and until it is due again.

        `what` names the question in the log, which has one line for all attempts. Raises ServerError if the connection
        is lost, if the error says that another attempt meets the same, and after some attempts.
        """
        failing = self._failing.get(what)
        if failing is not None and time.monotonic() < failing.due_at:
            return otherwise
        try:
            found = question()
        except ServerError as error:
            failing = self._failing.setdefault(what, _Failing())
            failing.attempts += 1
            if error.is_connection_lost or not error.may_clear or failing.attempts >= UNKNOWN_ATTEMPTS:
                if error.remedy is Remedy.RETRY:
                    # It asks for no batch once more: what stands before this question may be committed.
                    error.remedy = Remedy.RECONNECT
                raise
            failing.due_at = time.monotonic() + delay_after(failing.attempts, self._retry)
            if failing.attempts == 1:
                log(
                    logger, logging.WARNING, Tag.RETRY, "%s: asked again later: %s", what, error.message,
                    instance=self._instance,
                )  # fmt: skip
            return otherwise
        if failing is not None:
            del self._failing[what]
        return found
