"""What is saved while tables are brought up to a running stream: their own place, in their own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.core.errors import ReplicaError
from replica_cli.core.status import TableState
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.intents import Intent
    from replica_cli.checkpoint.positions import Advance
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session


class JoinLost(ReplicaError):
    """The tables' records are not what they were: somebody asked for a new copy, or another process took over."""

    code = "join_lost"


class JoinPositions(PositionStore):
    """The place up to which some tables are applied: the start of their records, while the stream's token is ours."""

    def __init__(
        self, session: Session, state_schema: str, instance: str, names: Collection[TableName], start: Position
    ) -> None:
        super().__init__(session, state_schema, instance)
        self._saved = self._sent = start
        self._records = f"{quote(state_schema)}.table_status"
        self._names = names

    def advance_statement(self, advance: Advance, token: int) -> bytes:
        """Return the UPDATE that moves the records, for the same packet as the rows; it must find each of them.

        It looks for the place that was saved last: whatever the isolation level, nothing is applied from it twice.
        """
        place = self._sent = advance.position
        return (
            f"UPDATE {self._records} SET start_file = {text_literal(place.file)}, start_pos = {place.pos}, "
            f"start_gtid = {text_literal(place.gtid)}, updated_at = UTC_TIMESTAMP(6) WHERE {self._mine(token)}"
        ).encode()

    def touch_statement(self, token: int) -> bytes:
        """Return an UPDATE that finds the records only while they and the token are ours."""
        return f"UPDATE {self._records} SET updated_at = UTC_TIMESTAMP(6) WHERE {self._mine(token)}".encode()

    def check_advanced(self, found_rows: int) -> None:
        """Raise JoinLost unless every record was found."""
        if found_rows != len(self._names):
            raise JoinLost(f"{self._instance}: the records of the joining tables are others now")
        self._saved = self._sent

    def _mine(self, token: int) -> str:
        instance = text_literal(self._instance)
        names = ", ".join(f"({text_literal(n.schema)}, {text_literal(n.table)})" for n in sorted(self._names))
        return (
            f"instance = {instance} AND state = '{TableState.JOINING}' AND (schema_name, table_name) IN ({names}) "
            f"AND start_file = {text_literal(self._saved.file)} AND start_pos = {self._saved.pos} "
            f"AND EXISTS (SELECT 1 FROM {self._table} WHERE instance = {instance} AND token = {token})"
        )


class NoIntents(IntentStore):
    """Statements are the stream's business alone: there is no intent to finish, or to forget."""

    def load(self) -> Intent | None:
        """Return None."""
        return None
