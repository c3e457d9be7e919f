"""Values for errors in reports, and for fields that could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.core.errors import ExitCode, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value: a worker process can send it, and a report can hold it next to other results."""

    code: str
    message: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.FAILURE

    @classmethod
    def of(cls, error: ReplicaError) -> Self:
        """Return the code, message, hint and exit code of an error."""
        return cls(error.code, error.message, error.hint, error.exit_code)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Replaces a value that could not be read, whereas None means that the value does not exist.

    `is_reachable`: the server answers, but it did not answer this query.
    """

    failure: Failure
    is_reachable: bool = False


def first_code(failures: Iterable[Failure | None]) -> ExitCode:
    """Return the exit code of the first failure, preferably of one that is not FOUND; OK if there is no failure."""
    codes = [f.exit_code for f in failures if f is not None]
    # FOUND only reports something. An error that ended a worker is more important.
    return next((c for c in codes if c is not ExitCode.FOUND), codes[0] if codes else ExitCode.OK)
