"""Opens the socket of the HTTP server before anything else begins, so that a port that is taken ends the command."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from replica_cli.core.settings import Http, ListenAddress

# How many connections may wait to be accepted.
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """An open socket, its address with the real port, and the TLS context, None without TLS.

    `file` is the device and the inode of a Unix socket's file, None for TCP.
    """

    socket: socket.socket
    address: ListenAddress
    tls: ssl.SSLContext | None
    file: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        """Return the address for people, such as `http://127.0.0.1:9400`."""
        if self.address.path is not None:
            return str(self.address)
        return f"{'http' if self.tls is None else 'https'}://{self.address}"

    def close(self) -> None:
        """Close the socket. The file of a Unix socket is removed, unless another process has put its own there."""
        self.socket.close()
        path = self.address.path
        with contextlib.suppress(OSError):
            if path is not None and _file(path) == self.file:
                path.unlink()


def open_listener(http: Http) -> Listener:
    """Return the open socket of the address that the settings name.

    Raises:
        ConfigurationError: the address is taken, is none of this machine, or a certificate cannot be used.

    """
    address = http.listen
    if address is None:
        raise ValueError("no address to listen on")
    tls = _tls(http)
    try:
        bound = _unix_socket(address.path) if address.path is not None else _tcp_socket(address)
        bound.listen(_BACKLOG)
        file = None if address.path is None else _file(address.path)
    except UnicodeError as error:  # a part of the host name is empty, or longer than 63 characters
        raise ConfigurationError((f"REPLICA_LISTEN: {address}: the host is not a name",)) from error
    except OSError as error:
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        hint = "stop that program, or listen on another port" if error.errno == errno.EADDRINUSE else None
        raise ConfigurationError((f"REPLICA_LISTEN: {address}: {reason}",), hint=hint) from error
    bound.setblocking(False)
    if address.path is None:
        address = type(address)(address.host, bound.getsockname()[1])
    return Listener(bound, address, tls, file)


def _tcp_socket(address: ListenAddress) -> socket.socket:
    family, kind, number, _, at = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, number)
    # A new start must not wait for connections of the last one to time out.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bound(bound, at)


def _unix_socket(path: Path) -> socket.socket:
    if path.is_socket() and not _answers(path):
        path.unlink()  # of a process that was killed
    # Other users of the machine may not connect; members of the group may.
    before = os.umask(0o117)
    try:
        return _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(path))
    finally:
        os.umask(before)


def _bound(unbound: socket.socket, at: object) -> socket.socket:
    try:
        unbound.bind(at)  # type: ignore[arg-type]  # an address of the socket's family
    except BaseException:
        unbound.close()
        raise
    return unbound


def _file(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        return client.connect_ex(str(path)) != errno.ECONNREFUSED


def _tls(http: Http) -> ssl.SSLContext | None:
    if http.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(http.tls_cert, http.tls_key, password=lambda: b"")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigurationError((f"REPLICA_HTTP_TLS_CERT: {http.tls_cert}: {_reason(error)}",)) from error
    if http.client_ca is not None:
        try:
            context.load_verify_locations(http.client_ca)
        except (OSError, ValueError) as error:
            raise ConfigurationError((f"REPLICA_HTTP_CLIENT_CA: {http.client_ca}: {_reason(error)}",)) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not a PEM file that fits the key ({error.reason or error})"
    return getattr(error, "strerror", None) or str(error)
