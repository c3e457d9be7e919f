"""Answers in the JSON of `--json`, and what the OpenAPI document says of errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from replica_cli.documents import dumps
from replica_cli.documents.shapes import ErrorDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEANINGS = {
    400: "The request cannot be read, or its Host header names another machine, or a page of another site sent it.",
    401: "The token is missing or wrong.",
    403: "No token is set, so nothing can be changed.",
    404: "There is nothing of this name.",
    409: "The state of the stream, or of a server, does not allow it.",
    410: "The plan was used, or is too old.",
    413: "The body of the request is too large.",
    422: "The request is not as described here.",
    429: "Too many requests or jobs, or all threads wait for servers that are slow.",
    500: "An unexpected error; the log of the process has it.",
    502: "A database server does not answer, or refuses.",
    503: "The process ends.",
}
_ALWAYS = (400, 413, 429, 500)


class DocumentResponse(Response):
    """A document as JSON, with secrets masked."""

    media_type = "application/json"

    def __init__(self, document: Mapping[str, object], status: int = HTTPStatus.OK) -> None:
        super().__init__(dumps(document, is_line=True) + "\n", status)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route for the OpenAPI document; some are the same for all routes."""
    return {
        status: {"model": ErrorDocument, "description": _MEANINGS[status]} for status in sorted({*statuses, *_ALWAYS})
    }
