"""Record row events of real servers, with the servers' own words about each value, for `test_captured.py`.

`python -m tests.unit.decoder.capture` starts each server that it finds, runs `capture_cases.py`, checks that the
decoded literals make the same rows again and that the keys find them, and writes captured/<server>.json.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replica_cli.core.table import Column, TableName
from replica_cli.decoder.compile import Form, Output, compile_rows
from replica_cli.mysql.catalog.table_definitions import read_table
from replica_cli.mysql.errnos import ServerError
from replica_cli.reader.parsers.row_event import ROW_EVENTS, parse_row_event
from replica_cli.reader.parsers.table_map import parse_table_map
from replica_cli.sandbox.binaries import find_binaries
from replica_cli.sandbox.sandbox import Sandbox
from tests.unit.decoder.capture_cases import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

_FOLDER = Path(__file__).parent / "captured"
_NUMBERS = frozenset(["tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit", "decimal", "enum", "set"])
_REALS = frozenset({"float", "double"})
_TEMPORALS = frozenset({"date", "datetime", "timestamp", "time"})
_LONG = frozenset(
    [
        "char",
        "varchar",
        "binary",
        "varbinary",
        "tinytext",
        "text",
        "mediumtext",
        "longtext",
        "tinyblob",
        "blob",
        "mediumblob",
        "longblob",
    ]
)
_TABLE_MAP = 19
_PLAIN_SIZE = 2000


def main() -> None:
    """Capture from every server that is found."""
    _FOLDER.mkdir(exist_ok=True)
    wanted = {server for case in CASES for server in case.servers}
    with Sandbox() as sandbox:
        for binary in find_binaries():
            name = f"{binary.flavour}:{'.'.join(binary.version.split('.')[:2])}"
            if name not in wanted:
                continue
            server = sandbox.start(binary, options={"binlog-row-metadata": "FULL", "binlog-checksum": "NONE"})
            found = [_capture(server, case) for case in CASES if name in case.servers]
            text = ",\n".join(json.dumps(case, separators=(",", ":"), ensure_ascii=False) for case in found)
            (_FOLDER / f"{name.replace(':', '-')}.json").write_text(f"[\n{text}\n]\n")
            print(name, len(found), "cases")


def _capture(server: SandboxServer, case: Case) -> dict[str, Any]:
    with server.session() as session:
        session.execute("CREATE DATABASE IF NOT EXISTS hard CHARACTER SET utf8mb4")
        session.execute("USE hard")
        for statement in case.before:
            session.execute(statement)
    with server.session("hard") as session:
        for statement in case.before:
            session.execute(statement)
        columns = ", ".join(f"c{n} {column}" for n, column in enumerate(case.columns, 1))
        session.execute(f"CREATE TABLE {case.name} (id INT PRIMARY KEY, {columns})")
        definition = read_table(session, TableName("hard", case.name))
        assert definition
        session.execute("FLUSH BINARY LOGS")
        events: list[dict[str, Any]] = []
        rows = ", ".join(f"({n}, {', '.join(row)})" for n, row in enumerate(case.rows, 1))
        table: TableMap | None = None
        for statement in (f"INSERT INTO {case.name} VALUES {rows}", *case.more):
            before = _snapshot(session, case.name, definition.columns)
            session.execute(statement.format(t=case.name) if statement in case.more else statement)
            after = _snapshot(session, case.name, definition.columns)
            for event in _row_events(server, session, case.name):
                table = event.table
                events.append(_stored(event) | {"before": before, "after": after})
                if event.kind == 0:
                    _check(server, session, case, event, definition.columns)
        assert table
        for statement in case.after:
            session.execute(statement)
    facts = {k: v for k, v in _map(table).items() if v is not None}
    return {"name": case.name, "map": facts, "columns": [_facts(c) for c in definition.columns], "events": events}


def _row_events(server: SandboxServer, session: Session, name: str) -> Iterator[RowEvent]:
    """Yield the events of the newest binary log and begin another one."""
    session.execute("SET NAMES utf8mb4")
    files = [str(row[0]) for row in session.rows("SHOW BINARY LOGS")]
    session.execute("FLUSH BINARY LOGS")
    log = (server.data_path / files[-1]).read_bytes()
    at, table = 4, None
    while at < len(log):
        size = int.from_bytes(log[at + 9 : at + 13], "little")
        event = log[at : at + size]
        at += size
        if event[4] == _TABLE_MAP:
            table = parse_table_map(event[19:], is_mariadb=session.is_mariadb)
        elif event[4] in ROW_EVENTS and table and table.name.table == name:
            yield parse_row_event(event, table)


def _snapshot(session: Session, table: str, columns: tuple[Column, ...]) -> dict[str, list[str | None]]:
    words = ", ".join(_word(column) for column in columns)
    rows = session.rows(f"SELECT {words} FROM {table} ORDER BY id")
    return {
        str(row[0]): [None if v is None else v.decode() if isinstance(v, bytes) else str(v) for v in row]
        for row in rows
    }


def _word(column: Column) -> str:
    """Return what the server is asked: a number's or a time's text, a string's bytes."""
    if column.data_type == "set":
        return f"CAST({column.name} AS UNSIGNED)"  # a sum would be a double, which has not 64 bits
    if column.data_type in _NUMBERS:
        return f"CAST({column.name} + 0 AS CHAR)"
    if column.data_type in _REALS:
        # A FLOAT by itself is shown rounded.
        return f"CAST(CAST({column.name} AS DOUBLE) AS CHAR)"
    if column.data_type in _TEMPORALS or column.data_type == "json":
        return f"CAST({column.name} AS CHAR)"
    name = f"CAST({column.name} AS BINARY)" if column.data_type in ("uuid", "inet4", "inet6") else column.name
    # Long ones by their hash, to keep the files small.
    return f"IF(LENGTH({name}) > 100, SHA2({name}, 256), HEX({name}))" if column.data_type in _LONG else f"HEX({name})"


def _stored(event: RowEvent) -> dict[str, Any]:
    rows = event.raw[event.head.rows_start :]
    return {
        "kind": event.kind.name,
        "present": event.head.present.hex(),
        "present_after": event.head.present_after.hex(),
        "rows": rows.hex() if len(rows) < _PLAIN_SIZE else "zlib:" + base64.b64encode(zlib.compress(rows, 9)).decode(),
    }


def _map(table: TableMap) -> dict[str, Any]:
    members = table.enum_members
    return {
        "types": table.types.hex(),
        "metadata": table.metadata,
        "nullable": table.nullable,
        "unsigned": table.unsigned,
        "column_names": table.column_names,
        "collation_ids": table.collation_ids,
        "enum_members": members and [m and [name.hex() for name in m] for m in members],
    }


def _facts(column: Column) -> dict[str, Any]:
    blank = asdict(Column("", "", ""))
    return {k: v for k, v in asdict(column).items() if k in ("name", "data_type", "column_type") or v != blank[k]}


def _check(server: SandboxServer, session: Session, case: Case, event: RowEvent, columns: tuple[Column, ...]) -> None:
    """Replay the event's literals into a second table: the same bytes must come; find each row by each of its keys."""
    width = len(columns)
    outputs = [Output(n, form) for form in Form for n in range(width)]
    rows = compile_rows(event.table, columns, outputs, event.head.present)(
        event.raw, event.head.rows_start, len(event.raw)
    )
    session.execute("SET NAMES binary")
    session.execute(f"CREATE TABLE copied LIKE {case.name}")
    for row in rows:
        try:
            session.execute(b"INSERT INTO copied VALUES (%b)" % b", ".join(row[:width]))
        except ServerError as error:
            print(case.name, "cannot be replayed:", error, row[:width])
    # The same bytes in the second log mean the same types inside of a JSON document too.
    copies = b"".join(e.raw[e.head.rows_start :] for e in _row_events(server, session, "copied"))
    session.execute("SET NAMES binary")
    if copies != event.raw[event.head.rows_start :]:
        print(case.name, "replayed differently")
    for row in rows:
        for column, key in zip(columns, row[width:], strict=True):
            if column.data_type == "vector" and not session.is_mariadb:
                continue  # MySQL compares no vectors
            test = "IS" if key == b"NULL" else "="
            where = f"SELECT 1 FROM copied WHERE id = {row[0].decode()} AND {column.name} {test} "
            if session.execute(where.encode() + key) != 1:
                print(case.name, column.name, column.column_type[:30], "not found by", key[:80])
    session.execute("DROP TABLE copied")
    session.execute("SET NAMES utf8mb4")


if __name__ == "__main__":
    main()
