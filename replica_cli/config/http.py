"""Reads where the HTTP server listens, and its token."""

from __future__ import annotations

import socket
from pathlib import Path

from replica_cli.core.settings import ListenAddress, Secret

_LEAST_TOKEN = 16


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


def http_token(text: str) -> Secret:
    """Return the token.

    Raises:
        ValueError: if it is too short, or if no client could send it. The message does not contain it.
    """
    token = text.strip()
    if len(token) < _LEAST_TOKEN:
        raise ValueError(f"the token is shorter than {_LEAST_TOKEN} characters")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is not one line of printable ASCII characters without blanks")
    return Secret(token)
