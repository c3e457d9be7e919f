"""Compiles how the row events of one table become statements: once for each table map and set of present columns.

The SQL engine uses the plans; the engines for replay windows and for keyless tables use the parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.column_types import BYTES, INTEGERS, REALS, SHORT_TEXTS, TEMPORALS, TEXTS
from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, Drift
from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates
from replica_cli.decoder.contradiction import contradiction
from replica_cli.sqlbuilder.rows.row_statements import differing_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.decoder.compile import RowsFunction
    from replica_cli.sqlbuilder.rows.row_statements import Literals


# Of these types a derived table of literals gives a value as an INSERT does.
_JOINED = INTEGERS | REALS | TEMPORALS | TEXTS | BYTES | {"decimal", "year", "enum"}


@dataclass(frozen=True, slots=True, eq=False)
class RowPlan:
    """Which columns of each row are decoded, and how a statement uses them.

    A decoded row has the literals of `written`, then those of `found_by`, then those of `indexed`. An INSERT has only
    the first, a DELETE only the others. For an INSERT without `enum_indexes`, a decoded row is one text: the literals
    with commas between them.

    Attributes:
        decode: returns the decoded rows of an event.
        written: the columns that the statement writes.
        found_by: the columns by which the statement finds the row: a key, or the whole row.
        has_key: True if `found_by` is a key.
        enum_indexes: the indexes of the literals in which a plain 0 is the error value of an ENUM.
        compared: the columns of `found_by`, if that is the whole row.
        can_join: True if one statement can update many rows.
        indexed: text columns of `compared` that have an index. The statement compares them a second time, in a way in
            which the index narrows the search.

    """

    decode: RowsFunction
    written: tuple[str, ...]
    found_by: tuple[str, ...]
    has_key: bool
    enum_indexes: tuple[int, ...]
    compared: tuple[Column, ...] = ()
    can_join: bool = False
    indexed: tuple[str, ...] = ()


def can_join(definition: TableDefinition) -> bool:
    """Return True if a join with new rows can update the rows of a table, and changes no value on the way.

    In the joined rows each literal has a type of its own. Plain numbers and bytes keep their value in it; so only
    tables with an integer primary key and with columns of plain types can be joined.
    """
    key = definition.primary_key
    by_name = definition.columns_by_name
    return (
        key is not None
        and all(part.name in by_name and by_name[part.name].data_type in INTEGERS for part in key.columns)
        and all(c.data_type in _JOINED for c in definition.written_columns)
        and len(key.columns) < len(definition.written_columns)
    )


def columns_for(table: TableMap, definition: TableDefinition) -> tuple[Column, ...]:
    """Return the secondary's column for each column of the table map: by name if the primary logs names, else by order.

    Raises:
        Drift: if the table map and the secondary's definition do not fit.

    """
    names = table.column_names
    if names is None:
        columns = definition.logged_columns
        if len(columns) != len(table.types):
            # The primary's table is not system-versioned, and the secondary's table is.
            columns = definition.logged_without_period
        if len(columns) != len(table.types):
            raise _drift(
                table, f"{len(table.types)} columns on the primary, {len(definition.logged_columns)} on the secondary"
            )
    else:
        by_name = {c.name: c for c in definition.logged_columns}
        missing = [n for n in names if n not in by_name]
        if missing:
            raise _drift(table, f"the secondary has no column {', '.join(missing)}")
        columns = tuple(by_name[n] for n in names)
    difference = contradiction(table, columns)
    if difference is not None:
        raise _drift(table, difference)
    return columns


def refuse_history(table: TableMap, columns: Sequence[Column], reason: str = "") -> None:
    """Raise ApplyRefused if rows of the table are row versions: SQL makes a new version of each row that it changes.

    Args:
        table: the table map of the event.
        columns: the secondary's columns for it.
        reason: a second reason, for the message.

    """
    if any(c.is_of_period for c in columns):
        raise ApplyRefused(
            f"{table.name}: only row images can write rows of a system-versioned table"
            + (f", and {reason}" if reason else ""),
            hint="give this user BINLOG REPLAY and use `REPLICA_ENGINE=auto`, or exclude the table; then "
            f"`replica transfer {table_options([table.name])}` copies it again",
            table=table.name,
        )


def plan_rows(event: RowEvent, definition: TableDefinition) -> RowPlan:
    """Return the compiled plan for all events that have the kind, table map and present columns of this one.

    Raises:
        Drift: if the secondary's table does not fit the event.
        ApplyRefused: for row versions, and if the row image lacks columns that are needed to find the row.

    """
    table, present, present_after = event.table, event.head.present, event.head.present_after
    columns = columns_for(table, definition)
    refuse_history(table, columns)
    ordinals = {c.name: i for i, c in enumerate(columns)}
    key = [c.name for c in definition.row_key if c.name in ordinals and is_present(present, ordinals[c.name])]
    has_key = bool(definition.row_key) and len(key) == len(definition.row_key)
    if event.kind is RowKind.INSERT:
        written = written_columns(columns, present)
        outputs = [Output(ordinals[n], Form.VALUE) for n in written]
        indexes = enum_indexes(columns, written)
        # Without ENUM columns nothing reads a single value of a row, so the text of the whole row is enough.
        decode = compile_rows(table, columns, outputs, present, is_joined=not indexes)
        return RowPlan(decode, written, (), has_key, indexes)
    if has_key:
        found_by = tuple(key)
    elif definition.row_key:
        raise ApplyRefused(
            f"{table.name}: the row image lacks the key ({', '.join(c.name for c in definition.row_key)})",
            hint=f"set binlog_row_image=FULL on the primary, then `replica transfer {table_options([table.name])}`",
            table=table.name,
        )
    else:
        found_by = _whole_row(columns, event)
    compared = () if has_key else tuple(columns[ordinals[n]] for n in found_by)
    indexed = _indexed_texts(definition, compared)
    before = [Output(ordinals[n], Form.KEY) for n in (*found_by, *indexed)]
    if event.kind is RowKind.DELETE:
        decode = compile_rows(table, columns, before, present)
        return RowPlan(decode, (), found_by, has_key, (), compared, indexed=indexed)
    written = written_columns(columns, present_after)
    after = [Output(ordinals[n], Form.VALUE) for n in written]
    decode = compile_updates(table, columns, before, after, present, present_after)
    joins = has_key and can_join(definition)
    return RowPlan(decode, written, found_by, has_key, enum_indexes(columns, written), compared, joins, indexed)


def plan_comparison(event: RowEvent, definition: TableDefinition) -> tuple[RowsFunction, bytes] | None:
    """Return what finds the rows of the secondary that differ from the before images of an UPDATE or DELETE.

    Returns:
        The decoder of the rows, and the %-template of the condition that takes its literals. None for an INSERT, and
        for a table without a key, whose rows are found by their whole image anyway.

    """
    columns = columns_for(event.table, definition)
    ordinals = {c.name: i for i, c in enumerate(columns)}
    key = [c.name for c in definition.row_key]
    compared = [n for n in written_columns(columns, event.head.present) if n not in key]
    if event.kind is RowKind.INSERT or not key or not compared:
        return None
    outputs = [Output(ordinals[n], Form.KEY) for n in (*key, *compared)]
    template = differing_template(key, [columns[ordinals[n]] for n in compared])
    head = event.head
    if event.kind is RowKind.DELETE:
        return compile_rows(event.table, columns, outputs, head.present), template
    return compile_updates(event.table, columns, outputs, (), head.present, head.present_after), template


def holds_enum_zero(plan: RowPlan, rows: Sequence[Literals]) -> bool:
    """Return True if one of the rows holds the error value of an ENUM, which strict mode refuses."""
    return any(b"0" in [row[i] for row in rows] for i in plan.enum_indexes)


def is_present(bitmap: bytes, ordinal: int) -> bool:
    """Return True if a row image has a column; `bitmap` is the event's bitmap of present columns."""
    return bool(bitmap[ordinal >> 3] >> (ordinal & 7) & 1)


def written_columns(columns: Sequence[Column], present: bytes) -> tuple[str, ...]:
    """Return the names of the columns that a row image has and that may be written: all but generated ones."""
    return tuple(c.name for i, c in enumerate(columns) if not c.is_generated and is_present(present, i))


def _whole_row(columns: Sequence[Column], event: RowEvent) -> tuple[str, ...]:
    # Generated columns are not needed: they follow from the others. MariaDB 11 does not log virtual ones.
    if any(not is_present(event.head.present, i) for i, c in enumerate(columns) if not c.is_generated):
        raise ApplyRefused(
            f"{event.table.name}: the table has no key, and the row image lacks columns",
            hint="set binlog_row_image=FULL on the primary",
            table=event.table.name,
        )
    return tuple(c.name for c in columns if not c.is_generated)


def _indexed_texts(definition: TableDefinition, compared: Sequence[Column]) -> tuple[str, ...]:
    """Return those of the compared columns that have an index, but are compared by their bytes, which no index does."""
    names = {part.name for index in definition.indexes if index.kind == "BTREE" for part in index.columns}
    # Not the longer texts: an index holds only their beginning, and the statement would hold the whole text twice.
    return tuple(c.name for c in compared if c.data_type in SHORT_TEXTS and c.name in names)


def enum_indexes(columns: Sequence[Column], written: Sequence[str]) -> tuple[int, ...]:
    """Return the indexes of the ENUM columns in `written`."""
    kinds = {c.name: c.data_type for c in columns}
    return tuple(i for i, name in enumerate(written) if kinds[name] == "enum")


def _drift(table: TableMap, difference: str) -> Drift:
    return Drift(
        f"{table.name}: {difference}",
        hint="`replica drift check --sql` shows how to correct it; "
        f"`replica transfer {table_options([table.name])}` copies it again",
        table=table.name,
    )
