"""Check that the filters select what they seem to select. Names that the primary does not have are reported.

For such a name the finding suggests the most similar one. `health`, `stream` and `transfer` use this check. Without it
all findings are good while no table is replicated.
"""

from __future__ import annotations

import difflib
import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.core.reports.health import Finding, HealthLevel
from replica_cli.core.selection import SYSTEM_SCHEMAS
from replica_cli.core.wording import counted
from replica_cli.mysql.preflight.grants import read_grants

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.preflight.grants import Grants
    from replica_cli.mysql.session import Session

NAME = "selected-tables"
_VERSIONED, _SEQUENCE = "SYSTEM VERSIONED", "SEQUENCE"
_TABLES = """SELECT table_schema, table_name, table_type FROM information_schema.tables
 WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"""
_NEAR = 0.7


@dataclass(frozen=True, slots=True)
class Selected:
    """What the filters select on the primary.

    `absent` are schemas that the filters name and that certainly do not exist. `tables` are the selected tables without
    sequences, and `versioned` those of them that keep history.
    """

    finding: Finding
    absent: frozenset[str] = frozenset()
    versioned: tuple[TableName, ...] = ()
    tables: tuple[TableName, ...] = ()


def look_at_selection(session: Session, selection: Selection, grants: Grants | None = None) -> Selected:
    """Compare the filters with the primary's schemas and tables. Raises ServerError."""
    grants = grants or read_grants(session)
    names, rows = session.rows_of_each(["SHOW DATABASES", _TABLES])
    schemas = [s for row in names if (s := str(row[0])).lower() not in SYSTEM_SCHEMAS]
    missing = [source for source, _ in selection.schemas if source not in schemas]
    absent = frozenset(s for s in missing if _is_certain(s, schemas, grants))
    kinds = {TableName(str(s), str(t)): str(kind) for s, t, kind in rows if selection.schema_target(str(s))}
    tables = list(kinds)
    selected = [table for table in tables if selection.target(table) is not None]
    count, versioned = len(selected), tuple(t for t in selected if kinds[t] == _VERSIONED)
    with_rows = tuple(t for t in selected if kinds[t] != _SEQUENCE)
    faults = [
        *(_schema_fault(s, schemas, is_certain=s in absent) for s in missing),
        *_pattern_faults("REPLICA_TABLES", selection.tables, tables, missing),
        *_pattern_faults("REPLICA_EXCLUDE_TABLES", selection.excluded_tables, tables, missing),
    ]
    if not count:
        faults.insert(0, ("the filters select no table", ""))
    if not faults:
        finding = Finding(NAME, HealthLevel.OK, counted(count, "table"), value=count, unit="tables")
        return Selected(finding, absent, versioned, with_rows)
    message = "; ".join(text for text, _ in faults) + (f"; {counted(count, 'table')} selected" if count else "")
    hint = "; ".join(dict.fromkeys(hint for _, hint in faults if hint)) or "check REPLICA_SCHEMAS and REPLICA_TABLES"
    return Selected(Finding(NAME, HealthLevel.WARNING, message, hint, count, "tables"), absent, versioned, with_rows)


def _is_certain(schema: str, schemas: Sequence[str], grants: Grants) -> bool:
    """Return True if a schema that the server does not list certainly does not exist.

    Servers hide schemas on which an account has no privilege.
    """
    is_misspelt = any(schema.lower() == existing.lower() for existing in schemas)
    return is_misspelt or grants.allows("SHOW DATABASES") or grants.allows_on_schema("SELECT", schema)


def _schema_fault(schema: str, schemas: Sequence[str], *, is_certain: bool) -> tuple[str, str]:
    hidden = "" if is_certain else ", or this user may not see it"
    near = _nearest(schema, schemas)
    return (
        f"schema {schema!r} is not on the primary{hidden}",
        f"did you mean {near!r} in REPLICA_SCHEMAS?" if near else "",
    )


def _pattern_faults(
    variable: str, patterns: Iterable[str], tables: Sequence[TableName], missing: Sequence[str]
) -> Iterator[tuple[str, str]]:
    names = [str(table) for table in tables]
    for pattern in patterns:
        if any(_matches(name, pattern) for name in names) or any(pattern.startswith(f"{s}.") for s in missing):
            continue
        has_wildcard = "*" in pattern or "?" in pattern
        other_case = [n for n in names if _matches(n.lower(), pattern.lower())]
        if variable == "REPLICA_EXCLUDE_TABLES" and has_wildcard and not other_case:
            continue  # it excludes tables as soon as they exist
        near = other_case[0] if other_case else None if has_wildcard else _nearest_table(pattern, tables)
        hint = f"did you mean {near!r} in {variable}?" if near else f"check {variable}"
        yield f"no table matches {pattern!r} of {variable}", hint


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _nearest_table(pattern: str, tables: Sequence[TableName]) -> str | None:
    """Return the table that is probably meant: its own name and its schema's name must both be similar."""
    schema, _, table = pattern.partition(".")
    near = [t for t in tables if _nearest(table, [t.table]) and _nearest(schema, [t.schema])]
    nearest = _nearest(pattern, [str(t) for t in near])
    return nearest or (str(near[0]) if near else None)


def _nearest(name: str, names: Sequence[str]) -> str | None:
    by_lower = {n.lower(): n for n in names}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_NEAR)
    return by_lower[matches[0]] if matches else None
