"""From an error to an HTTP status and the one JSON form of errors, which is that on stderr."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from replica_cli.core.commands import fill
from replica_cli.core.errors import ConfigurationError, ExitCode, ReplicaError, UsageError
from replica_cli.core.reports.failure import Failure
from replica_cli.documents import failure_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.documents.shapes import ErrorDocument

_STATUS = {
    ExitCode.USAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExitCode.CONFIGURATION: HTTPStatus.CONFLICT,
    ExitCode.POSITION: HTTPStatus.CONFLICT,
    ExitCode.REFUSED: HTTPStatus.CONFLICT,
    ExitCode.LOCKED: HTTPStatus.CONFLICT,
    ExitCode.FENCED: HTTPStatus.CONFLICT,
    ExitCode.PRIMARY: HTTPStatus.BAD_GATEWAY,
    ExitCode.SECONDARY: HTTPStatus.BAD_GATEWAY,
    ExitCode.INTERRUPTED: HTTPStatus.SERVICE_UNAVAILABLE,
}
_STATUS_BY_CODE = {"not_streaming": HTTPStatus.CONFLICT, "never_ran": HTTPStatus.CONFLICT}
_NAMES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
}


class HttpError(ReplicaError):
    """An error that only the HTTP API has; `status` is the HTTP status."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    exit_code = ExitCode.USAGE
    code = "bad_request"


class NotKnown(HttpError):
    """A secondary, plan or job of this name does not exist."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class TokenMissing(HttpError):
    """The request changes something, and its token is missing or wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"


class ChangesForbidden(HttpError):
    """No token is set, so nothing can be changed through HTTP."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class PlanGone(HttpError):
    """The plan was used, or is too old."""

    status = HTTPStatus.GONE
    code = "plan_gone"


class JobConflict(HttpError):
    """The job is over, or cannot be stopped."""

    status = HTTPStatus.CONFLICT
    code = "job_conflict"


class TooMany(HttpError):
    """There are too many requests or jobs at the moment."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many"


class ClientGone(HttpError):
    """The client has closed its connection, so the answer is not read."""


class TooLarge(HttpError):
    """The body of the request is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


def status_of(failure: Failure) -> HTTPStatus:
    """Return the HTTP status of a failure."""
    known = _STATUS_BY_CODE.get(failure.code)
    return known or _STATUS.get(failure.exit_code, HTTPStatus.INTERNAL_SERVER_ERROR)


def error_of(error: ReplicaError) -> tuple[HTTPStatus, ErrorDocument]:
    """Return the HTTP status and the document of an error."""
    failure = error.failure if isinstance(error, FailedReport) else Failure.of(error)
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    status = error.status if isinstance(error, HttpError) else status_of(failure)
    return status, document_of(failure, problems)


def document_of(failure: Failure, problems: Sequence[str] = ()) -> ErrorDocument:
    """Return the document of a failure; the commands in it are complete."""
    return failure_document(
        replace(failure, message=fill(failure.message), hint=failure.hint and fill(failure.hint)), problems
    )


class FailedReport(ReplicaError):
    """The failure of a report, as an error: it gets the HTTP status of that failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.failure = failure


def http_problem(status: int, message: str) -> ErrorDocument:
    """Return the document of an error of HTTP itself, such as a path that does not exist."""
    name = _NAMES.get(HTTPStatus(status), "http")
    return failure_document(Failure(name, message, exit_code=ExitCode.USAGE))


UNEXPECTED = failure_document(
    Failure("failure", "an unexpected error; the log of the process has it", "report it, with the lines of the log")
)
WRONG_REQUEST = UsageError("the request is not as the API describes it", hint="/api/v1/openapi.json describes it")
