"""Builds the application: routes, limits, and one form of errors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from replica_cli import __version__
from replica_cli.api.errors import UNEXPECTED, WRONG_REQUEST, HttpError, TooLarge, document_of, error_of, http_problem
from replica_cli.api.limits import ClientLimits, read_body
from replica_cli.api.responses import DocumentResponse
from replica_cli.api.routes import changes, jobs, plans, probes, reading
from replica_cli.api.security import NO_CONTENT_POLICY, SECURITY_HEADERS, check_host, check_site, has_token
from replica_cli.core.errors import ReplicaError
from replica_cli.core.reports.failure import Failure
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from replica_cli.api.context import Context

logger = logging.getLogger(__name__)

_ABOUT = """What `replica stream` does, and how to steer it.

Reading needs no token. What changes something needs `Authorization: Bearer TOKEN`. Copies and resets are plans, which a
second call confirms. The documents are those of `--json`: fields may be added, never renamed or removed.
"""
# Probes are answered whatever a client of the same address asks beside them.
_UNLIMITED = frozenset({"/healthz", "/readyz"})


def make_app(context: Context) -> ASGIApp:
    """Return the application."""
    app = FastAPI(
        title="replica",
        version=__version__,
        description=_ABOUT,
        openapi_url="/api/v1/openapi.json",
        # The pages of FastAPI load their scripts from other servers.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    for module in (probes, reading, changes, plans, jobs):
        app.include_router(module.router)
    app.add_exception_handler(ReplicaError, _expected)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _unexpected)
    return _Guard(app, context)


class _Guard:
    """The outermost layer: refuses what no route shall see, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context
        self._clients = ClientLimits(context.settings().http.requests_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_security(message["headers"])
            await send(message)

        http = self._context.settings().http
        try:
            if http.listen is not None:
                check_host(scope, http.listen)
            check_site(scope)
            if scope["path"] not in _UNLIMITED and not has_token(scope, http.token):
                client = scope.get("client")
                self._clients.check("" if client is None else client[0])
            receive = await read_body(scope, receive, http.body_bytes)
        except HttpError as error:
            response = _error_response(error)
            if isinstance(error, TooLarge):
                response.headers["connection"] = "close"  # the rest of the body is not read
            await response(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log(logger, logging.ERROR, Tag.PANIC, "HTTP %s: unexpected %s", scope["method"], type(error).__name__)
            logger.debug("its trace:", exc_info=error)


def _with_security(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in headers}
    more = [] if b"content-security-policy" in names else [(b"content-security-policy", NO_CONTENT_POLICY)]
    return [*headers, *(header for header in SECURITY_HEADERS if header[0] not in names), *more]


def _error_response(error: ReplicaError) -> Response:
    status, document = error_of(error)
    response = DocumentResponse(document, status)
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


async def _expected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ReplicaError)  # noqa: S101 - it is registered for this class
    return _error_response(error)


async def _wrong_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    # What the client sent is not repeated: it may be a secret in the wrong field.
    problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()][:20]
    return DocumentResponse(document_of(Failure.of(WRONG_REQUEST), problems), 422)


async def _http_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    response = DocumentResponse(http_problem(error.status_code, error.detail), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return DocumentResponse(UNEXPECTED, 500)
