"""What a statement really did on the primary: the cases in which running its text would do something else here.

A temporary table hides a real one of its name from its own connection, and the log does not name which of the two a
statement means. What the servers do log, found on MariaDB 10.11 and 11.8 and MySQL 9.7, in all binlog formats:

- TRUNCATE, ALTER TABLE, CREATE and DROP INDEX and CREATE TABLE … LIKE on a temporary table are in the log only in
  statement and mixed format, and always carry the flag "thread specific". Others may carry it too (in a procedure that
  used a temporary table before, and with CONNECTION_ID()): with the flag it may be so, without it is not.
- RENAME TABLE of a temporary table (MariaDB) is in the log in every format, without the flag.
- The servers rewrite DROP TABLE: DROP TEMPORARY TABLE for temporary ones, DROP TABLE for real ones.

So nothing has to be remembered of connections, and a stream may begin anywhere. If no table of that name is on the
secondary, the statement was about a temporary one. If one is, and the primary cannot tell, the table is copied again.
Only a rename of which the primary has neither name is run and remembered: a later statement or row proves it wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.decision import Decision, Verdict
from replica_cli.applier.window import TableChangedInWindow
from replica_cli.mysql.catalog import read_table
from replica_cli.sqlbuilder.clauses import dropped_constraints
from replica_cli.sqlbuilder.effects import is_made_of_query, is_of_tablespace, refused_engine
from replica_cli.sqlbuilder.engines import EngineKind, kind_of, why_refused
from replica_cli.sqlbuilder.history import why_statement_refused
from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.unproven import UnprovenRenames
    from replica_cli.core.events import Statement
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statement import ParsedStatement

_ONE_OF_TWO = "may mean a temporary table of that name: the log does not tell"


@dataclass(frozen=True, slots=True)
class MissingConstraints:
    """Names in lower case. `is_left_out`: the table has none of them under another name either."""

    names: frozenset[str] = frozenset()
    is_left_out: bool = False


class StatementEffects:
    """Judges statements on replicated tables, which are named as the primary names them.

    `catalog` is a session on the secondary; `read_primary` returns the primary's definitions of now of those tables
    that are there.
    """

    def __init__(
        self,
        catalog: Session,
        selection: Selection,
        read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
        renames: UnprovenRenames,
        *,
        renames_temporary: bool,
    ) -> None:
        self._catalog = catalog
        self._selection = selection
        self._read_primary = read_primary
        self._renames = renames
        self._renames_temporary = renames_temporary

    def check_dropped(self, parsed: ParsedStatement, selected: tuple[TableName, ...]) -> None:
        """Raise TableChangedInWindow for a DROP TABLE of what a RENAME TABLE had taken away: that meant another one."""
        names = tuple(n for n in selected if n in self._renames)
        if parsed.kind is StatementKind.DROP_TABLE and names:
            raise TableChangedInWindow(names, f"a RENAME TABLE before this {parsed.kind} meant a temporary table")

    def of_temporary(
        self, statement: Statement, parsed: ParsedStatement, selected: tuple[TableName, ...], *, are_live: bool
    ) -> Decision | None:
        """Return IGNORE for a statement on temporary tables alone, None for one that cannot be about any.

        `are_live`: none of the tables is being copied, so that what is on the secondary is what the primary had.
        Raises TableChangedInWindow where it may be about a temporary or a real one.
        """
        if parsed.kind is StatementKind.TEMPORARY_SEQUENCE:
            # ALTER SEQUENCE carries no flag: from here on it may mean either, and a copy of now would not change that.
            hidden = tuple(n for n in selected if self._is_here(n))
            reason = "a temporary sequence of that name hides it: the log does not tell which of the two changes"
            if hidden:
                return Decision(Verdict.QUARANTINE, reason, hidden)
            return Decision(Verdict.IGNORE, "temporary sequence")
        if parsed.kind is StatementKind.RENAME_TABLE and self._renames_temporary:
            is_known = are_live and len(selected) == len(parsed.tables)
            return self._of_rename(parsed, selected) if is_known else None
        if not statement.is_thread_specific or parsed.kind not in (StatementKind.TRUNCATE, StatementKind.ALTER_TABLE):
            return None
        if are_live and parsed.tables[0] in selected and not self._is_here(parsed.tables[0]):
            return Decision(Verdict.IGNORE, "temporary table")
        raise TableChangedInWindow(selected, f"{parsed.kind} {_ONE_OF_TWO}")

    def _of_rename(self, parsed: ParsedStatement, names: tuple[TableName, ...]) -> Decision | None:
        here = [n for n in dict.fromkeys(names) if self._is_here(n)]
        if not here and not self._read_primary(list(names)):
            return Decision(Verdict.IGNORE, "rename of what is no table on either server (temporary, or a view)")
        # The name of before of each table by its name of after, if the statement meant real tables only.
        origins = {name: name for name in here}
        for old, new in zip(names[::2], names[1::2], strict=True):
            if old not in origins or (new in origins and not self._is_renamed(old, new)):
                raise TableChangedInWindow(_once(names), f"{parsed.kind} {_ONE_OF_TWO}")
            origins[new] = origins.pop(old)
        # A name that is taken again in the same statement had become free: its table was real. About the others the
        # primary is asked: a table that was renamed has its new name, or has neither any more.
        doubtful = {old: new for new, old in origins.items() if old not in origins}
        there = self._read_primary([*doubtful, *doubtful.values()]) if doubtful else {}
        if any(old in there and new not in there for old, new in doubtful.items()):
            raise TableChangedInWindow(_once(names), f"{parsed.kind} {_ONE_OF_TWO}")
        # With neither name there, what comes next of the old one tells: a row of it, or its DROP, proves it wrong.
        self._renames.add({old: new for old, new in doubtful.items() if new not in there})
        return None

    def _is_renamed(self, old: TableName, new: TableName) -> bool:
        """Say whether the primary renamed a real table: then one of the new name here is the secondary's own."""
        there = self._read_primary([old, new])
        return new in there and old not in there

    def of_rows(
        self, statement: Statement, parsed: ParsedStatement, selected: tuple[TableName, ...]
    ) -> Decision | None:
        """Return a decision for a statement that brings or takes rows otherwise than by its text, None for another.

        Raises TableChangedInWindow where only a copy can tell which rows are there now.
        """
        if statement.is_thread_specific and parsed.kind is StatementKind.CREATE_TABLE and parsed.model is not None:
            raise TableChangedInWindow(selected, f"{parsed.kind} like {parsed.model}, which {_ONE_OF_TWO}")
        if is_made_of_query(parsed):
            raise TableChangedInWindow(selected, f"{parsed.kind} from a query, logged as a statement without its rows")
        if statement.error_code:
            raise TableChangedInWindow(
                selected, f"{parsed.kind} failed on the primary with error {statement.error_code} after it had begun"
            )
        if is_of_tablespace(parsed, "IMPORT"):
            raise TableChangedInWindow(selected, f"{parsed.kind} took its rows from a file of the primary")
        if is_of_tablespace(parsed, "DISCARD"):
            return Decision(Verdict.IGNORE, "DISCARD TABLESPACE: the rows stay until the primary has others")
        return None

    def of_engine(self, parsed: ParsedStatement) -> Decision | None:
        """Return QUARANTINE where rows of the tables, or of those that they merge, cannot be followed by the log.

        Also for a sequence on MySQL, which has none, and for row versions that cannot be the same on the secondary.
        """
        selected = tuple(n for n in parsed.tables if self._selection.target(n) is not None)
        merged = tuple(n for n in parsed.parts if self._selection.target(n) is not None)
        if parsed.kind is StatementKind.SEQUENCE and selected and not self._catalog.is_mariadb:
            return Decision(Verdict.QUARANTINE, "MySQL has no sequences", selected, is_uncopyable=True)
        if reason := self._why_history_refused(parsed, selected):
            return Decision(Verdict.QUARANTINE, f"{parsed.kind}: {reason}", selected, is_uncopyable=True)
        if merged:
            reason = f"{parsed.kind} of a MERGE table: what is changed through it is not logged as rows of its tables"
            return Decision(Verdict.QUARANTINE, reason, _once((*selected, *merged)), is_uncopyable=True)
        if not selected or parsed.kind not in (
            StatementKind.CREATE_TABLE,
            StatementKind.ALTER_TABLE,
            StatementKind.RENAME_TABLE,
        ):
            return None
        engine = refused_engine(parsed)
        if engine is not None:
            return self._refused(parsed, engine, selected)
        # The log does not say which engine the session had as its default, nor that of a table that is a model.
        definitions = self._read_primary(list(_once(selected)))
        engines = (d.engine for d in definitions.values() if d.engine)
        refused = next((e for e in engines if kind_of(e) is EngineKind.REFUSED), None)
        return self._refused(parsed, refused, selected) if refused else None

    def _refused(self, parsed: ParsedStatement, engine: str, tables: tuple[TableName, ...]) -> Decision:
        reason = f"{parsed.kind}: {why_refused(engine)}"
        return Decision(Verdict.QUARANTINE, reason, tables, is_uncopyable=True)

    def _why_history_refused(self, parsed: ParsedStatement, selected: tuple[TableName, ...]) -> str | None:
        if not selected or parsed.kind not in (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE):
            return None
        target = self._selection.target(selected[0])
        is_altered = parsed.kind is StatementKind.ALTER_TABLE and self._catalog.is_mariadb
        before = read_table(self._catalog, target) if is_altered and target is not None else None
        return why_statement_refused(parsed, before, to_mariadb=self._catalog.is_mariadb)

    def on_primary(self, names: Sequence[TableName]) -> tuple[TableName, ...]:
        """Return those of some tables that the primary has now."""
        there = self._read_primary(list(names)) if names else {}
        return tuple(name for name in names if name in there)

    def missing_constraints(self, parsed: ParsedStatement) -> MissingConstraints:
        """Return what an ALTER TABLE drops that the secondary's table has not.

        The copy leaves foreign keys out, and gives other names to checks that MySQL would refuse. One of another name
        is still there: if the primary's table of now does not have the name of one that is here, it may be that one.
        """
        names = dropped_constraints(parsed)
        target = self._selection.target(parsed.tables[0]) if names else None
        here = read_table(self._catalog, target) if target is not None else None
        if here is None:
            return MissingConstraints()
        constraints = _constraints(here)
        # DROP CONSTRAINT of MariaDB takes a unique key too. A foreign key's own index has its name, and stays.
        missing = names - constraints - {index.name.lower() for index in here.indexes if index.is_unique}
        there = self._read_primary([parsed.tables[0]]).get(parsed.tables[0]) if missing else None
        is_left_out = there is not None and not constraints - _constraints(there) - names
        return MissingConstraints(missing, is_left_out=is_left_out)

    def _is_here(self, name: TableName) -> bool:
        target = self._selection.target(name)
        return target is not None and read_table(self._catalog, target) is not None


def _constraints(definition: TableDefinition) -> frozenset[str]:
    named = (*(key.name for key in definition.foreign_keys), *(name for name, _ in definition.checks))
    return frozenset(name.lower() for name in named)


def _once(names: Sequence[TableName]) -> tuple[TableName, ...]:
    return tuple(dict.fromkeys(names))
