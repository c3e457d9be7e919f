"""Set up TLS to a server, and provide the driver's connection class that refuses unsafe logins."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pymysql.constants import CLIENT

from replica_cli.core.settings import TlsMode
from replica_cli.mysql.driver import DriverConnection

if TYPE_CHECKING:
    from replica_cli.core.settings import Tls


# These plugins never send the password itself, so a server that was not verified does not learn it.
_HASHED = frozenset({b"mysql_native_password", b"caching_sha2_password", b"sha256_password", b"client_ed25519"})
_CLEAR = frozenset({b"mysql_clear_password", b"dialog"})
_TLS_OPTIONAL = frozenset({TlsMode.OFF, TlsMode.PREFERRED})


class LoginRefused(Exception):
    """We refuse to log in: the peer could read the password, or the connection is not what the settings ask for."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ServerConnection(DriverConnection):
    """The connection for sessions and for the dump connection. It refuses logins that show the password.

    It does not send the password in clear text without TLS, and does not use a public key that came without TLS unless
    TLS is off. If nothing is verified, it uses one shared TLS context: the driver's own context costs 30 ms of CPU for
    each connection. With `sets_names=False` the caller sends SET NAMES together with its other settings, which saves a
    round trip.
    """

    def __init__(
        self, *args: Any, tls_mode: TlsMode = TlsMode.PREFERRED, sets_names: bool = True, **settings: Any
    ) -> None:
        self._tls_mode = tls_mode
        self._sets_names = sets_names
        self._public_key: bytes | None = None
        super().__init__(*args, **settings)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the charset of this connection on the server, unless the caller does."""
        if self._sets_names:
            super().set_character_set(charset, collation)

    def make_tls_context(self, settings: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        """Return the context of the settings, else the shared one that verifies nothing."""
        return settings if isinstance(settings, ssl.SSLContext) else _unverified()

    def log_in(self) -> None:
        """Log in, unless TLS is required and not offered."""
        # This check comes before the user's name is sent, and does not depend on the driver's version.
        if self._tls_mode not in _TLS_OPTIONAL and not self.server_capabilities & CLIENT.SSL:
            raise LoginRefused(
                "the server does not offer TLS", "set MARIA_PRIMARY_TLS or MARIA_SECONDARY_TLS to a lower mode"
            )
        super().log_in()

    def authenticate(self, plugin: bytes, *args: Any) -> Any:
        """Answer a request for another plugin, unless the answer would show the password."""
        name = plugin.decode(errors="replace")
        if plugin in _CLEAR and not self.is_encrypted:
            raise LoginRefused(
                f"the server asks for the password in clear text (plugin {name}) without TLS",
                "set the TLS mode of this server to verify-identity or required, or give the user another plugin",
            )
        if plugin not in _CLEAR | _HASHED:
            raise LoginRefused(
                f"the server asks for the authentication plugin {name}, which is not supported",
                "give the user caching_sha2_password, mysql_native_password or ed25519",
            )
        return super().authenticate(plugin, *args)

    @property
    def server_public_key(self) -> bytes | None:
        """Return the key that the server sent for the encryption of the password."""
        return self._public_key

    @server_public_key.setter
    def server_public_key(self, key: bytes | None) -> None:
        # An attacker who removed TLS can send a key as well, and can read what is encrypted with it.
        if key is not None and self._tls_mode is not TlsMode.OFF and not self.is_encrypted:
            raise LoginRefused(
                "the server asks for the password without TLS, encrypted with a key that it sent",
                "set up TLS on the server; on a trusted network, set the TLS mode of this server to off",
            )
        self._public_key = key


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """Return the TLS context for the settings of one side, None if the driver's default is enough.

    The driver encrypts if the server can, but verifies only if it is given all settings. So this
    module makes the context.
    """
    if tls.mode in (TlsMode.OFF, TlsMode.PREFERRED) and not tls.ca and not tls.cert:
        return None
    if tls.mode is TlsMode.REQUIRED and not tls.ca and not tls.cert:
        return _unverified()
    # The context is not cached: certificates are renewed while a process runs, and the next connection must use the new
    # ones.
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    context.check_hostname = tls.mode is TlsMode.VERIFY_IDENTITY
    verifies = tls.mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY)
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
