"""The queries that are compared as ways to hash the rows of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.column_types import INTEGERS, LISTS, REALS
from replica_cli.mysql.catalog.table_definitions import read_catalog
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.rows.chunks import where
from replica_cli.sqlbuilder.rows.row_hashes import Joining
from replica_cli.sqlbuilder.rows.row_texts import Sides, text_of_row
from replica_cli.verify.cascades import Cascades
from replica_cli.verify.tables import plan_table
from tests.bench.verify.ways import PT, chunk_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replica_cli.core.table import Column
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.row_hashes import HashedTable
    from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn

    # The query for the rows that a condition selects.
    Query = Callable[[str], str]

PRESENT = "present: XOR of SHA2 or of its CRC32 parts"
SUMMED = "SUM of CRC32 parts of SHA2"
DERIVED = "the same in a derived table"


def hashed_table(session: Session, schema: str) -> HashedTable:
    """Return the only table of a schema as `replica verify run` hashes it."""
    (definition,) = read_catalog(session, [schema]).values()
    sides = Sides(session.is_mariadb, session.is_mariadb)
    return plan_table(definition, definition, sides, Cascades()).primary


def queries(table: HashedTable, *, is_mariadb: bool) -> Mapping[str, Query]:
    """Return the queries by their names."""
    text = text_of_row(table.columns)
    row_hash = f"SHA2({text},256)"
    names = [(c.column.name, c.column.is_nullable) for c in table.columns]

    def selected(expressions: str) -> Query:
        return lambda condition: f"SELECT {expressions} FROM {table.source}{where(condition)}"

    def derived(condition: str) -> str:
        # The LIMIT keeps the servers from computing the hash once for each use of it.
        inner = f"SELECT {row_hash} AS h FROM {table.source}{where(condition)} LIMIT {2**63}"
        return f"SELECT COUNT(*),{_sums('h', 'h')},COUNT(h) FROM ({inner}) AS hashed"

    pointed = f"SHA2({text_of_row([_as_point(c) for c in table.columns])},256)"
    common: dict[str, Query] = {
        "COUNT(*)": selected("COUNT(*)"),
        PT: lambda condition: chunk_query(names, quote(table.name.table), condition),
        "text of the row alone": selected(f"SUM(LENGTH({text}))"),
        "SHA2 of the text alone": selected(f"COUNT({row_hash})"),
        PRESENT: table.sums_query,
        SUMMED: replace(table, joining=Joining.SUM).sums_query,
        DERIVED: derived,
        "SUM of CONV of halves of SHA2": selected(_converted(row_hash)),
        "SHA2 alone, doubles as POINT": selected(f"COUNT({pointed})"),
        "SUM of CRC32 parts of SHA2, doubles as POINT": selected(_counted_sums(pointed)),
        "SUM of CRC32 of SHA2 and its half, doubles as POINT": selected(_counted_sum(pointed)),
        "SUM of CRC32 of SHA2, doubles as POINT": selected(f"COUNT(*),SUM(CRC32({pointed}))"),
        "GROUP_CONCAT of SHA2": selected(f"COUNT(*),SHA2(GROUP_CONCAT(UNHEX({row_hash}) SEPARATOR ''),256)"),
    }
    return common | (_of_mariadb(table, selected) if is_mariadb else _of_mysql(row_hash, pointed, selected))


def _of_mariadb(table: HashedTable, selected: Callable[[str], Query]) -> dict[str, Query]:
    text = _dynamic_columns([c.column for c in table.columns])
    row_hash = f"SHA2({text},256)"
    return {
        "text by COLUMN_CREATE alone": selected(f"SUM(LENGTH({text}))"),
        "SHA2 of COLUMN_CREATE alone": selected(f"COUNT({row_hash})"),
        "SUM of CRC32 parts of SHA2, of COLUMN_CREATE": selected(_counted_sums(row_hash)),
        "SUM of CRC32 of SHA2 and its half, of COLUMN_CREATE": selected(_counted_sum(row_hash)),
        "BIT_XOR of CRC32 of COLUMN_CREATE": selected(f"COUNT(*),BIT_XOR(CRC32({text}))"),
    }


def _of_mysql(row_hash: str, pointed: str, selected: Callable[[str], Query]) -> dict[str, Query]:
    return {
        "BIT_XOR of UNHEX of SHA2": selected(f"COUNT(*),HEX(BIT_XOR(UNHEX({row_hash})))"),
        "BIT_XOR of UNHEX of SHA2, doubles as POINT": selected(f"COUNT(*),HEX(BIT_XOR(UNHEX({pointed})))"),
    }


def _as_point(column: ComparedColumn) -> ComparedColumn:
    """Return a column whose text, if it has floating-point numbers, is the bytes of a point, not the digits."""
    if column.column.data_type not in REALS:
        return column
    name = quote(column.column.name)
    text = replace(column.text, short=f"({name} IS NULL)", value=f"CAST(POINT({name},0) AS BINARY)")
    return replace(column, text=text)


def _counted_sums(row_hash: str) -> str:
    return f"COUNT(*),{_sums(f'@h:={row_hash}', '@h')},COUNT(@h)"


def _counted_sum(row_hash: str) -> str:
    # 64 bits of two functions in place of four.
    return f"COUNT(*),SUM((CRC32(@h:={row_hash})<<32)|CRC32(SUBSTR(@h,1,32))),COUNT(@h)"


def _sums(first: str, then: str) -> str:
    return f"{_sum(first, then, 0)},{_sum(then, then, 2)}"


def _sum(first: str, then: str, part: int) -> str:
    high, low = (f"CRC32(SUBSTR({text},{1 + number * 16},16))" for text, number in ((first, part), (then, part + 1)))
    return f"SUM(({high}<<32)|{low})"


def _converted(row_hash: str) -> str:
    halves = (f"SUBSTR(@h:={row_hash},1,16)", "SUBSTR(@h,17,16)")
    sums = ",".join(f"SUM(CAST(CONV({half},16,10) AS UNSIGNED))" for half in halves)
    return f"COUNT(*),{sums},COUNT(@h)"


def _dynamic_columns(columns: list[Column]) -> str:
    """Return SQL for a row as MariaDB's dynamic columns: numbers and times are bytes there, and NULL is left out."""
    values = (f"{number},{_dynamic_column(column)}" for number, column in enumerate(columns, 1))
    return f"COLUMN_CREATE({','.join(values)})"


def _dynamic_column(column: Column) -> str:
    name = quote(column.name)
    if column.data_type in INTEGERS:
        return f"{name} AS {'UNSIGNED INTEGER' if column.is_unsigned else 'INTEGER'}"
    if column.data_type in LISTS:
        return f"{name}+0 AS UNSIGNED INTEGER"
    if column.data_type in ("datetime", "timestamp"):
        return f"{name} AS DATETIME({column.fraction_digits})"
    return f"{name} AS {column.data_type.upper() if column.data_type in ('decimal', 'double') else 'CHAR'}"
