"""A driver's connection on which commands are sent before the answers to those before have been read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from pymysql.constants import COMMAND
from pymysql.err import MySQLError

from replica_cli.mysql.lines import give_text
from replica_cli.mysql.tls import ServerConnection

if TYPE_CHECKING:

    class _Driver(ServerConnection):
        """The inner steps of the driver that its type stubs leave out."""

        _next_seq_id: int
        _result: object

        def _execute_command(self, command: int, sql: str | bytes) -> None: ...
        def _read_packet(self, *packet_type: Any) -> Any: ...
        def _read_query_result(self) -> int: ...
        def _force_close(self) -> None: ...
else:
    _Driver = ServerConnection


class PipelinedConnection(_Driver):
    """Sends commands in two ways without waiting for their answers.

    What is sent by `send` is answered by `begin_answer` and a read, in the order sent. What is posted goes in front of
    the next command, and its answer is read in front of that one's.
    The driver has one command under way at a time, so this class works with its inner steps.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        # The packet number with which each answer begins.
        self._numbers: deque[int] = deque()
        self._posted: list[str] = []
        self._owed_answers = 0
        super().__init__(*args, **settings)

    def send(self, command: int, text: str | bytes) -> None:
        """Send a command."""
        self._execute_command(command, text)
        # A request above 16 MB leaves as several packets, and its answer counts on from them.
        self._numbers.append(self._next_seq_id)

    def begin_answer(self) -> None:
        """Turn to the answer of the first command that has not been answered."""
        self._next_seq_id = self._numbers.popleft()

    def read_count(self) -> int:
        """Return how many rows the next statement of the answer found."""
        return int(self._read_query_result())

    def read_end(self) -> None:
        """Read an answer that says nothing but that the command was done."""
        self._read_packet()

    def give_text(self, text: bytes) -> tuple[int, int]:
        """Answer the wish of a LOAD DATA LOCAL for its file; return how many rows, and warnings."""
        # The statement before it says that an answer follows. The driver would wait for that with the next command.
        self._result = None
        return give_text(self, text)

    def forget_answers(self) -> None:
        """Expect no more answers: the connection is given up."""
        self._numbers.clear()

    def drop(self) -> None:
        """Close the connection at once, because it is not known where the next packet begins or what was run."""
        self._force_close()

    def post(self, statement: str) -> None:
        """Let a statement go with the next command.

        If it fails, that command fails with its error, and the connection is closed: the command itself was run.
        """
        if self._numbers:
            # Their answers come first, and would be taken for this one's.
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
            self.drop()
            raise
        self._next_seq_id = expected
