"""Send commands on a driver's connection before the answers to earlier commands have been read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from pymysql.constants import COMMAND
from pymysql.err import MySQLError

from replica_cli.mysql.lines import give_text
from replica_cli.mysql.tls import ServerConnection

if TYPE_CHECKING:

    class _Driver(ServerConnection):
        """The driver's internal methods that its type stubs leave out."""

        _next_seq_id: int
        _result: object

        def _execute_command(self, command: int, sql: str | bytes) -> None: ...
        def _read_packet(self, *packet_type: Any) -> Any: ...
        def _read_query_result(self) -> int: ...
        def _force_close(self) -> None: ...
else:
    _Driver = ServerConnection


class PipelinedConnection(_Driver):
    """A connection that sends commands without waiting for their answers, in two ways.

    The answer to a command of `send` is read with `begin_answer` and a read method, in the order in which the commands
    were sent. A statement of `post` is sent before the next command, and its answer is read before the answer to that
    command. The driver itself handles one command at a time, so this class uses its internal methods.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        # The packet number with which each answer begins that has not been read.
        self._numbers: deque[int] = deque()
        self._posted: list[str] = []
        self._owed_answers = 0
        super().__init__(*args, **settings)

    def send(self, command: int, text: str | bytes) -> None:
        """Send a command without waiting for its answer."""
        self._execute_command(command, text)
        # A request above 16 MB is sent as several packets, and its answer continues their packet numbers.
        self._numbers.append(self._next_seq_id)

    def begin_answer(self) -> None:
        """Prepare to read the answer to the first command whose answer has not been read."""
        self._next_seq_id = self._numbers.popleft()

    def read_count(self) -> int:
        """Return the row count of the next statement of the answer."""
        return int(self._read_query_result())

    def read_end(self) -> None:
        """Read an answer that says only that the command was done."""
        self._read_packet()

    def give_text(self, text: bytes) -> tuple[int, int]:
        """Send the text that a LOAD DATA LOCAL asks for; return the number of rows and the number of warnings."""
        # The result of the statement before it says that another result follows. Without this line the driver would
        # read that result before it sends the next command.
        self._result = None
        return give_text(self, text)

    def forget_answers(self) -> None:
        """Expect no more answers: the connection is no longer used."""
        self._numbers.clear()

    def post(self, statement: str) -> None:
        """Send a statement together with the next command.

        If the statement fails, the next command raises its error and the connection is closed. The command itself was
        run.

        Raises:
            RuntimeError: answers to `send` have not been read yet.
        """
        if self._numbers:
            # The answers that are missing come first, and would be taken for the answer to this statement.
            raise RuntimeError("a statement was posted while answers were still to come")
        self._posted.append(statement)

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        posted, self._posted = self._posted, []
        for statement in posted:
            super()._execute_command(COMMAND.COM_QUERY, statement)
            self._owed_answers += 1
        super()._execute_command(command, sql)

    def _read_packet(self, *packet_type: Any) -> Any:
        if self._owed_answers:
            self._read_owed_answers()
        return super()._read_packet(*packet_type)

    def _read_owed_answers(self) -> None:
        expected = self._next_seq_id
        try:
            while self._owed_answers:
                self._owed_answers -= 1
                self._next_seq_id = 1
                super()._read_packet()
        except MySQLError:
            self._force_close()
            raise
        self._next_seq_id = expected
