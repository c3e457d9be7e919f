"""Definitions of tables, as the catalog of a server describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from replica_cli.core.names import TableName

__all__ = ["Column", "ForeignKey", "Index", "IndexColumn", "TableDefinition", "TableName"]

_PERIOD = ("ROW START", "ROW END")
_ENUM_MEMBER = re.compile(r"'((?:[^']|'')*)'")
# The escapes that servers write in a column's type, with every sql_mode.
_ESCAPE = re.compile(r"''|\\.")
_ESCAPED = {"''": "'", "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\0": "\0"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column, with the values of information_schema.columns; lengths are in characters, bytes or digits."""

    name: str
    data_type: str
    column_type: str
    is_nullable: bool = True
    default: str | None = None
    charset: str | None = None
    collation: str | None = None
    extra: str = ""
    generation_expression: str = ""
    character_length: int | None = None
    octet_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    fraction_digits: int = 0
    comment: str = ""
    srid: int | None = None

    @property
    def is_unsigned(self) -> bool:
        """Return True if the column is UNSIGNED, or ZEROFILL, which implies it."""
        return "unsigned" in self.column_type or "zerofill" in self.column_type

    @property
    def is_generated(self) -> bool:
        """Return True if the server computes the value, so that it is never written."""
        return bool(self.generation_expression)

    @property
    def is_of_period(self) -> bool:
        """Return True if the column is the start or the end of a row version (MariaDB's ROW START and ROW END)."""
        return self.generation_expression.upper() in _PERIOD

    @property
    def members(self) -> tuple[str, ...]:
        """Return the members of an ENUM or SET, in order."""
        inner = self.column_type.partition("(")[2].rpartition(")")[0]
        return tuple(_ESCAPE.sub(lambda m: _ESCAPED.get(m[0], m[0]), text) for text in _ENUM_MEMBER.findall(inner))


_HIDDEN_PERIOD = tuple(
    Column(name, "timestamp", "timestamp(6)", is_nullable=False, generation_expression=words, fraction_digits=6)
    for name, words in (("row_start", "ROW START"), ("row_end", "ROW END"))
)


@dataclass(frozen=True, slots=True)
class IndexColumn:
    """One part of an index: a column, or an expression, whose `name` is empty."""

    name: str
    prefix_length: int | None = None
    is_descending: bool = False
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """One index; `kind` is BTREE, HASH, FULLTEXT or SPATIAL."""

    name: str
    is_unique: bool
    columns: tuple[IndexColumn, ...]
    kind: str = "BTREE"
    is_visible: bool = True


_ACTING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; its rules are RESTRICT, CASCADE, SET NULL, NO ACTION or SET DEFAULT."""

    name: str
    columns: tuple[str, ...]
    parent: TableName
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str

    @property
    def acts(self) -> bool:
        """Return True if a change of a parent row changes rows of this key's table."""
        return self.on_delete in _ACTING or self.on_update in _ACTING


@dataclass(frozen=True)
class TableDefinition:
    """The definition of a whole table. It has no slots, because its derived values are cached in its `__dict__`.

    `checks` are pairs of a name and an expression. `column_checks` are the names of those that are part of a column's
    definition, as MariaDB has them: they have the name of the column.

    `last_moment`: the end of current row versions on the secondary, empty if it is the same as on the primary.
    """

    name: TableName
    engine: str
    collation: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    column_checks: frozenset[str] = frozenset()
    triggers: tuple[str, ...] = ()
    kind: str = "BASE TABLE"
    comment: str = ""
    create_options: str = ""
    estimated_rows: int = field(default=0, compare=False)
    estimated_bytes: int = field(default=0, compare=False)
    last_moment: str = field(default="", compare=False)

    @property
    def is_sequence(self) -> bool:
        """Return True if this is a sequence: a table of one row, which each write replaces and no rollback restores."""
        return self.kind == "SEQUENCE"

    @property
    def is_versioned(self) -> bool:
        """Return True if the table keeps old versions of its rows (MariaDB's system versioning)."""
        return self.kind == "SYSTEM VERSIONED"

    @cached_property
    def period(self) -> tuple[Column, ...]:
        """Return the columns of a row version's start and end, () if the table keeps no history.

        MariaDB's catalog shows them only if the definition names them; row events always contain them.
        """
        if not self.is_versioned:
            return ()
        return tuple(c for c in self.columns if c.is_of_period) or _HIDDEN_PERIOD

    @cached_property
    def primary_key(self) -> Index | None:
        """Return the primary key, None if there is none."""
        return next((i for i in self.indexes if i.name == "PRIMARY"), None)

    @cached_property
    def row_key(self) -> tuple[Column, ...]:
        """Return the columns that identify a row: the primary key, else a unique key of NOT NULL columns, else ()."""
        by_name = self.columns_by_name
        candidates = [i for i in self.indexes if i.name == "PRIMARY"]
        candidates += [i for i in self.indexes if i.is_unique and i.name != "PRIMARY"]
        for index in candidates:
            columns = [by_name.get(part.name) for part in index.columns]
            if all(c is not None and (index.name == "PRIMARY" or not c.is_nullable) for c in columns):
                return tuple(c for c in columns if c is not None)
        return ()

    @cached_property
    def paging_key(self) -> tuple[Column, ...]:
        """Return the columns of a unique index by which the table can be read in pages, () if no index allows it.

        The index may not have prefixes of columns, which do not order the rows, nor expressions, which have no name,
        nor columns that can be NULL, which no comparison matches.
        """
        by_name = self.columns_by_name
        for index in sorted(self.indexes, key=lambda i: i.name != "PRIMARY"):
            columns = [by_name.get(part.name) for part in index.columns if part.prefix_length is None]
            usable = len(columns) == len(index.columns) and index.kind == "BTREE" and index.is_unique
            if usable and all(c is not None and not c.is_nullable for c in columns):
                return tuple(c for c in columns if c is not None)
        return ()

    @cached_property
    def columns_by_name(self) -> dict[str, Column]:
        """Return the columns by their names."""
        return {c.name: c for c in self.columns}

    @cached_property
    def logged_columns(self) -> tuple[Column, ...]:
        """Return the columns that row events contain: those of the catalog, and after them those that the server hides.

        Hidden are the period of row versions, and after it the hashes of MariaDB's long unique keys.
        """
        hashes = sum(i.kind == "HASH" and i.is_unique for i in self.indexes) if self.engine.upper() != "MEMORY" else 0
        # The server computes them as it does generated columns: they are never written, nor used to search for rows.
        hidden = (
            Column(f"DB_ROW_HASH_{n}", "bigint", "bigint(20) unsigned", extra="HIDDEN", generation_expression="hash")
            for n in range(1, hashes + 1)
        )
        return (*self.columns, *(c for c in self.period if c not in self.columns), *hidden)

    @cached_property
    def logged_without_period(self) -> tuple[Column, ...]:
        """Return the columns that row events contain if the primary's table keeps no history."""
        return tuple(c for c in self.logged_columns if not c.is_of_period)

    def with_history(self, last_moment: str = "") -> TableDefinition:
        """Return the definition with which all row versions are copied: the period becomes ordinary columns.

        A table without history is returned unchanged.
        """
        if not self.is_versioned:
            return self
        columns = (*self.columns, *(c for c in self.period if c not in self.columns))
        plain = (
            replace(c, generation_expression="", extra=c.generation_expression.upper()) if c.is_of_period else c
            for c in columns
        )
        return replace(self, columns=tuple(plain), last_moment=last_moment)

    @cached_property
    def written_columns(self) -> tuple[Column, ...]:
        """Return the columns that can be written: all except generated ones."""
        return tuple(c for c in self.columns if not c.is_generated)
