"""Reads where the HTTP server listens and who may use it, and refuses an address that is open to everybody."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.settings import Http, ListenAddress, Secret

if TYPE_CHECKING:
    from replica_cli.config.sources import Sources

_LEAST_TOKEN = 16
_NO_ADDRESS: ListenAddress | None = None
_NO_FILE: Path | None = None


def read_http(sources: Sources) -> Http:
    """Return the settings of the HTTP server; problems are added to `sources`."""
    http = Http(
        listen=sources.parsed("REPLICA_LISTEN", listen_address, _NO_ADDRESS),
        token=_read_token(sources),
        tls_cert=sources.parsed("REPLICA_HTTP_TLS_CERT", _file, _NO_FILE),
        tls_key=sources.parsed("REPLICA_HTTP_TLS_KEY", _file, _NO_FILE),
        client_ca=sources.parsed("REPLICA_HTTP_CLIENT_CA", _file, _NO_FILE),
    )
    if (http.tls_cert is None) != (http.tls_key is None):
        name = "REPLICA_HTTP_TLS_KEY" if http.tls_key is None else "REPLICA_HTTP_TLS_CERT"
        sources.complain(name, "is not set: TLS needs the certificate and its key")
    if http.client_ca is not None and http.tls_cert is None:
        sources.complain("REPLICA_HTTP_CLIENT_CA", "needs REPLICA_HTTP_TLS_CERT and REPLICA_HTTP_TLS_KEY")
    if http.listen is not None and not http.listen.is_local and http.token is None and http.client_ca is None:
        sources.complain(
            "REPLICA_LISTEN",
            f"{http.listen} can be reached from other machines: set REPLICA_HTTP_TOKEN_FILE (a file made with "
            "`(umask 077; openssl rand -hex 32 > http-token)`), or REPLICA_HTTP_CLIENT_CA with a certificate, or "
            f"listen on 127.0.0.1:{http.listen.port}",
        )
    return http


def listen_address(text: str) -> ListenAddress:
    """Return the address of `127.0.0.1:9400`, `[::1]:9400`, `localhost:9400` or `unix:/run/replica/http`.

    Raises:
        ValueError: if the text is none of these.
    """
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError(f"{text!r} is not unix: with an absolute path, such as unix:/run/replica/http")
        return ListenAddress(path=path)
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not address:port, such as 127.0.0.1:9400, and not unix:/path")
    if (":" in bare) != host.startswith("["):
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, such as [::1]:9400")
    if host.startswith("["):
        try:
            socket.inet_pton(socket.AF_INET6, bare.partition("%")[0])
        except OSError:
            raise ValueError(f"{text!r}: {bare!r} is not an IPv6 address") from None
    return ListenAddress(bare, int(port))


def _read_token(sources: Sources) -> Secret | None:
    name = "REPLICA_HTTP_TOKEN_FILE"
    text = sources.secret_file(name)
    if not text:
        return None
    token = text.strip()
    if len(token) < _LEAST_TOKEN:
        sources.complain(name, f"the token in the file is shorter than {_LEAST_TOKEN} characters")
    elif not token.isascii() or not token.isprintable() or " " in token:
        sources.complain(name, "the token in the file is not one line of printable ASCII characters without blanks")
    return Secret(token)


def _file(text: str) -> Path:
    path = Path(text)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{text}: {error.strerror or type(error).__name__}") from None
