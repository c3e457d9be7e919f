"""Compare the tables of two servers, without any of the code that copies them. The servers digest the rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.settings import Network, Server
from replica_cli.mysql.session import Session, connect
from replica_cli.sandbox.digest import (
    ColumnFacts,
    ComparedColumn,
    canonical_json,
    column_facts,
    compared_columns,
    digest_of,
    period_facts,
    row_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NETWORK = Network(connect_timeout=10.0, query_timeout=600.0)
_SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class TableComparison:
    """The result for one table. The number of rows is None if the table is missing; `detail` says what differs."""

    schema: str
    table: str
    rows_a: int | None
    rows_b: int | None
    is_equal: bool
    detail: str = ""


def compare(
    a: Server,
    b: Server,
    schema: str,
    schema_b: str | None = None,
    *,
    may_have_more_columns: bool = False,
    is_detailed: bool = True,
) -> list[TableComparison]:
    """Compare all tables of a schema on two servers on which nothing is written meanwhile.

    Args:
        a: the first server.
        b: the second server.
        schema: the schema on A.
        schema_b: the schema on B, if it has another name.
        may_have_more_columns: tables of B may have columns that those of A do not have.
        is_detailed: the results show rows that differ.

    Returns:
        One result for each table, in the order of names.

    Raises:
        ServerError: a server cannot be read.
    """
    schema_b = schema_b or schema
    with connect(a, _NETWORK) as session_a, connect(b, _NETWORK) as session_b:
        sides = _Side(session_a, schema), _Side(session_b, schema_b)
        tables_a, tables_b = (side.tables() for side in sides)
        # A table may be system-versioned on only one server. Then only its current rows are compared.
        sides[0].with_history = sides[1].with_history = sides[0].versioned & sides[1].versioned
        return [
            _compare_table(*sides, table, may_have_more_columns=may_have_more_columns, is_detailed=is_detailed)
            if table in tables_a and table in tables_b
            else _missing(*sides, table, is_in_a=table in tables_a)
            for table in sorted(tables_a | tables_b)
        ]


class _Side:
    def __init__(self, session: Session, schema: str) -> None:
        self.session = session
        self.schema = schema
        self.versioned: set[str] = set()
        self.with_history: set[str] = set()

    def tables(self) -> set[str]:
        rows = self.session.rows(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = %s"
            " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')",
            self.schema,
        )
        self.versioned = {str(name) for name, kind in rows if kind == "SYSTEM VERSIONED"}
        return {str(name) for name, _ in rows}

    def facts(self, table: str) -> dict[str, ColumnFacts]:
        columns = column_facts(self.session, self.schema, table)
        return columns | period_facts(self.session, self.schema, table) if table in self.with_history else columns

    def count(self, table: str) -> int:
        row = self.session.row(f"SELECT COUNT(*) FROM {self.named(table)}")
        return int(row[0]) if row else 0

    def sums(self, table: str, digest: str) -> tuple[int, int, str, str]:
        """Return the number of rows, the number of those with a digest, and the sums of both halves of the digests."""
        # Sums, not XOR, in which equal rows of a keyless table would cancel each other.
        halves = (f"SUM(CAST(CONV(SUBSTR(d, {start}, 16), 16, 10) AS UNSIGNED))" for start in (1, 17))
        row = self.session.row(
            f"SELECT COUNT(*), COUNT(d), {', '.join(halves)} FROM (SELECT {digest} AS d FROM {self.named(table)}) AS t"
        )
        if row is None:  # an aggregate always gives a row
            raise AssertionError(table)
        return int(row[0]), int(row[1]), str(row[2]), str(row[3])

    def digests(self, table: str, columns: Sequence[ComparedColumn]) -> Counter[str]:
        """Return how often each row's digest occurs. Documents that are text on the other server are digested here."""
        across = [c.value for c in columns if c.is_json_across]
        rows = self.session.each_row(
            f"SELECT {', '.join((digest_of(columns), *(f'CONVERT({v} USING utf8mb4)' for v in across)))}"
            f" FROM {self.named(table)}"
        )
        return Counter(" ".join((str(digest), *map(_document_digest, documents))) for digest, *documents in rows)

    def shown(self, table: str, columns: Sequence[ComparedColumn], digest: str) -> str:
        row = self.session.row(
            f"SELECT {row_text(columns)} FROM {self.named(table)} WHERE {digest_of(columns)} = '{digest[:32]}' LIMIT 1"
        )
        return str(row[0]) if row else "?"

    def named(self, table: str) -> str:
        name = ".".join("`" + part.replace("`", "``") + "`" for part in (self.schema, table))
        return f"{name} FOR SYSTEM_TIME ALL" if table in self.with_history else name


def _missing(a: _Side, b: _Side, table: str, *, is_in_a: bool) -> TableComparison:
    if is_in_a:
        return TableComparison(a.schema, table, a.count(table), None, is_equal=False, detail="missing on B")
    return TableComparison(a.schema, table, None, b.count(table), is_equal=False, detail="missing on A")


def _compare_table(
    a: _Side, b: _Side, table: str, *, may_have_more_columns: bool, is_detailed: bool
) -> TableComparison:
    facts_a, facts_b = a.facts(table), b.facts(table)
    lost = [name for name in facts_a if name not in facts_b]
    extra = [name for name in facts_b if name not in facts_a]
    if lost or (extra and not may_have_more_columns):
        detail = f"columns only on A: {', '.join(lost) or '-'}; only on B: {', '.join(extra) or '-'}"
        return TableComparison(a.schema, table, a.count(table), b.count(table), is_equal=False, detail=detail)
    columns_a, columns_b = compared_columns(facts_a, facts_b)
    sums_a, sums_b = a.sums(table, digest_of(columns_a)), b.sums(table, digest_of(columns_b))
    if any(rows != digested for rows, digested, *_ in (sums_a, sums_b)):
        # Rows without a digest must never count as equal.
        detail = "rows are too large for a digest: raise max_allowed_packet"
        return TableComparison(a.schema, table, sums_a[0], sums_b[0], is_equal=False, detail=detail)
    is_equal, detail = sums_a == sums_b, ""
    if is_equal and any(c.is_json_across for c in columns_a):
        is_equal = a.digests(table, columns_a) == b.digests(table, columns_b)
    if not is_equal and is_detailed:
        detail = _differing_rows((a, columns_a), (b, columns_b), table)
    return TableComparison(a.schema, table, sums_a[0], sums_b[0], is_equal=is_equal, detail=detail)


_Compared = tuple[_Side, "Sequence[ComparedColumn]"]


def _differing_rows(a: _Compared, b: _Compared, table: str) -> str:
    digests_a, digests_b = (side.digests(table, columns) for side, columns in (a, b))
    lines: list[str] = []
    for label, (side, columns), only in (("A", a, digests_a - digests_b), ("B", b, digests_b - digests_a)):
        lines.append(f"{only.total()} rows only on {label}")
        shown = [(side.shown(table, columns, digest), times) for digest, times in sorted(only.items())[:_SHOWN_ROWS]]
        lines += [f"  {times} x {text}" if times > 1 else f"  {text}" for text, times in shown]
    return "\n".join(lines)


def _document_digest(text: str | None) -> str:
    return hashlib.sha256(canonical_json(text).encode()).hexdigest()
