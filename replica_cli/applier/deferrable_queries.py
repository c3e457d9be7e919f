"""Asks a server what a stream needs besides its rows: after an error it asks again later, and the rows go on.

No answer may decide how a row is applied. What the rows need, such as a definition, is read without this module: an
error in that makes the stream begin again from the position row.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.attempts import UNKNOWN_ATTEMPTS
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.retry import delay_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Retry

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Failing:
    """How often a question has failed; `due_at`: when it is asked again, a time of the monotonic clock."""

    attempts: int = 0
    due_at: float = 0.0


class DeferrableQueries:
    """Runs queries that can be put off, and counts the failures of each until it is answered. For one thread."""

    def __init__(self, instance: str, retry: Retry) -> None:
        self._instance = instance
        self._retry = retry
        self._failing: dict[str, _Failing] = {}

    def ask(self, what: str, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return the answer to a question, or `otherwise` if the server answers with an error.

        After an error the question is asked again only after a delay; until then the result is `otherwise` too.

        Args:
            what: names the question. The log has one line with it for all attempts.
            question: asks the server.
            otherwise: the result as long as there is no answer.

        Raises:
            ServerError: if the connection is lost, if another attempt would meet the same error, and after
                UNKNOWN_ATTEMPTS attempts.

        """
        failing = self._failing.get(what)
        if failing is not None and time.monotonic() < failing.due_at:
            return otherwise
        try:
            answer = question()
        except ServerError as error:
            failing = self._failing.setdefault(what, _Failing())
            failing.attempts += 1
            if error.is_connection_lost or not error.may_clear or failing.attempts >= UNKNOWN_ATTEMPTS:
                if error.remedy is Remedy.RETRY:
                    # The server asks to repeat the question, not the batch: what was sent before it may be committed.
                    error.remedy = Remedy.RECONNECT
                raise
            failing.due_at = time.monotonic() + delay_after(failing.attempts, self._retry)
            if failing.attempts == 1:
                log(
                    logger, logging.WARNING, Tag.RETRY, "%s failed, trying again later: %s", what, error.message,
                    instance=self._instance,
                )  # fmt: skip
            return otherwise
        if failing is not None:
            del self._failing[what]
        return answer
