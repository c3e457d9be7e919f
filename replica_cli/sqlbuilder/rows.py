"""Statements that change rows: names and literals in, text out. Literals are bytes that are SQL already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableName

Literals = tuple[bytes, ...]
_BY_BYTES = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "vector"})


def insert_head(target: TableName, columns: Sequence[str], *, replaces: bool = False) -> bytes:
    """Return an INSERT (or REPLACE) up to its VALUES."""
    verb = "REPLACE" if replaces else "INSERT"
    names = ",".join(quote(c) for c in columns)
    return f"{verb} INTO {quote_table(target)} ({names}) VALUES ".encode()


def row_values(rows: Sequence[Literals]) -> list[bytes]:
    """Return each row as SQL writes one: in parentheses."""
    return [b"(%b)" % b",".join(row) for row in rows]


def delete_by_key(target: TableName, key: Sequence[str], rows: Sequence[Literals]) -> bytes:
    """Return a DELETE of the rows with these keys, each row the key's literals."""
    head = f"DELETE FROM {quote_table(target)} WHERE ".encode()
    if len(key) == 1:
        return head + quote(key[0]).encode() + b" IN (" + b",".join([row[0] for row in rows]) + b")"
    # Not (a,b) IN ((1,2),…): MariaDB looks at every row for that.
    names = [quote(c).encode() for c in key]
    found = (b" AND ".join([name + b"=" + literal for name, literal in zip(names, row, strict=True)]) for row in rows)
    return head + b" OR ".join([b"(" + condition + b")" for condition in found])


def update_joined(target: TableName, columns: Sequence[str], key: Sequence[str], rows: Sequence[Literals]) -> bytes:
    """Return an UPDATE of many rows by their keys; each row the columns' literals, then the key's, each key once.

    The server's rows are looked up along the new ones: an optimizer with old statistics would turn that round.
    """
    places = range(len(columns) + len(key))
    first = b"SELECT " + b",".join([b"%b AS c%d" % (literal, n) for n, literal in zip(places, rows[0], strict=True)])
    new = b" UNION ALL SELECT ".join([first, *(b",".join(row) for row in rows[1:])])
    found = " AND ".join(f"t.{quote(name)}=n.c{len(columns) + n}" for n, name in enumerate(key))
    # The key itself stays: it is what the rows are found by.
    assigned = ",".join(f"t.{quote(name)}=n.c{n}" for n, name in enumerate(columns) if name not in key)
    ending = f") AS n STRAIGHT_JOIN {quote_table(target)} AS t ON {found} SET {assigned}"
    return b"UPDATE (" + new + ending.encode()


def delete_template(target: TableName, columns: Sequence[Column], indexed: Sequence[str] = ()) -> bytes:
    """Return a DELETE of one row found by its whole image, as a %-template of its literals.

    Those of the `indexed` columns follow once more: an index knows nothing of bytes, and tells what compares as equal.
    """
    return f"DELETE FROM {_escaped(quote_table(target))} WHERE {_whole_row(columns, indexed)} LIMIT 1".encode()


def update_template(target: TableName, changed: Sequence[str], key: Sequence[str]) -> bytes:
    """Return an UPDATE of the row with a key, as a %-template: the changed columns' literals, then the key's."""
    found = " AND ".join(f"{_escaped(quote(c))}=%b" for c in key)
    return f"UPDATE {_escaped(quote_table(target))} SET {_assignments(changed)} WHERE {found}".encode()


def update_whole_row_template(
    target: TableName, changed: Sequence[str], columns: Sequence[Column], indexed: Sequence[str] = ()
) -> bytes:
    """Return an UPDATE of one row found by its whole image, as a %-template like that of a DELETE; NULL equals NULL."""
    head = f"UPDATE {_escaped(quote_table(target))} SET {_assignments(changed)}"
    return f"{head} WHERE {_whole_row(columns, indexed)} LIMIT 1".encode()


def differing_template(key: Sequence[str], columns: Sequence[Column]) -> bytes:
    """Return the condition of the row with a key whose other columns differ: a %-template of both's literals."""
    found = " AND ".join(f"{_escaped(quote(c))}=%b" for c in key)
    return f"({found} AND NOT ({_whole_row(columns)}))".encode()


def select_any(target: TableName, conditions: Sequence[bytes]) -> bytes:
    """Return a SELECT with one row of result for each row that meets a condition."""
    return f"SELECT 1 FROM {quote_table(target)} WHERE ".encode() + b" OR ".join(conditions)


def _assignments(columns: Sequence[str]) -> str:
    return ",".join(f"{_escaped(quote(c))}=%b" for c in columns)


def _whole_row(columns: Sequence[Column], indexed: Sequence[str] = ()) -> str:
    return " AND ".join([*map(_equal, columns), *(f"{_escaped(quote(name))}<=>%b" for name in indexed)])


def _equal(column: Column) -> str:
    # Without a key the row itself must be found, not one that compares as equal: text of another case, a document with
    # 1.0 for 1. A VECTOR compares with nothing.
    name = _escaped(quote(column.name))
    if column.data_type == "json":
        same = f"{name}<=>k.v AND CAST({name} AS BINARY)<=>CAST(k.v AS BINARY)"
        return f"(SELECT {same} FROM (SELECT %b AS v) AS k)"
    return f"CAST({name} AS BINARY)<=>%b" if column.data_type in _BY_BYTES else f"{name}<=>%b"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
