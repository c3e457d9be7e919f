"""Find the secondary's table of a row event: its name, and its definition at the position that is being applied.

All engines use it. DDL runs in the order of the log, so the secondary's own catalog always has the right definitions.
No history of them is needed.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING

from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, ComputedOtherwise, Drift
from replica_cli.mysql.catalog.table_definitions import read_tables
from replica_cli.sqlbuilder.statements.determinism import why_computed_values_differ

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.names import TableName
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session


_Column = tuple[str, str, str | None]
_QUERIES_PER_PACKET = 100
_HASH = "SHA2(CONCAT_WS('/', ordinal_position, HEX(column_name), HEX(column_type), HEX(character_set_name)), 256)"
# One row for each table, however many columns it has. Only tables in use whose digest differs are read in full.
_DIGESTS = f"""SELECT table_name, BIT_XOR(CAST(CONV(LEFT({_HASH}, 16), 16, 10) AS UNSIGNED)),
 BIT_XOR(CAST(CONV(SUBSTR({_HASH}, 17, 16), 16, 10) AS UNSIGNED)) FROM information_schema.columns
 WHERE table_schema = %s GROUP BY table_name"""
_COLUMNS = """SELECT column_name, column_type, character_set_name FROM information_schema.columns
 WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""


class Definitions:
    """A cache over the catalog, by the secondary's names. The entries of a table are forgotten after each DDL on it.

    `from_mariadb`: the primary is MariaDB.
    """

    def __init__(self, session: Session, selection: Selection, *, from_mariadb: bool) -> None:
        self._session = session
        self._selection = selection
        self._from_mariadb = from_mariadb
        # One entry for each table: the number of tables limits these caches, so they are never trimmed.
        self._tables: TableCache[TableName, TableDefinition] = TableCache(trims_itself=False)
        self._digests: TableCache[TableName, list[int]] = TableCache(trims_itself=False)
        self._sources: dict[TableName, TableName] = {}
        self._refused: TableCache[TableName, str | None] = TableCache(trims_itself=False)
        self._expected: Sequence[RowEvent] = ()

    @contextlib.contextmanager
    def expecting(self, events: Sequence[RowEvent]) -> Iterator[None]:
        """Name the events that are applied next. The first read of one of their tables reads all of them.

        Tables that are cached already are not read. A batch may use thousands of new tables, and each query costs a
        round trip.
        """
        self._expected = events
        try:
            yield
        finally:
            self._expected = ()

    def get(self, target: TableName, source: TableName | None = None) -> TableDefinition:
        """Return a table's definition. Raises Drift if the secondary has no such table.

        `source` is the primary's name of the table.
        """
        if target not in self._tables.entries:
            self._read(target, source or target)
        definition = self._tables.entries.get(target)
        if definition is None:
            raise Drift(f"{target} is missing on {self._session.server.name}")
        return definition

    def why_refused(self, target: TableName) -> str | None:
        """Return why rows of a cached table cannot be kept equal, or None.

        The reason is a column that is computed when a row is written, and gets other values than on the primary.
        """
        if target not in self._refused.entries:
            difference = why_computed_values_differ(
                self._tables.entries[target], from_mariadb=self._from_mariadb, to_mariadb=self._session.is_mariadb
            )
            reason = difference and f"{difference[0]} is computed when a row is written, and {difference[1]}"
            self._refused.keep(target, target, reason)
        return self._refused.entries[target]

    def _read(self, target: TableName, source: TableName) -> None:
        """Read one table, and those of the expected tables that are not cached.

        Missing tables stay without an entry.
        """
        # Only once: else the missing tables would be asked for again with each of the others.
        expected, self._expected = self._expected, ()
        sources = {self._selection.target(table.name): table.name for table in {e.head.table for e in expected}}
        wanted = {t: s for t, s in sources.items() if t is not None and t not in self._tables.entries}
        wanted[target] = source
        for name, definition in read_tables(self._session, sorted(wanted)).items():
            self._tables.keep(name, name, definition)
            self._digests.keep(name, name, _digest(_columns(definition)))
            self._sources[name] = wanted[name]

    def check(self) -> list[TableName]:
        """Forget the tables in use that somebody else altered, and return them by the primary's names.

        Added columns do no harm. Raises Drift if a column was dropped, moved or has another type or charset.
        """
        altered = []
        # Read all answers first: an error in the middle must not leave some tables forgotten and others not.
        for target, after in list(self._differing()):
            before = _columns(self._tables.entries[target])
            if not after or tuple(after) == before:
                # A dropped table is noticed at its next change.
                continue
            altered.append(self._sources[target])
            self.forget([target])
            known_names = {name for name, *_ in before}
            if tuple(c for c in after if c[0] in known_names) != before:
                server, source = self._session.server.name, self._sources[target]
                raise Drift(
                    f"{source}: {_difference(before, after)} on {server}, and no DDL of the primary did that",
                    hint=f"`replica drift check`, then `replica transfer {table_options([source])}`",
                    table=source,
                )
        return altered

    def _differing(self) -> Iterator[tuple[TableName, Sequence[_Column]]]:
        """Yield the tables in use whose columns may differ from the cached ones, with their present columns."""
        schemas = sorted({target.schema for target in self._tables.entries})
        answers = self._session.rows_of_each([_DIGESTS % self._session.escape(s) for s in schemas]) if schemas else []
        current = {
            (schema, table): digest for schema, rows in zip(schemas, answers, strict=True) for table, *digest in rows
        }
        # A table that is not in the answer counts as unchanged, because the server may spell its name in another way.
        differing = [
            t for t, digest in self._digests.entries.items() if current.get((t.schema, t.table), digest) != digest
        ]
        for first in range(0, len(differing), _QUERIES_PER_PACKET):
            targets = differing[first : first + _QUERIES_PER_PACKET]
            queries = [_COLUMNS % (self._session.escape(t.schema), self._session.escape(t.table)) for t in targets]
            yield from zip(targets, self._session.rows_of_each(queries), strict=True)

    def forget(self, targets: Collection[TableName] = ()) -> None:
        """Forget some tables, or all if none is given, because they changed."""
        self._tables.forget(targets)
        self._digests.forget(targets)
        self._refused.forget(targets)


def target_of(table: TableMap, selection: Selection) -> TableName:
    """Return the secondary's name of a table. Raises ApplyRefused if the table is not replicated."""
    target = selection.target(table.name)
    if target is None:
        raise ApplyRefused(f"{table.name} is not among the replicated tables")
    return target


def definition_of(event: RowEvent, definitions: Definitions, selection: Selection) -> TableDefinition:
    """Return the secondary's definition of an event's table.

    Raises:
        ApplyRefused: if the table is not replicated.
        Drift: if the secondary does not have the table; the error has the primary's name.
        ComputedOtherwise: if the secondary's table may compute other values than the primary's.

    """
    name, target = event.table.name, target_of(event.table, selection)
    try:
        definition = definitions.get(target, name)
    except Drift as error:
        raise Drift(
            error.message, hint=f"`replica transfer {table_options([name])}` copies it again", table=name
        ) from error
    if reason := definitions.why_refused(target):
        command = f"`replica transfer {table_options([name])}`"
        hint = f"define it in another way on the primary (VIRTUAL, without an index), then {command}"
        raise ComputedOtherwise(f"{name}: {reason}", hint=hint, table=name)
    return definition


def _columns(definition: TableDefinition) -> tuple[_Column, ...]:
    return tuple((c.name, c.column_type, c.charset) for c in definition.columns)


def _digest(columns: Sequence[_Column]) -> list[int]:
    """Return what the query `_DIGESTS` returns for a table with these columns."""
    halves = [0, 0]
    for ordinal, values in enumerate(columns, 1):
        text = "/".join([str(ordinal), *(value.encode().hex().upper() for value in values if value is not None)])
        digest = sha256(text.encode()).digest()
        for half in range(2):
            halves[half] ^= int.from_bytes(digest[half * 8 : half * 8 + 8], "big")
    return halves


def _difference(before: Sequence[_Column], after: Sequence[_Column]) -> str:
    names = {name: index for index, (name, *_) in enumerate(after)}
    for name, kind, charset in before:
        if name not in names:
            return f"column {name} is gone"
        _, now_kind, now_charset = after[names[name]]
        if (now_kind, now_charset) != (kind, charset):
            return f"column {name} is {now_kind}{f' {now_charset}' if now_charset else ''} now, not {kind}"
    return "columns have moved"
