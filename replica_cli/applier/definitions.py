"""The secondary's table definitions as they are at the position being applied.

DDL is applied in stream order, so the secondary's own catalog is the schema of the moment: no history to keep.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING

from replica_cli.applier.table_cache import TableCache
from replica_cli.core.commands import table_options
from replica_cli.core.errors import Drift
from replica_cli.mysql.catalog import read_tables
from replica_cli.sqlbuilder.determinism import why_computed_values_differ

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.core.events import RowEvent
    from replica_cli.core.names import TableName
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session


_Column = tuple[str, str, str | None]
_ASKED_AT_ONCE = 100
_HASH = "SHA2(CONCAT_WS('/', ordinal_position, HEX(column_name), HEX(column_type), HEX(character_set_name)), 256)"
# One row a table, whatever its columns: what is not in use, or is as it was, needs no more.
_DIGESTS = f"""SELECT table_name, BIT_XOR(CAST(CONV(LEFT({_HASH}, 16), 16, 10) AS UNSIGNED)),
 BIT_XOR(CAST(CONV(SUBSTR({_HASH}, 17, 16), 16, 10) AS UNSIGNED)) FROM information_schema.columns
 WHERE table_schema = %s GROUP BY table_name"""
_COLUMNS = """SELECT column_name, column_type, character_set_name FROM information_schema.columns
 WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""


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
        self._digests: TableCache[TableName, list[int]] = TableCache(trims_itself=False)
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
            self._digests.keep(name, name, _digest(_columns(found)))
            self._sources[name] = wanted[name]

    def check(self) -> list[TableName]:
        """Look whether somebody else altered the tables in use: forget those that were, return the primary's names.

        Columns that came are no harm. Raises Drift where one that is in use went, moved, or has another type.
        """
        altered = []
        # All answers first: an error in the middle must leave nothing half forgotten.
        for target, after in list(self._differing()):
            before = _columns(self._tables.entries[target])
            if not after or tuple(after) == before:
                # One that is gone shows at its next change.
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

    def _differing(self) -> Iterator[tuple[TableName, Sequence[_Column]]]:
        """Yield the columns of now of the tables in use that may have others than those that are known."""
        schemas = sorted({target.schema for target in self._tables.entries})
        answers = self._session.rows_of_each([_DIGESTS % self._session.escape(s) for s in schemas]) if schemas else []
        now = {
            (schema, table): digest for schema, rows in zip(schemas, answers, strict=True) for table, *digest in rows
        }
        # The server may spell names its own way.
        found = [t for t, digest in self._digests.entries.items() if now.get((t.schema, t.table), digest) != digest]
        for first in range(0, len(found), _ASKED_AT_ONCE):
            targets = found[first : first + _ASKED_AT_ONCE]
            queries = [_COLUMNS % (self._session.escape(t.schema), self._session.escape(t.table)) for t in targets]
            yield from zip(targets, self._session.rows_of_each(queries), strict=True)

    def forget(self, targets: Collection[TableName] = ()) -> None:
        """Forget some tables, or all: they changed."""
        self._tables.forget(targets)
        self._digests.forget(targets)
        self._refused.forget(targets)


def _columns(known: TableDefinition) -> tuple[_Column, ...]:
    return tuple((c.name, c.column_type, c.charset) for c in known.columns)


def _digest(columns: Sequence[_Column]) -> list[int]:
    """Return what `_DIGESTS` returns of a table with these columns."""
    found = [0, 0]
    for place, values in enumerate(columns, 1):
        text = "/".join([str(place), *(value.encode().hex().upper() for value in values if value is not None)])
        digest = sha256(text.encode()).digest()
        for half in range(2):
            found[half] ^= int.from_bytes(digest[half * 8 : half * 8 + 8], "big")
    return found


def _difference(before: Sequence[_Column], after: Sequence[_Column]) -> str:
    names = {name: place for place, (name, *_) in enumerate(after)}
    for name, kind, charset in before:
        if name not in names:
            return f"column {name} is gone"
        _, now_kind, now_charset = after[names[name]]
        if (now_kind, now_charset) != (kind, charset):
            return f"column {name} is {now_kind}{f' {now_charset}' if now_charset else ''} now, not {kind}"
    return "columns have moved"
