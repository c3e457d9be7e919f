"""The same question to several secondaries: one that cannot be asked does not hide what the others say."""

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
    """Return the answer of each secondary, or what `failed` makes of the error of one.

    Raises what concerns all of them: an error of the primary, a wrong command line; and the first one's error if none
    of them could be asked.
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
