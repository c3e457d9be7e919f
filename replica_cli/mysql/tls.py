"""TLS to a server: what is verified, and a driver's connection that does not load a trust store it never asks."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection

from replica_cli.core.settings import TlsMode

if TYPE_CHECKING:
    from replica_cli.core.settings import Tls


class ServerConnection(Connection):
    """The driver's connection. Where nothing is verified its own TLS context costs 30 ms of CPU a connection."""

    def _create_ssl_ctx(self, sslp: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        return sslp if isinstance(sslp, ssl.SSLContext) else _unverified()


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """Return the context for a side's settings, None where the driver may do without.

    The driver encrypts where it can but never verifies unless told in full (library-traps F10), so the context is ours.
    """
    if tls.mode in (TlsMode.OFF, TlsMode.PREFERRED) and not tls.ca and not tls.cert:
        return None
    if tls.mode is TlsMode.REQUIRED and not tls.ca and not tls.cert:
        return _unverified()
    # Not kept: certificates are renewed while a process runs, and the next connection takes the new ones.
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    context.check_hostname = tls.mode is TlsMode.VERIFY_IDENTITY
    verifies = tls.mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY)
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def is_encrypted(connection: Connection[Any]) -> bool:
    """Say whether the connection's socket speaks TLS."""
    return isinstance(connection._sock, ssl.SSLSocket)  # type: ignore[attr-defined]  # noqa: SLF001


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
