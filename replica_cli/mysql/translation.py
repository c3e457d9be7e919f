"""Translate exceptions of the driver and the socket into ServerError. Every call of the driver uses `translated`."""

from __future__ import annotations

import contextlib
import struct
import traceback
from typing import TYPE_CHECKING

from pymysql.err import MySQLError

from replica_cli.core.errors import MEMORY_HINT, ExitCode, PrimaryError, SecondaryError
from replica_cli.mysql.errnos import CR_MALFORMED_PACKET, CR_SERVER_LOST, ER_ACCESS_DENIED, ServerError, remedy_of
from replica_cli.mysql.tls import LoginRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import Server

_LOGIN = frozenset({ER_ACCESS_DENIED, 1044, 1698})
_UNREACHABLE = frozenset({2002, 2003, 2005})
_NO_ROOM = frozenset({1040, 1203})
# In these files packets are parsed, and the lengths in them are trusted.
_PACKET_READERS = ("pymysql/protocol.py", "pymysql/connections.py", "pymysql/_auth.py", "mysql/row_lines.py")
_MISSING_PACKAGE = "package is required"
_LOCAL_FILE = "LOAD_LOCAL"


@contextlib.contextmanager
def translated(server: Server) -> Iterator[None]:
    """Turn exceptions of pymysql and of the socket into ServerError.

    Raises:
        ServerError: a statement or the connection failed.
        PrimaryError: on the primary, a login was refused by us, a package for an authentication plugin is missing, or
            there is not enough memory for an answer.
        SecondaryError: the same on a secondary.
    """
    side = PrimaryError if server.is_primary else SecondaryError
    try:
        yield
    except LoginRefused as error:
        raise side(f"{server}: {error}", hint=error.hint) from error
    except MySQLError as error:
        errno, text = _number_and_text(error)
        raise server_error(errno, text, server) from error
    except MemoryError as error:
        raise side(f"{server}: not enough memory for the server's answer", hint=MEMORY_HINT) from error
    except OSError as error:
        raise server_error(CR_SERVER_LOST, str(error), server) from error
    except Exception as error:
        if _MISSING_PACKAGE in str(error):
            # The driver reports in this way that an authentication plugin needs a package that is not installed.
            raise side(
                f"{server}: {error}", hint="`pip install 'replica-cli[ed25519]'`, or give the user another plugin"
            ) from error
        if not _is_of_a_packet(error):
            raise
        raise server_error(CR_MALFORMED_PACKET, _malformed(error), server) from error


def server_error(errno: int, text: str, server: Server) -> ServerError:
    """Return the ServerError of an error number, with its remedy, exit code and hint."""
    code = ExitCode.PRIMARY if server.is_primary else ExitCode.SECONDARY
    hint = None
    if errno in _LOGIN:
        hint = f"check the user {server.user} of {server.host}:{server.port}, its password and its grants"
    elif errno in _UNREACHABLE:
        hint = f"check that {server.host}:{server.port} is right, and that the server is up"
    elif errno in _NO_ROOM:
        hint = f"close connections at {server.host}:{server.port}, or raise max_connections or max_user_connections"
    elif errno == CR_MALFORMED_PACKET:
        hint = f"check that {server.host}:{server.port} is a MariaDB or MySQL server, with nothing in between"
    return ServerError(errno, text, server.name, remedy=remedy_of(errno, text), exit_code=code, hint=hint)


def _is_of_a_packet(error: Exception) -> bool:
    """Return True if the exception comes from parsing a packet; any other exception is a bug of this program."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, struct.error) or (bool(frames) and frames[-1].filename.endswith(_PACKET_READERS))


def _malformed(error: Exception) -> str:
    if _LOCAL_FILE in str(error):
        return "the server asked for a file of this machine, and the statement names no file: nothing was sent"
    return f"the server sent something that is not a valid packet ({type(error).__name__})"


def _number_and_text(error: MySQLError) -> tuple[int, str]:
    match error.args:
        case (0, *_):
            # The driver had already closed the connection.
            return CR_SERVER_LOST, "the connection is lost"
        case (int(errno), str(text), *_):
            return errno, text
        case (int(errno), *_):
            return errno, type(error).__name__
        case _:
            return CR_SERVER_LOST, str(error) or type(error).__name__
