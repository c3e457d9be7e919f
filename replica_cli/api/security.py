"""Who may ask: the names under which the server may be called, and the token that changes need."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from replica_cli.api.context import Context, context_of
from replica_cli.api.errors import ChangesForbidden, HttpError, TokenMissing
from replica_cli.api.limits import check_bucket
from replica_cli.core.settings import is_loopback

if TYPE_CHECKING:
    from starlette.types import Scope

    from replica_cli.core.settings import ListenAddress, Secret

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
# An answer that no page of the API is, such as JSON, needs nothing of a browser.
NO_CONTENT_POLICY = b"default-src 'none'; frame-ancestors 'none'"

_bearer = HTTPBearer(auto_error=False, description="The token of REPLICA_HTTP_TOKEN_FILE; only changes need it.")


def check_host(scope: Scope, listen: ListenAddress) -> None:
    """Refuse names that are not this machine's, if only this machine can connect.

    A page of another site could otherwise let its own name mean 127.0.0.1, and read the answers in a user's browser.
    """
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    if listen.path is not None or not is_loopback(listen.host) or not host:
        return
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").lower()
    if not is_loopback(name) and not name.endswith(".localhost"):
        raise HttpError("the Host header names another machine", hint="use 127.0.0.1 or localhost in the URL")


def check_site(scope: Scope) -> None:
    """Refuse what a page of another site asks of the API: it may not read, nor let the server work.

    Browsers send the header, and a page cannot change it. Programs do not send it.
    """
    site = dict(scope["headers"]).get(b"sec-fetch-site", b"")
    if site == b"cross-site" and scope["path"].startswith("/api/"):
        raise HttpError("a page of another site may not use the API")


def has_token(scope: Scope, token: Secret | None) -> bool:
    """Return True if a request has the token: other clients of its address, such as a proxy, then do not limit it."""
    kind, _, sent = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    return token is not None and kind.lower() == "bearer" and _is_token(sent, token)


def _is_token(sent: str, token: Secret) -> bool:
    # The comparison takes the same time wherever the texts differ.
    return hmac.compare_digest(sent.encode(), token.reveal().encode())


def check_token(
    request: Request,
    context: Annotated[Context, Depends(context_of)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Refuse a request that changes something unless it has the token.

    The token is in a header that no form and no link of another site can send, so there is no need for more against
    forged requests.
    """
    token = context.settings().http.token
    if token is None:
        raise ChangesForbidden(
            "no token is set, so nothing can be changed through HTTP",
            hint="set REPLICA_HTTP_TOKEN_FILE and start again, or use the commands of `replica`",
        )
    sent = "" if credentials is None else credentials.credentials
    if not _is_token(sent, token):
        check_bucket(context.wrong_tokens)
        raise TokenMissing(
            "the token is missing or wrong" if request.headers.get("authorization") else "this needs the token",
            hint="send `Authorization: Bearer TOKEN` with the token of REPLICA_HTTP_TOKEN_FILE",
        )
    check_bucket(context.changes)
