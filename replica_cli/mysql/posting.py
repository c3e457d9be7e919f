"""A driver's connection on which short statements travel with the next one, without a round trip of their own."""

from __future__ import annotations

from typing import Any

from pymysql.constants import COMMAND
from pymysql.err import MySQLError

from replica_cli.mysql.tls import ServerConnection


class PostingConnection(ServerConnection):
    """Sends what was posted in front of the next command, and reads its answers in front of that command's.

    The driver has no way to have several commands under way, so two of its inner steps are wrapped here.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._posted: list[str] = []
        self._owed_answers = 0
        super().__init__(*args, **settings)

    def post(self, statement: str) -> None:
        """Let a statement go with the next command.

        Where it fails, that command fails with its error, and the connection is closed: the command itself was run.
        """
        self._posted.append(statement)

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        posted, self._posted = self._posted, []
        for statement in posted:
            super()._execute_command(COMMAND.COM_QUERY, statement)  # type: ignore[misc]
            self._owed_answers += 1
        super()._execute_command(command, sql)  # type: ignore[misc]

    def _read_packet(self, *packet_type: Any) -> Any:
        if self._owed_answers:
            self._read_owed_answers()
        return super()._read_packet(*packet_type)  # type: ignore[no-untyped-call]

    def _read_owed_answers(self) -> None:
        # A request above 16 MB leaves as several packets, and its answer counts on from them.
        expected = self._next_seq_id  # type: ignore[has-type]
        try:
            while self._owed_answers:
                self._owed_answers -= 1
                self._next_seq_id = 1
                super()._read_packet()  # type: ignore[no-untyped-call]
        except MySQLError:
            self._force_close()  # type: ignore[attr-defined]
            raise
        self._next_seq_id = expected
