"""The internal names of PyMySQL that mysql/driver.py uses: each exists, and the driver uses it when expected."""

from __future__ import annotations

import ast
import inspect
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.protocol import MysqlPacket, OKPacketWrapper

import replica_cli
from replica_cli.mysql.driver import DriverConnection
from replica_cli.mysql.session import connection_settings
from tests.support.fake_server import NETWORK, OK, FakeServer, greeting, switch_to

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = {
    "_create_ssl_ctx": ["self", "sslp"],
    "_execute_command": ["self", "command", "sql"],
    "_force_close": ["self"],
    "_process_auth": ["self", "plugin_name", "auth_packet", "handler"],
    "_read_packet": ["self", "packet_type"],
    "_read_query_result": ["self", "unbuffered"],
    "_request_authentication": ["self"],
    "_write_bytes": ["self", "data"],
    "get_server_info": ["self"],
    "set_character_set": ["self", "charset", "collation"],
    "thread_id": ["self"],
    "write_packet": ["self", "payload"],
}
ATTRIBUTES = (
    "_next_seq_id", "_read_timeout", "_result", "_rfile", "_sock", "_write_timeout", "init_command",
    "server_capabilities", "server_public_key",
)  # fmt: skip


class Watched(DriverConnection):
    """Notes what the driver calls."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.calls: list[str] = []
        super().__init__(*args, **settings)

    def log_in(self) -> None:
        self.calls.append("log_in")
        super().log_in()

    def authenticate(self, plugin: bytes, *args: Any) -> Any:
        self.calls.append(f"authenticate {plugin.decode()}")
        return super().authenticate(plugin, *args)

    def write(self, data: bytes) -> None:
        self.calls.append(f"write {data[3]}")
        super().write(data)


def connected(server: FakeServer) -> Watched:
    settings = connection_settings(server.address(), NETWORK)
    del settings["tls_mode"]
    return Watched(**settings | {"autocommit": None})


def talking(*answers: bytes, first: tuple[bytes, ...] = (OK,)) -> Callable[[FakeServer], None]:
    """Log a client in, take its SET NAMES, then send each answer when a command has come."""

    def talk(server: FakeServer) -> None:
        server.send(greeting(), 0)
        for number, packet in enumerate(first):
            server.read()
            server.send(packet, 2 + 2 * number)
        for packet in (OK, *answers):
            server.read()
            if packet:
                server.send(packet, 1)

    return talk


@pytest.mark.parametrize("name", METHODS)
def test_the_driver_has_the_method(name: str) -> None:
    assert list(inspect.signature(getattr(Connection, name)).parameters) == METHODS[name]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_connection_of_the_driver_has_the_attribute(name: str) -> None:
    with FakeServer(talking()) as server:
        address = server.address()
        connection = pymysql.connect(
            host=address.host, port=address.port, user=address.user, password="x", autocommit=None
        )
        assert hasattr(connection, name)
        connection.close()


@pytest.mark.parametrize("name", ["is_load_local_packet", "read_length_encoded_integer"])
def test_a_packet_of_the_driver_has_the_method(name: str) -> None:
    assert callable(getattr(MysqlPacket, name))
    assert {"affected_rows", "warning_count"} <= set(inspect.getsource(OKPacketWrapper).replace(".", " ").split())


def test_our_subclass_hides_no_name_of_the_driver() -> None:
    own = {name for name in vars(DriverConnection) if not name.startswith("__")} - set(METHODS)
    assert not own & set(dir(Connection))


def test_only_one_module_touches_names_that_the_driver_keeps_to_itself() -> None:
    root = Path(replica_cli.__file__).parent
    private = {name for name in (*METHODS, *ATTRIBUTES) if name.startswith("_")} - {"_result"}  # a common name
    users = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in private)
        or (isinstance(node, ast.FunctionDef) and node.name in private)
    }
    assert users == {"mysql/driver.py"}


def test_nothing_is_written_before_the_login_and_everything_goes_through_write() -> None:
    with FakeServer(talking(OK)) as server:
        connection = connected(server)
        connection.query("DO 1")
        connection.close()
    # The login, SET NAMES, the statement, and the farewell.
    assert connection.calls == ["log_in", "write 1", "write 0", "write 0", "write 0"]


def test_another_plugin_is_requested_before_it_is_used() -> None:
    with FakeServer(talking(first=(switch_to(b"mysql_native_password"), OK))) as server:
        connection = connected(server)
        connection.close()
    assert connection.calls[:4] == ["log_in", "write 1", "authenticate mysql_native_password", "write 3"]


def test_answers_come_in_the_order_of_the_commands() -> None:
    def ok(rows: int) -> bytes:
        return b"\0" + bytes((rows,)) + OK[2:]

    with FakeServer(talking(ok(3), ok(4), ok(0), ok(5))) as server:
        connection = connected(server)
        connection.send(COMMAND.COM_QUERY, b"a")
        connection.send(COMMAND.COM_QUERY, b"b")
        with pytest.raises(RuntimeError):
            connection.post("c")
        counts = []
        for _ in range(2):
            connection.begin_answer()
            counts.append(connection.read_count())
        connection.post("c")
        counts.append(connection.query("d"))
        connection.close()
    assert counts == [3, 4, 5]


def test_an_answer_to_a_command_above_16_mb_has_the_number_of_its_last_packet() -> None:
    def talk(server: FakeServer) -> None:
        talking()(server)
        server.read()
        server.read()
        server.send(OK, 2)

    with FakeServer(talk) as server:
        connection = connected(server)
        connection.send(COMMAND.COM_QUERY, bytes(0xFFFFFF))
        connection.begin_answer()
        assert connection.read_count() == 0
        connection.close()


def test_an_error_of_a_posted_statement_ends_the_connection() -> None:
    with FakeServer(talking(b"\xff\x15\x04#28000no", OK)) as server:
        connection = connected(server)
        connection.post("a")
        with pytest.raises(pymysql.err.MySQLError, match="no"):
            connection.query("b")
        assert connection.sock is None
        with pytest.raises(ConnectionResetError):
            _ = connection.stream


def test_a_connection_knows_if_there_is_an_answer() -> None:
    answer = threading.Event()

    def talk(server: FakeServer) -> None:
        talking()(server)
        server.read()
        answer.wait(10)
        server.send(OK, 1)

    with FakeServer(talk) as server:
        connection = connected(server)
        assert not connection.is_encrypted
        connection.send(COMMAND.COM_QUERY, b"a")
        assert not connection.has_answer
        answer.set()
        connection.begin_answer()
        connection.read_end()
        connection.set_timeout(3.0)
        assert connection.sock is not None
        assert connection.sock.gettimeout() == 3.0
        connection.drop()
        assert connection.has_answer


def test_a_reader_that_waits_ends_when_the_connection_is_shut_down() -> None:
    with FakeServer(talking(b"")) as server:
        connection = connected(server)
        threading.Timer(0.1, connection.shut_down).start()
        with pytest.raises(pymysql.err.OperationalError):
            connection.query("SELECT 1")
