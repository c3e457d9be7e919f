"""An error as a value, and the place of what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.core.errors import ExitCode, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value: it crosses from a worker process and waits beside the others' results."""

    code: str
    message: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.FAILURE

    @classmethod
    def of(cls, error: ReplicaError) -> Self:
        """Keep what a person and a script need of an error."""
        return cls(error.code, error.message, error.hint, error.exit_code)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The place of a value that could not be read; None means that there is no such value.

    `is_reachable`: the server answers, but not this question.
    """

    failure: Failure
    is_reachable: bool = False


def first_code(failures: Iterable[Failure | None]) -> ExitCode:
    """Return the exit code of the first failure, OK if there is none."""
    codes = [f.exit_code for f in failures if f is not None]
    # What ended a worker counts before what another one noticed.
    return next((c for c in codes if c is not ExitCode.FOUND), codes[0] if codes else ExitCode.OK)
