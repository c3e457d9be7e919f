"""Build the queries that copy rows as text: the primary writes rows as a VALUES list, and the secondary reads that.

The reading session has SET NAMES binary, so every expression gives bytes and no charset is converted. The writing
session has it too, so the bytes of a quoted string go unchanged into a column of any charset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.column_types import BYTES, FIXED_BINARIES, GEOMETRIES, INTEGERS, LISTS, REALS, TEMPORALS, TEXTS
from replica_cli.core.errors import ApplyRefused
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.statements.system_versioning import LAST_MOMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.core.table import Column, TableDefinition, TableName

_PLAIN = INTEGERS | {"decimal"}
_AS_NUMBER = LISTS | {"bit"}
_NUMBERS = _PLAIN | _AS_NUMBER | {"year"}
_STRINGS = TEXTS | BYTES
_RAW = GEOMETRIES | {"vector"}
# As a type in CAST: wider than all numbers that a server writes, also than DOUBLE(255,30) and the widest ZEROFILL. In a
# session of binary strings the charset must be named, because otherwise the text is padded with zero bytes.
WIDE = "CHAR(400) CHARACTER SET latin1"

KeyLiterals = tuple[str, ...]
# The line after all rows of a table. The line of a row begins with a parenthesis.
END_OF_LINES = b"end"


class ColumnRefused(ApplyRefused):
    """A column's type cannot be copied exactly."""

    code = "column_refused"


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One column of a paging key, with its direction in the index."""

    column: Column
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class PagingKey:
    """The unique index in whose order a table is read."""

    index: str
    parts: tuple[KeyPart, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return tuple(p.column.name for p in self.parts)


def paging_key(definition: TableDefinition) -> PagingKey | None:
    """Return the index in whose order to read a table, or None if no index orders all rows.

    The primary key is preferred. An index that is invisible to the optimizer is not used, because it cannot be forced.
    """
    by_name = definition.columns_by_name
    for index in sorted(definition.indexes, key=lambda i: i.name != "PRIMARY"):
        if not (index.is_unique and index.is_visible and index.kind == "BTREE"):
            continue
        named = [(by_name.get(p.name), p) for p in index.columns if p.prefix_length is None]
        parts = tuple(KeyPart(c, p.is_descending) for c, p in named if c is not None and not c.is_nullable)
        if len(parts) == len(index.columns) and all(_can_be_key(p.column) for p in parts):
            return PagingKey(index.name, parts)
    return None


def _can_be_key(column: Column) -> bool:
    # A FLOAT(M,D) is printed with fewer digits than it is compared with.
    kind = column.data_type
    exact_kinds = _NUMBERS | TEMPORALS | _STRINGS | FIXED_BINARIES
    return kind in exact_kinds or (kind in REALS and "(" not in column.column_type)


def takes_digits(column: Column) -> bool:
    """Return True if the literal is digits that would mean something else as text."""
    return column.data_type in _AS_NUMBER | {"year"}


def takes_quoted(column: Column) -> bool:
    """Return True if the literal is text between quotes, or digits that mean the same as text."""
    return column.data_type in _PLAIN | REALS | TEMPORALS | _STRINGS


def value_expression(column: Column) -> str:
    """Return SQL that writes a column's value as a literal, and NULL as the word.

    Raises:
        ColumnRefused: the column has a type that is not known.
    """
    name, kind = quote(column.name), column.data_type
    if kind in _NUMBERS:
        text = _number(column)
    elif kind in REALS and "(" not in column.column_type:
        text = f"QUOTE({double_text(column)})"
    elif kind in REALS:
        # The secondary rounds a FLOAT(M,D) again. Only the digits that the primary shows stay the same.
        text = f"QUOTE(CAST({name} AS {WIDE}))"
    elif kind in TEMPORALS:
        text = f"QUOTE({name})"
    elif kind in _STRINGS:
        text = f"QUOTE(CAST({name} AS BINARY))"
    elif kind in FIXED_BINARIES:
        # As text: the server would take bytes for its own packed form, which has one of two byte orders.
        text = f"IFNULL(CONCAT('_latin1''',{name},''''),'NULL')"
    elif kind in _RAW:
        text = f"IFNULL(CONCAT('x''',HEX({name}),''''),'NULL')"
    elif kind == "json":
        # MySQL takes no binary string for JSON, so the literal names its charset.
        quoted = f"QUOTE(CAST(CAST({name} AS CHAR CHARACTER SET utf8mb4) AS BINARY))"
        text = f"IF({name} IS NULL,'NULL',CONCAT('_utf8mb4',{quoted}))"
    else:
        raise ColumnRefused(
            f"column {column.name}: type {column.column_type} cannot be copied exactly",
            hint="exclude the table (REPLICA_EXCLUDE_TABLES)",
        )
    return text


def as_written(column: Column, target_type: str) -> Column:
    """Return a column with the type for which its values must be written, if the other server has another one.

    MariaDB's JSON is text, and MySQL takes it only from a literal that says so. UUID and INET types become their bytes.
    """
    kind = column.data_type
    if (kind in TEXTS and target_type == "json") or (kind in FIXED_BINARIES and target_type == "binary"):
        return replace(column, data_type=target_type)
    return column


def double_text(column: Column) -> str:
    """Return SQL for a FLOAT or DOUBLE as text with all digits."""
    # As text, a FLOAT has six digits; as a DOUBLE it has all. In a string MySQL cuts a computed DOUBLE to 22
    # characters, which is just enough for a FLOAT without its sign. It does not cut the text of a column.
    name = quote(column.name)
    if column.data_type != "float":
        return name
    return f"CONCAT(IF(LEFT({name},1)='-','-',''),ABS({name})*1e0)"


def _number(column: Column) -> str:
    if column.data_type in INTEGERS and not column.is_nullable:
        return quote(column.name)
    return f"IFNULL({_digits(column)},'NULL')" if column.is_nullable else _digits(column)


def _digits(column: Column) -> str:
    # An expression declares its width: INT(1) declares one digit, DECIMAL(3,3) omits the zero, and an ENUM's index is
    # as wide as the longest member. If a server stores the value in a field of this width, it cuts it without an error.
    name = quote(column.name)
    if column.data_type in _AS_NUMBER:
        return f"CAST(CAST({name} AS UNSIGNED) AS {WIDE})"
    return f"CAST({name}{'+0' if column.data_type == 'year' else ''} AS {WIDE})"


def key_expression(column: Column) -> str:
    """Return SQL that writes the value of a key's column as a literal that compares as the column does."""
    name, kind = quote(column.name), column.data_type
    if kind in _NUMBERS:
        return _digits(column)
    if kind in REALS:
        return f"CONCAT('(''',{double_text(column)},'''+0e0)')"
    if kind in _STRINGS:
        # With hexadecimal digits in the column's charset, the column's collation decides and the index is used.
        return f"CONCAT('{_introducer(column)}x''',HEX({name}),'''')"
    return value_expression(column)


def key_text(column: Column, value: bytes) -> str:
    """Return the literal of a text or of bytes, as `key_expression` writes it."""
    return f"{_introducer(column)}x'{value.hex().upper()}'"


def _introducer(column: Column) -> str:
    return "" if column.charset in (None, "binary") else f"_{column.charset} "


def after(key: PagingKey, literals: KeyLiterals) -> str:
    """Return the condition for rows after a key, in the index's order.

    It is not a row comparison, because with one MySQL does not use the index. The bound of the first column is also a
    condition of its own, so that every server finds the range.
    """
    return _bound(key, literals, is_upper=False)


def up_to(key: PagingKey, literals: KeyLiterals) -> str:
    """Return the condition for rows up to and including a key, in the index's order."""
    return _bound(key, literals, is_upper=True)


def _bound(key: PagingKey, literals: KeyLiterals, *, is_upper: bool) -> str:
    if len(literals) != len(key.parts):
        raise ValueError(f"a key of {len(key.parts)} columns cannot be compared with {len(literals)} literals")
    text = ""
    for part, literal in reversed(list(zip(key.parts, literals, strict=True))):
        name, sign = quote(part.column.name), "<" if is_upper is not part.is_descending else ">"
        if text:
            text = f"({name} {sign} {literal} OR ({name} = {literal} AND {text}))"
        else:
            text = f"{name} {sign}{'=' if is_upper else ''} {literal}"
    if len(literals) == 1:
        return text
    name, sign = quote(key.parts[0].column.name), "<" if is_upper is not key.parts[0].is_descending else ">"
    return f"{name} {sign}= {literals[0]} AND {text}"


def boundary_query(name: TableName, key: PagingKey, condition: str, skipped_rows: int) -> str:
    """Return the query for the key literals of one row: the one after the first `skipped_rows` rows."""
    literals = ", ".join(key_expression(p.column) for p in key.parts)
    return f"SELECT {literals} FROM {_forced_index(name, key)}{where(condition)}{order_by(key)} LIMIT {skipped_rows}, 1"


def least_and_greatest_query(definition: TableDefinition, key: PagingKey) -> str:
    """Return the query for the least and the greatest value of the key's first column: numbers, or hexadecimal text."""
    column = key.parts[0].column
    name, table = quote(column.name), _forced_index(definition.name, key)
    text = name if column.data_type in INTEGERS else f"HEX({name})"
    # Not MIN and MAX, which read a whole index if it is descending.
    least, greatest = (f"(SELECT {text} FROM {table} ORDER BY {name}{way} LIMIT 1)" for way in ("", " DESC"))
    return f"SELECT {least}, {greatest}"


def rows_between_query(definition: TableDefinition, key: PagingKey, low: str | None, high: str | None) -> str:
    """Return the EXPLAIN that estimates the number of rows between two values of the key's first column.

    Args:
        definition: the table.
        key: the key whose index is read.
        low: the literal of the first value inside, or None for no lower bound.
        high: the literal of the first value outside, or None for no upper bound.
    """
    name = quote(key.parts[0].column.name)
    bounds = [f"{name} {sign} {value}" for sign, value in ((">=", low), ("<", high)) if value is not None]
    # Not FORCE INDEX: for its estimate MySQL reads no page of a forced index.
    table = f"{quote_table(definition.name)} USE INDEX ({quote(key.index)})"
    return f"EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM {table}{where(both(*bounds))}"


def first_key_query(definition: TableDefinition, key: PagingKey, value: str) -> str:
    """Return the query for the key of the first row whose first key column is `value` or comes after it."""
    name, sign = quote(key.parts[0].column.name), "<" if key.parts[0].is_descending else ">"
    return boundary_query(definition.name, key, f"{name} {sign}= {value}", 0)


def keys_query(definition: TableDefinition, key: PagingKey, keys: Sequence[KeyLiterals]) -> str:
    """Return the query for those of some keys that rows have, in the index's order."""
    literals = ", ".join(key_expression(p.column) for p in key.parts)
    return f"SELECT {literals} FROM {_forced_index(definition.name, key)} WHERE {is_one_of(key, keys)}{order_by(key)}"


def is_one_of(key: PagingKey, keys: Sequence[KeyLiterals]) -> str:
    """Return the condition for the rows that have one of some keys."""
    return has_values([p.column.name for p in key.parts], keys)


def has_values(columns: Sequence[str], rows: Iterable[KeyLiterals]) -> str:
    """Return the condition for the rows that have in some columns the values of one of the given rows."""
    # Not IN: with literals of several types, such as a number that is too large for BIGINT, MariaDB reads all rows.
    return " OR ".join(
        f"({both(*(f'{quote(name)} = {value}' for name, value in zip(columns, values, strict=True)))})"
        for values in rows
    )


def rows_query(
    definition: TableDefinition, key: PagingKey | None = None, condition: str = "", limit: int | None = None
) -> str:
    """Return the query for rows as one literal for each column, and a last column that is 1 if an ENUM holds index 0.

    It serves for rows that are too large for `lines_query`.
    """
    columns = [_expression(definition, c) for c in definition.written_columns]
    texts = ", ".join([*columns, enum_zero_expression(definition) or "0"])
    return f"SELECT {texts} FROM {source_of(definition, key)}{where(condition)}{_first(key, limit)}"


def lines_query(
    definition: TableDefinition, key: PagingKey | None = None, condition: str = "", limit: int | None = None
) -> str:
    """Return the query for rows as lists of literals in parentheses, with a flag that is 1 if an ENUM holds index 0.

    With a limit it gives the first rows in the order of the key. A text that is longer than the server's packet is
    NULL. GROUP_CONCAT is not used: it stores values in fields and the list in a buffer, and can cut both, so that
    everything would have to be computed twice to be sure.
    """
    zero = enum_zero_expression(definition) or "0"
    row = _row(definition)
    return f"SELECT {row}, {zero} FROM {source_of(definition, key)}{where(condition)}{_first(key, limit)}"


def whole_lines_query(definition: TableDefinition) -> str:
    """Return the query for all rows as `lines_query` gives them, and END_OF_LINES after them.

    The last row proves that the result is complete: if it is cut short, this row is missing. No server makes a
    temporary table for the UNION ALL. A server may pass each text through a field of the width that it expects, and the
    last row makes this field wide.
    """
    end = f"CAST('{END_OF_LINES.decode()}' AS CHAR(1000000) CHARACTER SET latin1)"
    return f"{lines_query(definition)} UNION ALL SELECT {end}, 0"


def size_query(definition: TableDefinition, key: PagingKey | None, limit: int) -> str:
    """Return the query for the size of what `lines_query` gives: its rows, those that are not NULL, and their bytes."""
    rows = f"SELECT OCTET_LENGTH({_row(definition)}) AS size FROM {source_of(definition, key)}{_first(key, limit)}"
    return f"SELECT COUNT(*), COUNT(size), COALESCE(SUM(size), 0) FROM ({rows}) AS found"


def _row(definition: TableDefinition) -> str:
    columns = ",',',".join(_expression(definition, c) for c in definition.written_columns)
    # A table that has only generated columns has rows, but no values that are written.
    return f"CONCAT('(',{columns},')')" if columns else "'()'"


def digest_query(definition: TableDefinition, condition: str = "") -> str:
    """Return the query for the number of rows and a sum of the digests of all stored values.

    Stored generated columns are included. VIRTUAL columns are not, because they are computed in the sql_mode of the
    session that reads them. The result is the same on both servers if they hold the same rows and write them as the
    same literals. It uses SHA2, because MySQL 9 has MD5 only with a component.
    """
    stored = (c for c in definition.columns if not (c.is_generated and "VIRTUAL" in c.extra.upper()))
    columns = ",".join(f"SHA2({_expression(definition, c)},256)" for c in stored) or "''"
    digest = f"SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS(',',{columns}),256),15),16,10) AS UNSIGNED))"
    return f"SELECT COUNT(*), CAST(COALESCE({digest},0) AS CHAR) FROM {source_of(definition)}{where(condition)}"


def _expression(definition: TableDefinition, column: Column) -> str:
    if not (definition.last_moment and column.extra == "ROW END"):
        return value_expression(column)
    name = quote(column.name)
    moments = ",".join(f"'{moment}'" for moment in LAST_MOMENTS.values())
    return f"QUOTE(IF({name} IN ({moments}),'{definition.last_moment}',{name}))"


def enum_zero_expression(definition: TableDefinition) -> str:
    """Return SQL that is 1 if an ENUM of the row holds index 0, the error value. It is empty without an ENUM."""
    enums = [quote(c.name) for c in definition.written_columns if c.data_type == "enum"]
    return " OR ".join(f"IFNULL({name}+0=0,0)" for name in enums)


def join_literals(literals: KeyLiterals) -> bytes:
    """Return key literals as one text that can be stored."""
    return f"({', '.join(literals)})".encode()


def split_literals(row: bytes) -> KeyLiterals:
    """Return the key literals in a text of `join_literals`.

    Splitting at a comma with a space is safe: strings are hexadecimal, and no date, number or address contains it.
    """
    return tuple(row.decode()[1:-1].split(", "))


def both(*conditions: str) -> str:
    """Return the conditions that are not empty, joined by AND."""
    return " AND ".join(c for c in conditions if c)


def source_of(definition: TableDefinition, key: PagingKey | None = None) -> str:
    """Return the text after FROM: the table with all versions of its rows, or forced to the index of `key`."""
    if key is not None:
        return _forced_index(definition.name, key)
    return quote_table(definition.name) + (" FOR SYSTEM_TIME ALL" if definition.is_versioned else "")


def _forced_index(name: TableName, key: PagingKey) -> str:
    return f"{quote_table(name)} FORCE INDEX ({quote(key.index)})"


def order_by(key: PagingKey) -> str:
    """Return the ORDER BY clause of a key's index."""
    return " ORDER BY " + ", ".join(quote(p.column.name) + (" DESC" if p.is_descending else "") for p in key.parts)


def _first(key: PagingKey | None, limit: int | None) -> str:
    return "" if key is None or limit is None else f"{order_by(key)} LIMIT {limit}"


def where(condition: str) -> str:
    """Return a WHERE clause, or an empty text if there is no condition."""
    return f" WHERE {condition}" if condition else ""
