"""Keep what `verify` has proven of each table, and the rows that differ.

Nothing of the stream depends on these rows. They say what was true at a position, and stay until a later run replaces
them.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.checkpoint.key_literals import check_key
from replica_cli.core.errors import StateBroken
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.reports.verify import ProvenTable
from replica_cli.core.verification import Difference, DifferenceKind, ProvenRange
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import hex_literal, text_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.core.verification import Literals
    from replica_cli.mysql.session import Row, Session

_DIFFERENCE_COLUMNS = (
    "schema_name, table_name, kind, key_values, row_hash, differing_columns, row_count, seen_file, seen_pos, "
    "seen_gtid, primary_row, secondary_row"
)


_CHANGED_COLUMNS = (
    "kind", "differing_columns", "row_count", "seen_file", "seen_pos", "seen_gtid", "seen_at", "primary_row",
    "secondary_row",
)  # fmt: skip
PROOF_TABLES = frozenset({"verify_run", "verify_range", "verify_difference"})
_HASH = re.compile(r"(?:[0-9a-f]{64})?")


class RunKind(StrEnum):
    """Who compares rows: the command, or the scrub of a running stream."""

    COMMAND = "command"
    SCRUB = "scrub"


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of one instance.

    Attributes:
        number: its number.
        patterns: the patterns of the tables that it compares, empty for all.
        source_identity: the primary with which it compares.
        is_done: all of its tables are decided.
        refused: the tables that could not be compared, with the reasons.
        started_at: when it began, in UTC.
        ended_at: when it ended, None if it did not end.
    """

    number: int
    patterns: tuple[str, ...]
    source_identity: str
    is_done: bool
    refused: dict[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one table is compared in a run: after `last_key`, or to its end. `definition` says what was compared."""

    definition: str
    range_count: int
    last_key: bytes | None
    is_at_end: bool
    row_count: int


@dataclass(frozen=True, slots=True)
class ProofSummary:
    """What is known of all tables of an instance.

    Attributes:
        differences: the number of rows that differ.
        oldest: the table of which a part was proven the longest time ago, None if no table was compared.
        oldest_age_seconds: how long ago that was, by the secondary's clock.
        has_too_many: a run stopped because too many rows differ, and no run has come to its end since.
    """

    differences: int = 0
    oldest: TableName | None = None
    oldest_age_seconds: float | None = None
    has_too_many: bool = False


class ProofStore:
    """One instance's rows in `verify_run`, `verify_range` and `verify_difference`. Several threads may write."""

    def __init__(self, session: Session, state_schema: str, instance: str, kind: RunKind = RunKind.COMMAND) -> None:
        self._kind = kind
        self._session = session
        self._schema = quote(state_schema)
        self._instance = instance
        self._lock = threading.Lock()

    def last_run(self) -> Run | None:
        """Return the last run, None if there was none."""
        row = self._session.row(
            "SELECT run_number, patterns, source_identity, is_done, refused, started_at, ended_at "
            f"FROM {self._schema}.verify_run WHERE {self._is_ours} AND kind = '{self._kind}'"
        )
        if row is None:
            return None
        number, patterns, identity, is_done, refused, started_at, ended_at = row
        names = tuple(str(patterns).split("\n")) if patterns else ()
        reasons = json.loads(str(refused)) if refused else {}
        return Run(int(number), names, str(identity), bool(is_done), reasons, _utc(started_at), _utc(ended_at))

    def begin_run(self, patterns: Sequence[str], source_identity: str) -> int:
        """Write that a run begins, and return its number. It is larger than those of all runs before it."""
        row = self._session.row(
            f"SELECT COALESCE(MAX(run_number), 0) + 1 FROM (SELECT run_number FROM {self._schema}.verify_run "
            f"WHERE {self._is_ours} UNION ALL SELECT MAX(run_number) FROM {self._schema}.verify_range "
            f"WHERE {self._is_ours}) AS used"
        )
        number = int(row[0]) if row else 1
        self._execute(
            f"REPLACE INTO {self._schema}.verify_run (instance, kind, run_number, patterns, source_identity, "
            f"started_at) VALUES ({text_literal(self._instance)}, '{self._kind}', {number}, "
            f"{text_literal(chr(10).join(patterns))}, {text_literal(source_identity)}, UTC_TIMESTAMP(6))"
        )
        return number

    def note_too_many(self, number: int) -> None:
        """Write that a run has stopped because too many rows differ. That holds until it has come to its end."""
        self._execute(
            f"UPDATE {self._schema}.verify_run SET has_too_many = 1 WHERE {self._is_ours} AND run_number = {number}"
        )

    def keep_only(self, tables: Collection[TableName]) -> None:
        """Delete what is known of all tables but these: the others were dropped, or are not replicated any more."""
        all_stored = ("verify_range", "verify_difference", "table_change")
        names = {name for stored in all_stored for name in self._names(stored)}
        for name in sorted(names - set(tables)):
            statements = (f"DELETE FROM {self._schema}.{stored} WHERE {self._is_of(name)}" for stored in all_stored)
            with self._lock:
                self._session.execute_as_one([s.encode() for s in statements])

    def _names(self, stored: str, condition: str = "TRUE") -> set[TableName]:
        statement = (
            f"SELECT DISTINCT schema_name, table_name FROM {self._schema}.{stored} "
            f"WHERE {self._is_ours} AND {condition}"
        )
        with self._lock:
            rows = self._session.rows(statement)
        return {TableName(_text(schema), _text(table)) for schema, table in rows}

    def end_run(self, number: int, refused: dict[str, str]) -> None:
        """Write that all tables of a run are decided, except for those that could not be compared."""
        self._execute(
            f"UPDATE {self._schema}.verify_run SET is_done = 1, has_too_many = 0, ended_at = UTC_TIMESTAMP(6), "
            f"refused = {text_literal(json.dumps(refused))} WHERE {self._is_ours} AND run_number = {number}"
        )

    def progress(self, number: int) -> dict[TableName, Progress]:
        """Return how far each table is compared in a run.

        Raises:
            StateBroken: a row has content that this program never writes.
        """
        rows = self._session.rows(
            "SELECT r.schema_name, r.table_name, r.definition, l.last, r.high_key, l.row_count FROM "
            "(SELECT schema_name, table_name, MAX(range_number) AS last, SUM(row_count) AS row_count "
            f"FROM {self._schema}.verify_range WHERE {self._is_ours} AND run_number = {number} "
            f"GROUP BY schema_name, table_name) AS l JOIN {self._schema}.verify_range AS r "
            f"ON r.instance = {text_literal(self._instance)} AND r.schema_name = l.schema_name "
            f"AND r.table_name = l.table_name AND r.run_number = {number} AND r.range_number = l.last"
        )
        progress = {}
        for schema, table, definition, last, high, count in rows:
            name = TableName(_text(schema), _text(table))
            try:
                key = check_key(None if high is None else bytes(high))
            except ValueError as error:
                raise StateBroken(
                    f"{self._session.server.name}: verify_range has a row of {name} that cannot be read: {error}",
                    hint="`replica verify run --restart` begins again",
                ) from error
            progress[name] = Progress(_text(definition), int(last), key, key is None, int(count or 0))
        return progress

    def first_positions(self, number: int) -> dict[TableName, Position]:
        """Return the position at which the first part of each table was compared in a run."""
        rows = self._session.rows(
            f"SELECT schema_name, table_name, proven_file, proven_pos, proven_gtid FROM {self._schema}.verify_range "
            f"WHERE {self._is_ours} AND run_number = {number} AND range_number = 1"
        )
        return {
            TableName(_text(schema), _text(table)): Position(_text(file), int(pos), _text(gtid or ""))
            for schema, table, file, pos, gtid in rows
        }

    def forget_table(self, number: int, table: TableName) -> None:
        """Delete what is proven of a table that was altered, and the rows that this run has named.

        They were compared with other columns. A row that only an earlier run has named stays known. The proofs of
        earlier runs are deleted too: without the rows of this run they would say that the table was equal.
        """
        ranges = f"DELETE FROM {self._schema}.verify_range WHERE {self._is_of(table)}"
        rows = f"DELETE FROM {self._schema}.verify_difference WHERE {self._is_of(table)} AND run_number = {number}"
        with self._lock:
            self._session.execute_as_one([ranges.encode(), rows.encode()])

    def add_range(self, number: int, table: TableName, range_number: int, proven: ProvenRange, definition: str) -> None:
        """Write a part of a table that was compared. The last part replaces what earlier runs say of the table."""
        low, high = (None if key is None else f"({', '.join(key)})".encode() for key in (proven.low, proven.high))
        statement = (
            f"REPLACE INTO {self._schema}.verify_range (instance, schema_name, table_name, run_number, range_number, "
            "low_key, high_key, row_count, definition, proven_file, proven_pos, proven_gtid, proven_at) VALUES "
            f"({self._key_of(table)}, {number}, {range_number}, {_bytes(low)}, {_bytes(high)}, {proven.rows}, "
            f"'{definition}', {_position_values(proven.position)}, UTC_TIMESTAMP(6))"
        )
        statements = [statement]
        if proven.high is None:
            # What the scrub has met since the run began may be in a part that was proven before.
            former = (("verify_range", f"run_number < {number}"), ("verify_difference", f"NOT {self._met_in(number)}"))
            statements += [
                f"DELETE FROM {self._schema}.{stored} WHERE {self._is_of(table)} AND {condition}"
                for stored, condition in former
            ]
        with self._lock:
            self._session.execute_as_one([s.encode() for s in statements])

    def add_differences(self, number: int, differences: Sequence[Difference]) -> int:
        """Write rows that differ; one that is already known is written again. Return how many were not known."""
        if not differences:
            return 0
        changed = self._execute(
            f"INSERT INTO {self._schema}.verify_difference (instance, schema_name, table_name, row_id, run_number, "
            "kind, key_values, row_hash, differing_columns, row_count, seen_file, seen_pos, seen_gtid, seen_at, "
            f"primary_row, secondary_row) VALUES {', '.join(self._values(number, d) for d in differences)} "
            "ON DUPLICATE KEY UPDATE run_number = VALUES(run_number), "
            + ", ".join(f"{name} = VALUES({name})" for name in _CHANGED_COLUMNS)
        )
        # The server counts one for a new row, and two for one that it changes.
        return 2 * len(differences) - changed

    def _values(self, number: int, difference: Difference) -> str:
        d = difference
        texts = ", ".join(map(text_literal, (d.kind, json.dumps(d.key), d.row_hash, json.dumps(d.columns))))
        rows = ", ".join(
            "NULL" if row is None else text_literal(json.dumps(row)) for row in (d.primary_row, d.secondary_row)
        )
        return (
            f"({self._key_of(d.table)}, '{row_id(d)}', {number}, {texts}, {d.count}, {_position_values(d.position)}, "
            f"UTC_TIMESTAMP(6), {rows})"
        )

    def forget_statement(self, difference: Difference) -> bytes:
        """Return the DELETE of a row that no longer differs."""
        of_row = f"{self._is_of(difference.table)} AND row_id = '{row_id(difference)}'"
        return f"DELETE FROM {self._schema}.verify_difference WHERE {of_row}".encode()

    def differences(self, table: TableName | None = None) -> Iterator[Difference]:
        """Yield the rows that differ, as they are read, by table and key."""
        condition = self._is_ours if table is None else self._is_of(table)
        for row in self._session.each_row(
            f"SELECT {_DIFFERENCE_COLUMNS} FROM {self._schema}.verify_difference WHERE {condition} "
            "ORDER BY schema_name, table_name, row_id"
        ):
            yield self._difference(row)

    def differing_tables(self, pattern: re.Pattern[str] | None) -> list[TableName]:
        """Return the tables that have rows that differ and whose names match a pattern; None matches all."""
        names = dict.fromkeys(name for name, _ in self.difference_counts())
        return [name for name in names if pattern is None or pattern.match(str(name))]

    def unrepaired(
        self, repair_number: int, kinds: Sequence[DifferenceKind], tables: Sequence[TableName], limit: int
    ) -> list[Difference]:
        """Return some rows that differ and that have no record in a repair, by table and key.

        Args:
            repair_number: the number of the repair.
            kinds: the wanted kinds, empty for all.
            tables: the wanted tables.
            limit: how many rows are returned at most.
        """
        if not tables:
            return []
        names = " OR ".join(f"({_names_are(t)})" for t in tables)
        of_kinds = f" AND kind IN ({', '.join(map(text_literal, kinds))})" if kinds else ""
        rows = self._session.rows(
            f"SELECT {_DIFFERENCE_COLUMNS} FROM {self._schema}.verify_difference AS d "
            f"WHERE {self._is_ours} AND ({names}){of_kinds} AND NOT EXISTS "
            f"(SELECT 1 FROM {self._schema}.repair_log AS l WHERE l.instance = d.instance "
            f"AND l.repair_number = {repair_number} AND l.schema_name = d.schema_name AND l.table_name = d.table_name "
            f"AND l.row_id = d.row_id) ORDER BY schema_name, table_name, row_id LIMIT {limit}"
        )
        return [self._difference(row) for row in rows]

    def difference_counts(self, number: int | None = None) -> dict[tuple[TableName, DifferenceKind], int]:
        """Return the number of rows that differ, by table and kind: all, or those that were met since a run began."""
        of_run = "" if number is None else f" AND {self._met_in(number)}"
        statement = (
            f"SELECT schema_name, table_name, kind, SUM(row_count) FROM {self._schema}.verify_difference "
            f"WHERE {self._is_ours}{of_run} GROUP BY schema_name, table_name, kind"
        )
        with self._lock:
            rows = self._session.rows(statement)
        return {
            (TableName(_text(schema), _text(table)), DifferenceKind(_text(kind))): int(count)
            for schema, table, kind, count in rows
        }

    def summary(self) -> ProofSummary:
        """Return what is known of all tables."""
        differences = f"SELECT COALESCE(SUM(row_count), 0) FROM {self._schema}.verify_difference WHERE {self._is_ours}"
        oldest = (
            f"SELECT schema_name, table_name, MIN(proven_at) AS at FROM {self._schema}.verify_range "
            f"WHERE {self._is_ours} GROUP BY schema_name, table_name ORDER BY at LIMIT 1"
        )
        # A later run that came to its end, of all tables, has met what the one that stopped did not come to.
        runs = f"{self._schema}.verify_run"
        stopped = (
            f"SELECT COUNT(*) FROM {runs} AS a WHERE {self._is_ours} AND has_too_many = 1 AND NOT EXISTS "
            f"(SELECT 1 FROM {runs} AS b WHERE {self._is_ours} AND b.is_done = 1 AND b.patterns = '' "
            "AND b.run_number > a.run_number)"
        )
        row = self._session.row(
            f"SELECT ({differences}), ({stopped}), o.schema_name, o.table_name, "
            "TIMESTAMPDIFF(MICROSECOND, o.at, UTC_TIMESTAMP(6)) "
            f"FROM (SELECT 1) AS one LEFT JOIN ({oldest}) AS o ON TRUE"
        )
        if row is None:
            return ProofSummary()
        count, has_too_many, schema, table, age = row
        name = None if schema is None else TableName(_text(schema), _text(table))
        return ProofSummary(int(count), name, None if age is None else int(age) / 1e6, bool(has_too_many))

    def proven(self) -> set[TableName]:
        """Return the tables that were compared to their ends."""
        return self._names("verify_range", "high_key IS NULL")

    def proofs(self) -> list[ProvenTable]:
        """Return what is proven of each table, by name."""
        rows = self._session.rows(
            "SELECT schema_name, table_name, run_number, range_number, high_key IS NULL, row_count, proven_file, "
            f"proven_pos, proven_gtid, proven_at FROM {self._schema}.verify_range WHERE {self._is_ours} "
            "ORDER BY schema_name, table_name, run_number, range_number"
        )
        tables: dict[TableName, list[Row]] = {}
        for row in rows:
            tables.setdefault(TableName(_text(row[0]), _text(row[1])), []).append(row)
        counts: dict[TableName, int] = {}
        for (table, _), count in self.difference_counts().items():
            counts[table] = counts.get(table, 0) + count
        return [_proof(name, ranges, counts.get(name, 0)) for name, ranges in tables.items()]

    def _difference(self, row: Row) -> Difference:
        try:
            return _difference(row)
        except ValueError as error:
            table = f"{self._schema}.verify_difference"
            raise StateBroken(
                f"{self._session.server.name}: {table} has a row that cannot be read: {error}",
                hint=f"DELETE FROM {table} WHERE {self._is_ours};  -- on the secondary; then `replica verify "
                "run` lists the rows that differ again",
            ) from error

    def _met_in(self, number: int) -> str:
        """Return the condition for the rows that a run has met, or another run since that one began."""
        began = f"SELECT started_at FROM {self._schema}.verify_run WHERE {self._is_ours} AND run_number = {number}"
        return f"(run_number = {number} OR seen_at >= ({began}))"

    @property
    def _is_ours(self) -> str:
        return f"instance = {text_literal(self._instance)}"

    def _is_of(self, table: TableName) -> str:
        return f"{self._is_ours} AND {_names_are(table)}"

    def _key_of(self, table: TableName) -> str:
        return ", ".join(map(text_literal, (self._instance, table.schema, table.table)))

    def _execute(self, statement: str) -> int:
        with self._lock:
            return self._session.execute(statement)


def _names_are(table: TableName) -> str:
    return f"schema_name = {text_literal(table.schema)} AND table_name = {text_literal(table.table)}"


def row_id(difference: Difference) -> str:
    """Return what identifies a difference within its table."""
    d = difference
    return hashlib.sha256(f"{d.key}{d.row_hash}{d.kind if d.row_hash else ''}".encode()).hexdigest()


def _proof(name: TableName, ranges: Sequence[Row], differences: int) -> ProvenTable:
    # A part that an earlier run compared counts until the run that is going on has reached the end of the table.
    is_whole = any(bool(row[4]) for row in ranges)
    oldest = ranges[0]
    newest_run = max(int(row[2]) for row in ranges)
    whole_run = newest_run if any(bool(r[4]) and int(r[2]) == newest_run for r in ranges) else int(oldest[2])
    counted = sum(int(row[5]) for row in ranges if int(row[2]) == whole_run)
    position = Position(_text(oldest[6]), int(oldest[7]), _text(oldest[8] or ""))
    return ProvenTable(name, counted, position, _utc(oldest[9]), is_whole, differences)


def _difference(row: Row) -> Difference:
    schema, table, kind, key, row_hash, columns, count, file, pos, gtid, primary_row, secondary_row = row
    for _, literal in _literals(key) or ():
        check_key(f"({literal})".encode())
    if not _HASH.fullmatch(_text(row_hash)):
        raise ValueError(f"{_text(row_hash)[:40]!r} is not the hash of a row")
    return Difference(
        TableName(_text(schema), _text(table)),
        DifferenceKind(_text(kind)),
        _literals(key) or (),
        tuple(json.loads(_text(columns))),
        Position(_text(file), int(pos), _text(gtid or "")),
        _text(row_hash),
        int(count),
        _literals(primary_row),
        _literals(secondary_row),
    )


def _literals(text: object) -> Literals | None:
    return None if text is None else tuple((str(name), str(value)) for name, value in json.loads(_text(text)))


def _position_values(position: Position) -> str:
    return f"{text_literal(position.file)}, {position.pos}, {text_literal(position.gtid)}"


def _bytes(value: bytes | None) -> str:
    return "NULL" if value is None else hex_literal(value)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _utc(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
