"""What reader/dump.py needs of mysql-replication: the names of its arguments, and the requests that it sends."""

from __future__ import annotations

import inspect
import struct

import pytest
from pymysqlreplication import BinLogStreamReader

from replica_cli.core.gtid import MysqlGtids
from replica_cli.core.position import Position
from replica_cli.reader.dump import open_dump, reported_name
from tests.support.fake_server import NETWORK, OK, FakeServer, greeting

ARGUMENTS = (
    "auto_position", "blocking", "connection_settings", "enable_logging", "is_mariadb", "log_file", "log_pos",
    "pymysql_wrapper", "report_slave", "resume_stream", "server_id",
)  # fmt: skip
GTIDS = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"
COM_QUERY, COM_BINLOG_DUMP, COM_REGISTER_SLAVE, COM_BINLOG_DUMP_GTID = 3, 0x12, 0x15, 0x1E
# The length, the packet number and the events of a dump that begins.
EVENTS = b"\x05\0\0\1\0abcd"


class Primary(FakeServer):
    """Answers each command with OK, and a dump request with `EVENTS`."""

    def __init__(self, version: bytes) -> None:
        super().__init__(self._serve)
        self._version = version
        self.commands: list[bytes] = []

    def _serve(self, _: FakeServer) -> None:
        self.send(greeting(version=self._version), 0)
        self.read()
        self.send(OK, 2)
        while True:
            self.commands.append(self.read())
            if self.commands[-1][0] in (COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID):
                self.send_raw(EVENTS)
            else:
                self.send(OK, 1)


def requests(*, start: Position, by_gtid: bool, is_mariadb: bool, waits: bool = True) -> list[bytes]:
    """Return the commands of an opened dump."""
    with Primary(b"5.5.5-10.11.6-MariaDB" if is_mariadb else b"8.4.3") as primary:
        stream = open_dump(
            primary.address(), NETWORK, server_id=9, start=start, by_gtid=by_gtid, is_mariadb=is_mariadb, waits=waits
        )
        assert stream.read() == EVENTS
        stream.close()
    return primary.commands


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_library_has_the_argument(name: str) -> None:
    assert name in inspect.signature(BinLogStreamReader).parameters


@pytest.mark.parametrize("is_mariadb", [False, True], ids=["mysql", "mariadb"])
@pytest.mark.parametrize("waits", [False, True], ids=["ends", "waits"])
def test_a_dump_from_an_offset(*, is_mariadb: bool, waits: bool) -> None:
    start = Position("binlog.000007", 4711)
    *_, dump = requests(start=start, by_gtid=False, is_mariadb=is_mariadb, waits=waits)
    assert dump == b"\x12" + struct.pack("<IHI", 4711, 0 if waits else 1, 9) + b"binlog.000007"


def test_a_dump_from_a_set_of_mysql_has_the_real_set() -> None:
    start = Position("", 0, GTIDS)
    *_, dump = requests(start=start, by_gtid=True, is_mariadb=False)
    real = MysqlGtids(GTIDS).encode()
    assert dump.endswith(struct.pack("<QI", 4, len(real)) + real)
    assert dump[:7] == b"\x1e\4\0" + struct.pack("<I", 9)


def test_a_dump_from_an_empty_set_of_mysql() -> None:
    *_, dump = requests(start=Position("", 0, ""), by_gtid=True, is_mariadb=False)
    assert dump.endswith(struct.pack("<QIQ", 4, 8, 0))


def test_a_dump_from_a_position_of_mariadb_is_as_long_as_it_says() -> None:
    *_, dump = requests(start=Position("", 0, "0-1-5"), by_gtid=True, is_mariadb=True)
    assert dump == b"\x12" + struct.pack("<IHI", 4, 0, 9) + bytes(3)


def test_variables_and_registration_come_before_the_dump() -> None:
    commands = requests(start=Position("", 0, "0-1-5"), by_gtid=True, is_mariadb=True)
    queries = [command[1:].decode() for command in commands if command[0] == COM_QUERY]
    (register,) = (command for command in commands if command[0] == COM_REGISTER_SLAVE)
    assert reported_name().encode() in register
    variables = next(n for n, query in enumerate(queries) if "@mariadb_slave_capability=4" in query)
    state = next(n for n, query in enumerate(queries) if "@slave_connect_state" in query)
    assert "0-1-5" in queries[state]
    assert variables < state
    assert len(queries) < 9  # one round trip each
