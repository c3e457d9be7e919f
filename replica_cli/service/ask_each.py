"""Ask several secondaries the same question: one that cannot be asked does not hide the answers of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from replica_cli.core.errors import PrimaryError, ReplicaError, UsageError
from replica_cli.core.reports.failure import Failure
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.settings import Server

Answer = TypeVar("Answer")


def ask_each(
    secondaries: Sequence[Server], ask: Callable[[Server], Answer], failed: Callable[[Server, Failure], Answer]
) -> tuple[Answer, ...]:
    """Return the answer of each secondary, in their order.

    Args:
        secondaries: the secondaries to ask, one after another.
        ask: asks one of them.
        failed: makes an answer of the error of one.

    Raises:
        ReplicaError: an error that concerns all of them: of the primary, or of the command line. If none of the
            secondaries could be asked, the first error.

    """
    answers, errors = [], []
    for server in secondaries:
        try:
            answers.append(ask(server))
        except ReplicaError as error:
            if _concerns_all(error):
                raise
            errors.append(error)
            answers.append(failed(server, Failure.of(error)))
    if errors and len(errors) == len(answers):
        raise errors[0]
    return tuple(answers)


def _concerns_all(error: ReplicaError) -> bool:
    return isinstance(error, PrimaryError | UsageError) or (
        isinstance(error, ServerError) and error.exit_code is PrimaryError.exit_code
    )
