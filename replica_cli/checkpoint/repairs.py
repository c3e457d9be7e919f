"""Ask a running stream to repair rows, and keep a record of each row that a repair touched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import this_holder
from replica_cli.checkpoint.proofs import row_id
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.reports.repair import RepairedTable, RepairOutcome
from replica_cli.core.verification import DifferenceKind
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from replica_cli.core.verification import Difference
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class RepairRecord:
    """What became of one row: `position` is the secondary's."""

    difference: Difference
    outcome: RepairOutcome
    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class WantedRepair:
    """A repair that somebody asked for.

    Attributes:
        number: its number.
        tables: the patterns of its tables, empty for all.
        kinds: the kinds of differences, empty for all.
    """

    number: int
    tables: tuple[str, ...]
    kinds: tuple[DifferenceKind, ...]


class RepairStore:
    """One instance's rows in `repair_request` and `repair_log`."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._schema = quote(state_schema)
        self._instance = instance

    def ask(self, wanted: WantedRepair) -> None:
        """Ask the process that writes for a repair."""
        request = json.dumps({"tables": list(wanted.tables), "kinds": [kind.value for kind in wanted.kinds]})
        self._session.execute(
            f"REPLACE INTO {self._schema}.repair_request (instance, request_number, is_wanted, request, requested_at) "
            f"VALUES ({text_literal(self._instance)}, {wanted.number}, 1, {text_literal(request)}, UTC_TIMESTAMP(6))"
        )

    def next_number(self) -> int:
        """Return a number that no repair of this instance has."""
        logged = f"SELECT MAX(repair_number) FROM {self._schema}.repair_log WHERE {self._is_ours}"
        asked = f"SELECT request_number FROM {self._schema}.repair_request WHERE {self._is_ours}"
        row = self._session.row(f"SELECT GREATEST(COALESCE(({logged}), 0), COALESCE(({asked}), 0)) + 1")
        return int(row[0]) if row else 1

    def wanted(self) -> WantedRepair | None:
        """Return the repair that somebody asked for and that is not done, None if there is none."""
        row = self._session.row(
            f"SELECT request_number, request FROM {self._schema}.repair_request WHERE {self._is_ours} AND is_wanted = 1"
        )
        if row is None:
            return None
        request = json.loads(str(row[1]))
        kinds = tuple(DifferenceKind(kind) for kind in request["kinds"])
        return WantedRepair(int(row[0]), tuple(request["tables"]), kinds)

    def end(self, number: int, message: str = "") -> None:
        """Write that a repair is done, with a message if an error ended it."""
        self._session.execute(
            f"UPDATE {self._schema}.repair_request SET is_wanted = 0, answer = {text_literal(message)} "
            f"WHERE {self._is_ours} AND request_number = {number}"
        )

    def cancel_all(self) -> None:
        """Withdraw what a command has asked for that was killed."""
        self._session.execute(f"UPDATE {self._schema}.repair_request SET is_wanted = 0 WHERE {self._is_ours}")

    def cancel(self, number: int) -> None:
        """Withdraw a repair that is not done. What is written stays written."""
        self._session.execute(
            f"UPDATE {self._schema}.repair_request SET is_wanted = 0 "
            f"WHERE {self._is_ours} AND request_number = {number}"
        )

    def answer(self, number: int) -> str | None:
        """Return the message with which a repair ended, None while it is wanted."""
        row = self._session.row(
            f"SELECT answer FROM {self._schema}.repair_request WHERE {self._is_ours} AND request_number = {number} "
            "AND is_wanted = 0"
        )
        return None if row is None else str(row[0] or "")

    def log_statement(self, number: int, entry_number: int, record: RepairRecord) -> bytes:
        """Return the INSERT of the record of one row."""
        d, at = record.difference, record.position
        key = f"{text_literal(self._instance)}, {number}, {entry_number}"
        names = f"{text_literal(d.table.schema)}, {text_literal(d.table.table)}, '{row_id(d)}', {d.count}"
        texts = ", ".join(
            map(text_literal, (d.kind, json.dumps(d.key), d.row_hash, record.outcome, record.reason, at.file))
        )
        end = f"{at.pos}, {text_literal(at.gtid)}, UTC_TIMESTAMP(6), {text_literal(this_holder())}"
        return (
            f"INSERT INTO {self._schema}.repair_log (instance, repair_number, entry_number, schema_name, table_name, "
            "row_id, row_count, kind, key_values, row_hash, outcome, reason, written_file, written_pos, "
            f"written_gtid, written_at, holder) VALUES ({key}, {names}, {texts}, {end})"
        ).encode()

    def entry_count(self, number: int) -> int:
        """Return how many rows of a repair have a record."""
        row = self._session.row(
            f"SELECT COALESCE(MAX(entry_number), 0) FROM {self._schema}.repair_log "
            f"WHERE {self._is_ours} AND repair_number = {number}"
        )
        return int(row[0]) if row else 0

    def tables(self, number: int) -> tuple[RepairedTable, ...]:
        """Return what a repair did, by table."""
        rows = self._session.rows(
            "SELECT schema_name, table_name, outcome, SUM(row_count), MIN(NULLIF(reason, '')), MAX(entry_number) "
            f"FROM {self._schema}.repair_log WHERE {self._is_ours} AND repair_number = {number} "
            "GROUP BY schema_name, table_name, outcome ORDER BY schema_name, table_name"
        )
        counts: dict[TableName, dict[str, int]] = {}
        reasons: dict[TableName, str] = {}
        last: dict[TableName, int] = {}
        for schema, table, outcome, count, reason, entry_number in rows:
            name = TableName(str(schema), str(table))
            counts.setdefault(name, {})[str(outcome)] = int(count)
            last[name] = max(last.get(name, 0), int(entry_number))
            if reason:
                reasons[name] = str(reason)
        return tuple(
            RepairedTable(
                name,
                of.get(RepairOutcome.WRITTEN, 0),
                of.get(RepairOutcome.VANISHED, 0),
                of.get(RepairOutcome.REFUSED, 0),
                reasons.get(name, ""),
                self._position(number, last[name]),
            )
            for name, of in counts.items()
        )

    def _position(self, number: int, entry_number: int) -> Position | None:
        row = self._session.row(
            f"SELECT written_file, written_pos, written_gtid FROM {self._schema}.repair_log WHERE {self._is_ours} "
            f"AND repair_number = {number} AND entry_number = {entry_number}"
        )
        return Position(str(row[0]), int(row[1]), str(row[2] or "")) if row else None

    @property
    def _is_ours(self) -> str:
        return f"instance = {text_literal(self._instance)}"
