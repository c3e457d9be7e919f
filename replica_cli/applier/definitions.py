"""The secondary's table definitions as they are at the position being applied.

DDL is applied in stream order, so the secondary's own catalog is the schema of the moment: no history to keep.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from replica_cli.applier.table_cache import TableCache
from replica_cli.core.commands import table_options
from replica_cli.core.errors import Drift
from replica_cli.core.names import TableName
from replica_cli.mysql.catalog import read_tables
from replica_cli.sqlbuilder.determinism import why_computed_values_differ

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.core.events import RowEvent
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session


_Columns = tuple[tuple[str, str, str | None], ...]
_SIGNATURES = """SELECT table_name, column_name, column_type, character_set_name FROM information_schema.columns
 WHERE table_schema = %s ORDER BY table_name, ordinal_position"""


class Definitions:
    """A cache over the catalog, by the secondary's names; forgotten at each DDL.

    `from_mariadb`: the primary's flavour.
    """

    def __init__(self, session: Session, selection: Selection, *, from_mariadb: bool) -> None:
        self._session = session
        self._selection = selection
        self._from_mariadb = from_mariadb
        # One for each table that there is: their number does not grow by itself.
        self._tables: TableCache[TableName, TableDefinition] = TableCache(trims_itself=False)
        self._sources: dict[TableName, TableName] = {}
        self._refused: TableCache[TableName, str | None] = TableCache(trims_itself=False)
        self._expected: Sequence[RowEvent] = ()

    @contextlib.contextmanager
    def expecting(self, events: Sequence[RowEvent]) -> Iterator[None]:
        """Take in what is applied next: the first of its tables that is not known is read with all of the others.

        A batch may begin thousands of tables, and each question waits for its answer.
        """
        self._expected = events
        try:
            yield
        finally:
            self._expected = ()

    def get(self, target: TableName, source: TableName | None = None) -> TableDefinition:
        """Return a table's definition; `source` is the primary's name. Raises Drift where there is no such table."""
        if target not in self._tables.entries:
            self._read(target, source or target)
        found = self._tables.entries.get(target)
        if found is None:
            raise Drift(f"{target} is missing on {self._session.server.name}")
        return found

    def why_refused(self, target: TableName) -> str | None:
        """Return why rows of a known table cannot be kept equal: it computes other values than the primary."""
        if target not in self._refused.entries:
            found = why_computed_values_differ(
                self._tables.entries[target], from_mariadb=self._from_mariadb, to_mariadb=self._session.is_mariadb
            )
            reason = found and f"{found[0]} is computed when a row is written, and {found[1]}"
            self._refused.keep(target, target, reason)
        return self._refused.entries[target]

    def _read(self, target: TableName, source: TableName) -> None:
        """Read one table, and what is not known of those that are expected; those that are missing stay unknown."""
        # Once: what is missing is not asked for again with each of the others.
        expected, self._expected = self._expected, ()
        sources = {self._selection.target(table.name): table.name for table in {e.head.table for e in expected}}
        wanted = {t: s for t, s in sources.items() if t is not None and t not in self._tables.entries}
        wanted[target] = source
        for name, found in read_tables(self._session, sorted(wanted)).items():
            self._tables.keep(name, name, found)
            self._sources[name] = wanted[name]

    def check(self) -> list[TableName]:
        """Look whether somebody else altered the tables in use: forget those that were, return the primary's names.

        Columns that came are no harm. Raises Drift where one that is in use went, moved, or has another type.
        """
        now: dict[TableName, list[tuple[str, str, str | None]]] = {}
        for schema in {target.schema for target in self._tables.entries}:
            for table, *column in self._session.rows(_SIGNATURES, schema):
                now.setdefault(TableName(schema, table), []).append(tuple(column))
        altered = []
        for target, known in list(self._tables.entries.items()):
            before = tuple((c.name, c.column_type, c.charset) for c in known.columns)
            after = now.get(target)
            if after is None or tuple(after) == before:
                # One that is gone shows at its next change, and the server may spell names its own way.
                continue
            altered.append(self._sources[target])
            self.forget([target])
            kept = {name for name, *_ in before}
            if tuple(c for c in after if c[0] in kept) != before:
                server, source = self._session.server.name, self._sources[target]
                raise Drift(
                    f"{source}: {_difference(before, after)} on {server}, and no DDL of the primary did that",
                    hint=f"`replica drift check`, then `replica transfer {table_options([source])}`",
                    table=source,
                )
        return altered

    def forget(self, targets: Collection[TableName] = ()) -> None:
        """Forget some tables, or all: they changed."""
        self._tables.forget(targets)
        self._refused.forget(targets)


def _difference(before: _Columns, after: Sequence[tuple[str, str, str | None]]) -> str:
    names = {name: place for place, (name, *_) in enumerate(after)}
    for name, kind, charset in before:
        if name not in names:
            return f"column {name} is gone"
        _, now_kind, now_charset = after[names[name]]
        if (now_kind, now_charset) != (kind, charset):
            return f"column {name} is {now_kind}{f' {now_charset}' if now_charset else ''} now, not {kind}"
    return "columns have moved"
