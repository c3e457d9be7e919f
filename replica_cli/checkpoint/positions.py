"""Keep the position row: written in the transaction of the rows that it belongs to, and read when a stream begins.

A stream begins again after an error that ends the attempt. A batch that is repeated or split goes on in its session.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from replica_cli.core.errors import Fenced, StateBroken
from replica_cli.core.gtid import MariadbGtids, MysqlGtids
from replica_cli.core.position import Position
from replica_cli.logs import Tag, log
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Row, Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedPosition:
    """The position row, as read from the secondary. `updated_at` is UTC text, `source_time` is in seconds.

    `age_seconds` is how old the row was when it was read, by the secondary's clock.
    """

    position: Position
    source_identity: str
    source_time: int
    row_count: int
    transaction_count: int
    skipped_count: int
    filters: str
    filters_text: str
    token: int
    updated_at: str | datetime
    age_seconds: float = 0.0

    def other_filters(self, selection: Selection) -> str:
        """Return a text on how the current filters differ from those of the position, "" if they do not."""
        if self.filters == selection.fingerprint:
            return ""
        return f"the filters changed: stored {self.filters_text}; now {selection}"


# A row that was renamed by hand has a slash in its name, which no instance has. This is the condition for all other
# rows.
IS_AN_INSTANCE = "INSTR(instance, '/') = 0"
_NAME_CHARACTERS = 191


def _old_name(instance: str) -> str:
    return f"old/{instance}"[:_NAME_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Advance:
    """What one commit writes into the position row: the position, and what is added to the counts."""

    position: Position
    source_time: int
    row_count: int
    transaction_count: int
    skipped_count: int = 0


class PositionStore:
    """One instance's row in `binlog_position`."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.binlog_position"
        self._dependent_tables = tuple(f"{quote(state_schema)}.{table}" for table in ("xa_prepared", "ddl_intent"))
        self._instance = instance

    def load(self) -> SavedPosition | None:
        """Return the row, None if there is none.

        Raises:
            StateBroken: the row has content that this program never writes.
        """
        return self.loaded(self._session.rows(self.load_query))

    @property
    def load_query(self) -> str:
        """Return the query of `load`, for a caller that sends several queries at once."""
        return (
            "SELECT file, pos, gtid, source_identity, source_time, row_count, transaction_count, skipped_count, "
            "filters, filters_text, token, updated_at, TIMESTAMPDIFF(MICROSECOND, updated_at, UTC_TIMESTAMP(6)) "
            f"FROM {self._table} WHERE instance = {text_literal(self._instance)}"
        )

    def loaded(self, rows: Sequence[Row]) -> SavedPosition | None:
        """Return what `load` returns, from the rows of `load_query`."""
        try:
            return _saved(rows[0]) if rows else None
        except ValueError as error:
            raise StateBroken(
                f"{self._session.server.name}: {self._table} holds a position of {self._instance} that cannot be read: "
                f"{error}",
                hint=f"UPDATE {self._table} SET instance = {text_literal(_old_name(self._instance))} WHERE instance = "
                f"{text_literal(self._instance)};  -- on the secondary, keeps the row under another name; then "
                "`replica transfer --restart` copies every table again",
            ) from error

    def start(self, position: Position, *, source_identity: str, selection: Selection) -> None:
        """Write the row with a start position; an existing row keeps its token, so that old writers stay fenced.

        What was kept of prepared transactions and of a started statement is deleted, because it belongs to the old
        position: after the new position the same XA id, or GTID, may be another transaction.
        """
        self.make_room(source_identity, selection)
        self._session.execute(self.start_statement(position, source_identity, selection))

    def start_statement(self, position: Position, source_identity: str, selection: Selection) -> bytes:
        """Return the statement of `start` that writes the row; run `make_room` before it in the same transaction."""
        position_values = f"{text_literal(position.file)}, {position.pos}, {text_literal(position.gtid)}"
        texts = ", ".join(map(text_literal, (source_identity, selection.fingerprint, str(selection))))
        return (
            f"INSERT INTO {self._table}"
            " (instance, file, pos, gtid, source_identity, filters, filters_text, token, updated_at) VALUES"
            # A row that was deleted and written again must not give out a token that a frozen writer still has.
            f" ({text_literal(self._instance)}, {position_values}, {texts},"
            " FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000), UTC_TIMESTAMP(6))"
            " ON DUPLICATE KEY UPDATE"
            " file = VALUES(file), pos = VALUES(pos), gtid = VALUES(gtid), source_identity = VALUES(source_identity),"
            " source_time = 0, row_count = 0, transaction_count = 0, skipped_count = 0,"
            " filters = VALUES(filters), filters_text = VALUES(filters_text), updated_at = VALUES(updated_at)"
        ).encode()

    def accept_filters(self, selection: Selection) -> None:
        """Store the current filters with the position, which stays as it is."""
        self._session.execute(
            f"UPDATE {self._table} SET filters = %s, filters_text = %s WHERE instance = %s",
            selection.fingerprint, str(selection), self._instance,
        )  # fmt: skip

    def accept_primary(self, source_identity: str) -> None:
        """Store another primary's identity with the GTID set, and clear file and offset.

        File and offset were the former primary's.
        """
        self._session.execute(
            f"UPDATE {self._table} SET source_identity = %s, file = '', pos = 0 WHERE instance = %s",
            source_identity, self._instance,
        )  # fmt: skip

    def take_token(self) -> int:
        """Raise the fencing token by one and return it: from then on every other writer's commit fails."""
        self._session.execute(f"UPDATE {self._table} SET token = token + 1 WHERE instance = %s", self._instance)
        saved = self.load()
        return saved.token if saved else 0

    def forget(self) -> None:
        """Delete the row, and what was kept of prepared transactions and of a started statement up to its position."""
        for deletion in self._dependent_deletions():
            self._session.execute(deletion)
        self._session.execute(f"DELETE FROM {self._table} WHERE instance = %s", self._instance)

    def make_room(self, source_identity: str, selection: Selection) -> None:
        """Delete what belongs to the old position, and the rows of other instances for the same tables.

        Such an instance is this server under a former name, or under a second name. With its row it would apply again,
        to these tables, what they contain from this position on. Each row is deleted by its name alone, because the
        batches of other streams lock the other rows. A row that was renamed by hand belongs to no instance.
        """
        own, identity, filters = map(text_literal, (self._instance, source_identity, selection.fingerprint))
        others_query = (
            f"SELECT instance FROM {self._table} WHERE instance <> {own} AND source_identity = {identity} "
            f"AND filters = {filters} AND {IS_AN_INSTANCE}"
        )
        *_, others = self._session.rows_of_each([*self._dependent_deletions(), others_query])
        for (other,) in others:
            self._session.execute(f"DELETE FROM {self._table} WHERE instance = %s", other)
            log(
                logger, logging.WARNING, Tag.WARN,
                "writes the tables that %s wrote on this server: the position of %s is deleted", other, other,
                instance=self._instance,
            )  # fmt: skip

    def _dependent_deletions(self) -> list[str]:
        condition = f"WHERE instance = {text_literal(self._instance)}"
        return [f"DELETE FROM {table} {condition}" for table in self._dependent_tables]

    def advance_statement(self, advance: Advance, token: int) -> bytes:
        """Return the UPDATE that advances the row, for the same packet as the rows; it must match exactly one row.

        If it matches none, another writer has taken the token: see `check_advanced`.
        """
        position = advance.position
        return (
            f"UPDATE {self._table} SET file = {text_literal(position.file)}, pos = {position.pos}, "
            f"gtid = {text_literal(position.gtid)}, source_time = {advance.source_time}, "
            f"row_count = row_count + {advance.row_count}, "
            f"transaction_count = transaction_count + {advance.transaction_count}, "
            f"skipped_count = skipped_count + {advance.skipped_count}, updated_at = UTC_TIMESTAMP(6) "
            f"WHERE instance = {text_literal(self._instance)} AND token = {token}"
        ).encode()

    def touch_statement(self, token: int) -> bytes:
        """Return the UPDATE that matches the row only while the token is valid, to be run before a DDL statement."""
        return (
            f"UPDATE {self._table} SET updated_at = UTC_TIMESTAMP(6) "
            f"WHERE instance = {text_literal(self._instance)} AND token = {token}"
        ).encode()

    def check_advanced(self, found_rows: int) -> None:
        """Raise Fenced unless the UPDATE matched its row."""
        if found_rows != 1:
            raise Fenced(
                f"{self._instance}: another process took over this instance while this one was frozen or cut off",
                hint="nothing of the last batch was kept; this process stops, the other goes on",
            )


def _saved(row: Row) -> SavedPosition:
    file, pos, gtid, identity, source_time, *counts, filters, filters_text, token, updated_at, age = row
    rows, transactions, skipped = (int(c) for c in counts)
    _check_gtids(str(gtid))
    datetime.fromisoformat(str(updated_at))
    return SavedPosition(
        Position(str(file), int(pos), str(gtid)), str(identity), int(source_time), rows, transactions, skipped,
        str(filters), str(filters_text), int(token), str(updated_at), int(age) / 1e6,
    )  # fmt: skip


def _check_gtids(text: str) -> None:
    """Raise ValueError unless the text is a GTID set of either flavour; the row does not say of which one."""
    try:
        MariadbGtids(text)
    except ValueError:
        try:
            MysqlGtids(text)
        except ValueError:
            raise ValueError(f"{text[:60]!r} is not a GTID set") from None
