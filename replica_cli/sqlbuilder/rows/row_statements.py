"""Build statements that change rows, from names and literals. Literals are bytes that already are SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.column_types import TEXTS
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableName

Literals = tuple[bytes, ...]
_BY_BYTES = TEXTS | {"vector"}


def insert_head(target: TableName, columns: Sequence[str], *, replaces: bool = False) -> bytes:
    """Return an INSERT (or REPLACE) up to its VALUES."""
    verb = "REPLACE" if replaces else "INSERT"
    names = ",".join(quote(c) for c in columns)
    return f"{verb} INTO {quote_table(target)} ({names}) VALUES ".encode()


def row_values(rows: Sequence[Literals]) -> list[bytes]:
    """Return each row as an entry of a VALUES list: its literals in parentheses."""
    return [b"(%b)" % b",".join(row) for row in rows]


def delete_by_key(target: TableName, key: Sequence[str], rows: Sequence[Literals]) -> bytes:
    """Return a DELETE of the rows with these keys. Each of `rows` holds the literals of one key."""
    head = f"DELETE FROM {quote_table(target)} WHERE ".encode()
    if len(key) == 1:
        return head + quote(key[0]).encode() + b" IN (" + b",".join([row[0] for row in rows]) + b")"
    # Not (a,b) IN ((1,2),…): for that MariaDB reads every row of the table.
    names = [quote(c).encode() for c in key]
    conditions = (
        b" AND ".join([name + b"=" + literal for name, literal in zip(names, row, strict=True)]) for row in rows
    )
    return head + b" OR ".join([b"(" + condition + b")" for condition in conditions])


def update_joined(target: TableName, columns: Sequence[str], key: Sequence[str], rows: Sequence[Literals]) -> bytes:
    """Return an UPDATE of many rows by their keys.

    The new values are a derived table, and for each of its rows the server looks up its own row. STRAIGHT_JOIN keeps
    this order: an optimizer with old statistics would reverse it.

    Args:
        target: the table on the secondary.
        columns: the columns that have new values.
        key: the columns of the key.
        rows: for each row the literals of `columns`, then those of `key`. Each key occurs once.
    """
    indexes = range(len(columns) + len(key))
    first = b"SELECT " + b",".join([b"%b AS c%d" % (literal, n) for n, literal in zip(indexes, rows[0], strict=True)])
    new = b" UNION ALL SELECT ".join([first, *(b",".join(row) for row in rows[1:])])
    key_condition = " AND ".join(f"t.{quote(name)}=n.c{len(columns) + n}" for n, name in enumerate(key))
    # Columns of the key are not assigned: the rows are found by them.
    assigned = ",".join(f"t.{quote(name)}=n.c{n}" for n, name in enumerate(columns) if name not in key)
    ending = f") AS n STRAIGHT_JOIN {quote_table(target)} AS t ON {key_condition} SET {assigned}"
    return b"UPDATE (" + new + ending.encode()


def delete_template(target: TableName, columns: Sequence[Column], indexed: Sequence[str] = ()) -> bytes:
    """Return a DELETE of one row that is found by its whole image, as a %-template for its literals.

    Texts are compared byte by byte, for which a server uses no index. So the `indexed` columns are also compared as the
    index compares them, and the template takes their literals again after those of all columns.
    """
    return f"DELETE FROM {_escaped(quote_table(target))} WHERE {_whole_row(columns, indexed)} LIMIT 1".encode()


def update_template(target: TableName, changed: Sequence[str], key: Sequence[str]) -> bytes:
    """Return an UPDATE of the row with a key: a %-template for the literals of the changed columns, then of the key."""
    key_condition = " AND ".join(f"{_escaped(quote(c))}=%b" for c in key)
    return f"UPDATE {_escaped(quote_table(target))} SET {_assignments(changed)} WHERE {key_condition}".encode()


def update_whole_row_template(
    target: TableName, changed: Sequence[str], columns: Sequence[Column], indexed: Sequence[str] = ()
) -> bytes:
    """Return an UPDATE of one row that is found by its whole image, as a %-template.

    It takes the literals of the changed columns, then those that `delete_template` takes. NULL equals NULL.
    """
    head = f"UPDATE {_escaped(quote_table(target))} SET {_assignments(changed)}"
    return f"{head} WHERE {_whole_row(columns, indexed)} LIMIT 1".encode()


def differing_template(key: Sequence[str], columns: Sequence[Column]) -> bytes:
    """Return the condition that the row with a key has other values in `columns`.

    It is a %-template for the literals of the key, then of the columns.
    """
    key_condition = " AND ".join(f"{_escaped(quote(c))}=%b" for c in key)
    return f"({key_condition} AND NOT ({_whole_row(columns)}))".encode()


def select_any(target: TableName, conditions: Sequence[bytes]) -> bytes:
    """Return a SELECT that gives one row for each row of the table that meets one of the conditions."""
    return f"SELECT 1 FROM {quote_table(target)} WHERE ".encode() + b" OR ".join(conditions)


def _assignments(columns: Sequence[str]) -> str:
    return ",".join(f"{_escaped(quote(c))}=%b" for c in columns)


def _whole_row(columns: Sequence[Column], indexed: Sequence[str] = ()) -> str:
    return " AND ".join([*map(_equal, columns), *(f"{_escaped(quote(name))}<=>%b" for name in indexed)])


def _equal(column: Column) -> str:
    # Without a key the row itself must be found, not one that compares as equal: text in another case, or a document
    # with 1.0 instead of 1. A VECTOR can be compared only as bytes.
    name = _escaped(quote(column.name))
    if column.data_type == "json":
        same = f"{name}<=>k.v AND CAST({name} AS BINARY)<=>CAST(k.v AS BINARY)"
        return f"(SELECT {same} FROM (SELECT %b AS v) AS k)"
    return f"CAST({name} AS BINARY)<=>%b" if column.data_type in _BY_BYTES else f"{name}<=>%b"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
