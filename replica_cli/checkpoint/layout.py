"""Check that the tables of a state schema are those that this version reads and writes.

Each command that looks which of them exist calls this. Otherwise a missing column would end the command with an error
of the server, and with an engine without transactions the position would not commit with its rows.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import IS_AN_INSTANCE
from replica_cli.core.column_types import SHORT_TEXTS
from replica_cli.core.errors import StateBroken
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from replica_cli.mysql.session import Row, Session

_COLUMN = re.compile(r"[,\n]\s*(?P<name>[a-z_]+) (?P<type>[A-Z]+)(?:\((?P<length>\d+)\))?(?P<rest>[^,\n]*)")
_KEY = re.compile(r"PRIMARY KEY \((?P<names>[^)]*)\)")
# Not a join: for that, MariaDB reads the definition files of every table on the server, in all schemas.
_LAYOUT_QUERY = """SELECT table_name, engine, '' AS column_name, '' AS kind, 0 AS length, '' AS column_key,
 0 AS must_be_given FROM information_schema.tables WHERE table_schema = %s
 UNION ALL SELECT table_name, '', column_name, data_type, character_maximum_length, column_key,
 is_nullable = 'NO' AND column_default IS NULL AND extra = '' FROM information_schema.columns WHERE table_schema = %s"""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column, as it must be or as the server has it. `length` is in characters, 0 if it does not matter."""

    kind: str
    length: int
    is_key: bool
    must_be_given: bool = False


@dataclass(frozen=True, slots=True)
class TableLayout:
    """One table as the server has it: its engine, "" if unknown, and its columns as `_LAYOUT_QUERY` lists them."""

    engine: str
    columns: tuple[Row, ...]


def read_layouts(session: Session, schema: str) -> dict[str, TableLayout]:
    """Return how each table of a schema is made, by its name. Raises ServerError."""
    engines: dict[str, str] = {}
    columns: dict[str, list[Row]] = {}
    for name, engine, *column in session.rows(_LAYOUT_QUERY, schema, schema):
        if column[0]:
            columns.setdefault(str(name), []).append(tuple(column))
        else:
            engines[str(name)] = str(engine or "")
    # A table that was made or dropped between the two lists is in one of them.
    return {name: TableLayout(engines[name], tuple(columns[name])) for name in engines.keys() & columns.keys()}


def check_layout(
    session: Session, state_schema: str, layouts: Mapping[str, TableLayout], tables: Mapping[str, str]
) -> None:
    """Check the tables that exist.

    Args:
        session: a session to the secondary.
        state_schema: the name of the state schema.
        layouts: what `read_layouts` returned.
        tables: the column lists of the tables' CREATE TABLE, by name.

    Raises:
        StateBroken: a table is not as this version makes it.

    """
    existing = sorted(layouts.keys() & tables.keys())
    for name in existing:
        layout = layouts[name]
        if fault := _fault(layout.engine, _wanted_columns(tables[name]), _existing_columns(layout.columns)):
            raise StateBroken(
                f"{session.server.name}: {quote(state_schema)}.{name} is not the table that this version of replica "
                f"makes: {fault}",
                hint="correct it, or run the version that made it; "
                + set_aside_hint(state_schema, existing, instances_of(session, state_schema, existing)),
            )


def instances_of(session: Session, state_schema: str, existing: Iterable[str], *, filters: str = "") -> list[str]:
    """Return the instances that have a position in a state schema; none if its table cannot be read.

    With `filters`, only those whose position was made with filters of this fingerprint.
    """
    if "binlog_position" not in existing:
        return []
    with contextlib.suppress(ServerError):
        rows = session.rows(
            f"SELECT instance, filters FROM {quote(state_schema)}.binlog_position WHERE {IS_AN_INSTANCE} "
            "ORDER BY instance"
        )
        return [str(name) for name, stored_filters in rows if filters in ("", str(stored_filters))]
    return []


def set_aside_hint(state_schema: str, tables: Iterable[str], instances: Sequence[str] = ()) -> str:
    """Return what to type to start without the state: nothing of it is lost, and every row is copied again.

    All of its tables are renamed together: a position without the tables' records would leave gaps without any error.
    So the hint names the `instances` that have a position in them: each of them starts again.
    """
    schema = quote(state_schema)
    pairs = ", ".join(f"{schema}.{table} TO {schema}.{table}_old" for table in sorted(tables))
    whose = f" of all its instances ({', '.join(instances)})" if len(instances) > 1 else ""
    rename = (
        f"RENAME TABLE {pairs};  -- on the secondary, keeps the state{whose} under other names; then " if pairs else ""
    )
    return f"{rename}`replica transfer --restart` copies every table again{', for each of them' if whose else ''}"


def _wanted_columns(definition: str) -> dict[str, _Column]:
    key = _KEY.search(definition)
    keys = frozenset(n.strip() for n in key["names"].split(",")) if key else frozenset()
    columns = {}
    for match in _COLUMN.finditer(definition):
        kind = match["type"].lower()
        length = int(match["length"]) if kind in SHORT_TEXTS else 0
        columns[match["name"]] = _Column(kind, length, match["name"] in keys or "PRIMARY KEY" in match["rest"])
    return columns


def _existing_columns(rows: Iterable[Row]) -> dict[str, _Column]:
    return {
        str(name): _Column(
            str(kind).lower(),
            int(length) if str(kind).lower() in SHORT_TEXTS else 0,
            str(key) == "PRI",
            bool(must_be_given),
        )
        for name, kind, length, key, must_be_given in rows
    }


def _fault(engine: str, wanted: dict[str, _Column], existing: dict[str, _Column]) -> str:
    if engine.upper() != "INNODB":
        return f"its engine is {engine or 'unknown'}, so that it would not commit with the rows"
    if missing := [n for n in wanted if n not in existing]:
        return f"it has no column {', '.join(missing)}"
    if unknown := [n for n, c in existing.items() if n not in wanted and c.must_be_given]:
        return f"its column {', '.join(unknown)} has no default, and this version does not fill it"
    keys = [n for n, c in existing.items() if c.is_key]
    if set(keys) != {n for n, c in wanted.items() if c.is_key}:
        return f"its primary key is ({', '.join(keys)})"
    return next(
        (fault for name, column in wanted.items() if (fault := _column_fault(name, column, existing[name]))), ""
    )


def _column_fault(name: str, wanted: _Column, existing: _Column) -> str:
    if existing.kind != wanted.kind:
        return f"column {name} is {existing.kind}, not {wanted.kind}"
    if existing.length < wanted.length:
        return f"column {name} holds {existing.length} characters, not {wanted.length}"
    return ""
