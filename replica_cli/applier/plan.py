"""How one table's events become statements: compiled once for each table map and set of present columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, Drift
from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates
from replica_cli.decoder.contradiction import contradiction
from replica_cli.sqlbuilder.rows import differing_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.decoder.compile import RowsFunction
    from replica_cli.sqlbuilder.rows import Literals


_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
# Of a longer one an index knows the beginning only, and the statement would have it twice.
_SHORT_TEXTS = frozenset({"char", "varchar"})
_PLAIN = _INTEGERS | {
    "decimal", "float", "double", "date", "time", "datetime", "timestamp", "year", "enum", "char", "varchar",
    "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class RowPlan:
    """What is decoded of each row, and under which names it is written.

    A decoded row is the literals of `written`, then those of `found_by`; a DELETE has only the latter. Of an INSERT
    without `enum_places` it is their text, with commas.
    `has_key` says whether `found_by` is a key; else it is the whole row, and `compared` its columns; the literals of
    `indexed`, texts of which an index knows nearly which rows have them, follow once more. `enum_places` are the
    literals in which a plain 0 is an ENUM's error value. `can_join`: many rows can be updated by one statement.
    """

    decode: RowsFunction
    written: tuple[str, ...]
    found_by: tuple[str, ...]
    has_key: bool
    enum_places: tuple[int, ...]
    compared: tuple[Column, ...] = ()
    can_join: bool = False
    indexed: tuple[str, ...] = ()


def can_join(definition: TableDefinition) -> bool:
    """Say whether rows of a table can be updated by a join with new ones: no value changes in between.

    There a literal has a type of its own: plain numbers, and bytes as they are, come out of it as they went in.
    """
    key = definition.primary_key
    by_name = definition.columns_by_name
    return (
        key is not None
        and all(part.name in by_name and by_name[part.name].data_type in _INTEGERS for part in key.columns)
        and all(c.data_type in _PLAIN for c in definition.written_columns)
        and len(key.columns) < len(definition.written_columns)
    )


def columns_for(table: TableMap, definition: TableDefinition) -> tuple[Column, ...]:
    """Return the secondary's column for each column of the table map: by name where the primary logs names.

    Raises Drift where the two do not fit.
    """
    names = table.column_names
    if names is None:
        columns = definition.logged_columns
        if len(columns) != len(table.types):
            # A primary whose table keeps no history, while the secondary's does.
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
    """Raise ApplyRefused for rows that are versions: SQL makes a version of its own of each row that it changes."""
    if any(c.is_of_period for c in columns):
        raise ApplyRefused(
            f"{table.name}: rows of a system-versioned table can be written by row images alone"
            + (f", and {reason}" if reason else ""),
            hint="give this user BINLOG REPLAY and use `REPLICA_ENGINE=auto`, or exclude the table; then "
            f"`replica transfer {table_options([table.name])}` copies it again",
            table=table.name,
        )


def plan_rows(event: RowEvent, definition: TableDefinition) -> RowPlan:
    """Compile the plan for events like this one. Raises Drift or ApplyRefused."""
    table, present, present_after = event.table, event.head.present, event.head.present_after
    columns = columns_for(table, definition)
    refuse_history(table, columns)
    ordinals = {c.name: i for i, c in enumerate(columns)}
    key = [c.name for c in definition.row_key if c.name in ordinals and is_present(present, ordinals[c.name])]
    has_key = bool(definition.row_key) and len(key) == len(definition.row_key)
    if event.kind is RowKind.INSERT:
        written = written_columns(columns, present)
        outputs = [Output(ordinals[n], Form.VALUE) for n in written]
        places = enum_places(columns, written)
        # If no single value of a row is needed, its text is enough.
        decode = compile_rows(table, columns, outputs, present, is_joined=not places)
        return RowPlan(decode, written, (), has_key, places)
    if has_key:
        found_by = tuple(key)
    elif definition.row_key:
        raise ApplyRefused(
            f"{table.name}: the row image has not the key ({', '.join(c.name for c in definition.row_key)})",
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
    return RowPlan(decode, written, found_by, has_key, enum_places(columns, written), compared, joins, indexed)


def plan_looks(event: RowEvent, definition: TableDefinition) -> tuple[RowsFunction, bytes] | None:
    """Return what finds the rows that are not as an UPDATE or DELETE saw them: their decoder, and a %-template.

    None where the row is found by its whole image anyway, and for events without an image before.
    """
    columns = columns_for(event.table, definition)
    ordinals = {c.name: i for i, c in enumerate(columns)}
    key = [c.name for c in definition.row_key]
    seen = [n for n in written_columns(columns, event.head.present) if n not in key]
    if event.kind is RowKind.INSERT or not key or not seen:
        return None
    outputs = [Output(ordinals[n], Form.KEY) for n in (*key, *seen)]
    template = differing_template(key, [columns[ordinals[n]] for n in seen])
    head = event.head
    if event.kind is RowKind.DELETE:
        return compile_rows(event.table, columns, outputs, head.present), template
    return compile_updates(event.table, columns, outputs, (), head.present, head.present_after), template


def holds_enum_zero(plan: RowPlan, rows: Sequence[Literals]) -> bool:
    """Say whether any of the rows holds an ENUM's error value, which strict mode refuses."""
    return any(b"0" in [row[i] for row in rows] for i in plan.enum_places)


def is_present(bitmap: bytes, ordinal: int) -> bool:
    """Say whether a row image has a column."""
    return bool(bitmap[ordinal >> 3] >> (ordinal & 7) & 1)


def written_columns(columns: Sequence[Column], present: bytes) -> tuple[str, ...]:
    """Return the names of the columns that an image has and that may be written."""
    return tuple(c.name for i, c in enumerate(columns) if not c.is_generated and is_present(present, i))


def _whole_row(columns: Sequence[Column], event: RowEvent) -> tuple[str, ...]:
    # MariaDB 11 leaves virtual columns out: they say nothing that the others do not.
    if any(not is_present(event.head.present, i) for i, c in enumerate(columns) if not c.is_generated):
        raise ApplyRefused(
            f"{event.table.name}: the table has no key and the row image is not whole",
            hint="set binlog_row_image=FULL on the primary",
            table=event.table.name,
        )
    return tuple(c.name for c in columns if not c.is_generated)


def _indexed_texts(definition: TableDefinition, compared: Sequence[Column]) -> tuple[str, ...]:
    """Return those columns that are compared by their bytes, of which no index knows, and that have an index."""
    names = {part.name for index in definition.indexes if index.kind == "BTREE" for part in index.columns}
    return tuple(c.name for c in compared if c.data_type in _SHORT_TEXTS and c.name in names)


def enum_places(columns: Sequence[Column], written: Sequence[str]) -> tuple[int, ...]:
    """Return the places of ENUM columns among the written ones."""
    kinds = {c.name: c.data_type for c in columns}
    return tuple(i for i, name in enumerate(written) if kinds[name] == "enum")


def _drift(table: TableMap, difference: str) -> Drift:
    return Drift(
        f"{table.name}: {difference}",
        hint="`replica drift check --sql` shows the way back; "
        f"`replica transfer {table_options([table.name])}` copies it again",
        table=table.name,
    )
