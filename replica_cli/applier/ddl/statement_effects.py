"""Decide what a statement really did on the primary if its text would do something else on the secondary.

A temporary table hides a real one of its name from its own connection, and the log does not name which of the two a
statement means. The servers log the following (measured on MariaDB 10.11 and 11.8 and MySQL 9.7, in all binlog
formats):

- TRUNCATE, ALTER TABLE, CREATE and DROP INDEX and CREATE TABLE … LIKE on a temporary table are in the log only in
  statement and mixed format, and always carry the flag "thread specific". Other statements may carry it too (in a
  procedure that used a temporary table before, and with CONNECTION_ID()). So with the flag a statement may mean a
  temporary table, and without the flag it does not.
- RENAME TABLE of a temporary table (MariaDB) is in the log in every format, without the flag.
- The servers rewrite DROP TABLE: DROP TEMPORARY TABLE for temporary ones, DROP TABLE for real ones.

So no state of the primary's connections is needed, and a stream may begin anywhere. If the secondary has no table of
that name, the statement meant a temporary one. If it has one, and the primary's tables do not answer the question, the
table is copied again. Only a rename of which the primary has neither name runs and is remembered: a later statement or
row can prove that it meant a temporary table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.decision import Decision, Verdict
from replica_cli.core.errors import TableChangedInWindow
from replica_cli.mysql.catalog.table_definitions import read_table
from replica_cli.sqlbuilder.statements.clauses import dropped_constraints
from replica_cli.sqlbuilder.statements.side_effects import is_made_of_query, is_of_tablespace, refused_engine
from replica_cli.sqlbuilder.statements.statement import StatementKind
from replica_cli.sqlbuilder.statements.system_versioning import why_statement_refused
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of, why_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.ddl.unconfirmed_renames import UnconfirmedRenames
    from replica_cli.core.events import Statement
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

_MAYBE_TEMPORARY = "may mean a temporary table of that name: the log does not show which"


@dataclass(frozen=True, slots=True)
class MissingConstraints:
    """Constraints that a statement drops and that the secondary's table does not have, by their names in lower case.

    `is_left_out`: the table does not have them under another name either.
    """

    names: frozenset[str] = frozenset()
    is_left_out: bool = False


class StatementEffects:
    """Judges statements on selected tables, by the primary's names.

    `catalog` is a session on the secondary. `read_primary` returns the primary's present definitions of those of the
    given tables that exist. `renames_temporary`: the primary can rename temporary tables (MariaDB).
    """

    def __init__(
        self,
        catalog: Session,
        selection: Selection,
        read_primary: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]],
        renames: UnconfirmedRenames,
        *,
        renames_temporary: bool,
    ) -> None:
        self._catalog = catalog
        self._selection = selection
        self._read_primary = read_primary
        self._renames = renames
        self._renames_temporary = renames_temporary

    def check_dropped(self, parsed: ParsedStatement, selected: tuple[TableName, ...]) -> None:
        """Raise TableChangedInWindow for a DROP TABLE of a name that a RENAME TABLE had taken away.

        The DROP TABLE proves that the rename meant a temporary table.
        """
        names = tuple(n for n in selected if n in self._renames)
        if parsed.kind is StatementKind.DROP_TABLE and names:
            raise TableChangedInWindow(names, f"a RENAME TABLE before this {parsed.kind} meant a temporary table")

    def of_temporary(
        self, statement: Statement, parsed: ParsedStatement, selected: tuple[TableName, ...], *, are_live: bool
    ) -> Decision | None:
        """Return the decision about a statement that means a temporary table, None if it does not.

        It is IGNORE, or QUARANTINE for a temporary sequence that hides a sequence of the secondary. `are_live`: all
        tables are applied strictly, so the secondary has exactly the tables that the primary had. Raises
        TableChangedInWindow if the statement may mean a temporary or a real table.
        """
        if parsed.kind is StatementKind.TEMPORARY_SEQUENCE:
            # ALTER SEQUENCE is logged without the flag. From this position on it may mean the temporary or the real
            # sequence, and a new copy would not change that.
            hidden = tuple(n for n in selected if self._is_on_secondary(n))
            reason = "a temporary sequence of that name hides it: the log does not show which of the two changes"
            if hidden:
                return Decision(Verdict.QUARANTINE, reason, hidden)
            return Decision(Verdict.IGNORE, "temporary sequence")
        if parsed.kind is StatementKind.RENAME_TABLE and self._renames_temporary:
            is_known = are_live and len(selected) == len(parsed.tables)
            return self._of_rename(parsed, selected) if is_known else None
        if not statement.is_thread_specific or parsed.kind not in (StatementKind.TRUNCATE, StatementKind.ALTER_TABLE):
            return None
        if are_live and parsed.tables[0] in selected and not self._is_on_secondary(parsed.tables[0]):
            return Decision(Verdict.IGNORE, "temporary table")
        raise TableChangedInWindow(selected, f"{parsed.kind} {_MAYBE_TEMPORARY}")

    def _of_rename(self, parsed: ParsedStatement, names: tuple[TableName, ...]) -> Decision | None:
        on_secondary = [n for n in dict.fromkeys(names) if self._is_on_secondary(n)]
        if not on_secondary and not self._read_primary(list(names)):
            return Decision(Verdict.IGNORE, "rename of a name that is a table on neither server (temporary, or a view)")
        # The former name of each table by its new name, if the statement meant real tables only.
        origins = {name: name for name in on_secondary}
        for old, new in zip(names[::2], names[1::2], strict=True):
            if old not in origins or (new in origins and not self._is_renamed(old, new)):
                raise TableChangedInWindow(_distinct(names), f"{parsed.kind} {_MAYBE_TEMPORARY}")
            origins[new] = origins.pop(old)
        # A name that becomes free and is given away in the same statement belonged to a real table. For the other names
        # the primary is asked: a table that it renamed has its new name, or neither name any more.
        doubtful = {old: new for new, old in origins.items() if old not in origins}
        primary_tables = self._read_primary([*doubtful, *doubtful.values()]) if doubtful else {}
        if any(old in primary_tables and new not in primary_tables for old, new in doubtful.items()):
            raise TableChangedInWindow(_distinct(names), f"{parsed.kind} {_MAYBE_TEMPORARY}")
        # If the primary has neither name, a later event shows what was meant: a row or a DROP of the old name proves
        # that the rename meant a temporary table.
        self._renames.add({old: new for old, new in doubtful.items() if new not in primary_tables})
        return None

    def _is_renamed(self, old: TableName, new: TableName) -> bool:
        """Return True if the primary renamed a real table: then the secondary's table of the new name is its own."""
        primary_tables = self._read_primary([old, new])
        return new in primary_tables and old not in primary_tables

    def of_rows(
        self, statement: Statement, parsed: ParsedStatement, selected: tuple[TableName, ...]
    ) -> Decision | None:
        """Return the decision about a statement that changes rows in another way than its text says, else None.

        Raises TableChangedInWindow if only a copy can show which rows the table has.
        """
        if statement.is_thread_specific and parsed.kind is StatementKind.CREATE_TABLE and parsed.model is not None:
            raise TableChangedInWindow(selected, f"{parsed.kind} like {parsed.model}, which {_MAYBE_TEMPORARY}")
        if is_made_of_query(parsed):
            raise TableChangedInWindow(selected, f"{parsed.kind} from a query, logged as a statement without its rows")
        if statement.error_code:
            raise TableChangedInWindow(
                selected, f"{parsed.kind} failed on the primary with error {statement.error_code} after it had begun"
            )
        if is_of_tablespace(parsed, "IMPORT"):
            raise TableChangedInWindow(selected, f"{parsed.kind} took its rows from a file of the primary")
        if is_of_tablespace(parsed, "DISCARD"):
            return Decision(
                Verdict.IGNORE, "DISCARD TABLESPACE: the secondary keeps the rows until the primary imports others"
            )
        return None

    def of_engine(self, parsed: ParsedStatement) -> Decision | None:
        """Return QUARANTINE if the log does not show all changes of the tables' rows.

        That is so for tables of some engines, and for the tables that a MERGE table merges. Also return QUARANTINE for
        a sequence if the secondary is MySQL, which has none, and for row versions that cannot be the same on the
        secondary. Return None for any other statement.
        """
        selected = tuple(n for n in parsed.tables if self._selection.target(n) is not None)
        merged = tuple(n for n in parsed.parts if self._selection.target(n) is not None)
        if parsed.kind is StatementKind.SEQUENCE and selected and not self._catalog.is_mariadb:
            return Decision(Verdict.QUARANTINE, "MySQL has no sequences", selected, is_uncopyable=True)
        if reason := self._why_history_refused(parsed, selected):
            return Decision(Verdict.QUARANTINE, f"{parsed.kind}: {reason}", selected, is_uncopyable=True)
        if merged:
            reason = f"{parsed.kind} of a MERGE table: changes through it are not logged as rows of its tables"
            return Decision(Verdict.QUARANTINE, reason, _distinct((*selected, *merged)), is_uncopyable=True)
        if not selected or parsed.kind not in (
            StatementKind.CREATE_TABLE,
            StatementKind.ALTER_TABLE,
            StatementKind.RENAME_TABLE,
        ):
            return None
        engine = refused_engine(parsed)
        if engine is not None:
            return self._refused(parsed, engine, selected)
        # The log does not name the default engine of the session, or the engine of the table that the new one is made
        # LIKE.
        definitions = self._read_primary(list(_distinct(selected)))
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
        primary_tables = self._read_primary(list(names)) if names else {}
        return tuple(name for name in names if name in primary_tables)

    def missing_constraints(self, parsed: ParsedStatement) -> MissingConstraints:
        """Return the constraints that an ALTER TABLE drops and that the secondary's table does not have.

        The copy leaves foreign keys out, and renames checks whose names MySQL would refuse. So a missing constraint may
        exist under another name. It may be any constraint of the secondary whose name the primary's table does not have
        now.
        """
        names = dropped_constraints(parsed)
        target = self._selection.target(parsed.tables[0]) if names else None
        secondary_table = read_table(self._catalog, target) if target is not None else None
        if secondary_table is None:
            return MissingConstraints()
        constraints = _constraints(secondary_table)
        # DROP CONSTRAINT of MariaDB also drops a unique key. The index of a foreign key has the same name, and stays.
        missing = names - constraints - {index.name.lower() for index in secondary_table.indexes if index.is_unique}
        primary_table = self._read_primary([parsed.tables[0]]).get(parsed.tables[0]) if missing else None
        is_left_out = primary_table is not None and not constraints - _constraints(primary_table) - names
        return MissingConstraints(missing, is_left_out=is_left_out)

    def _is_on_secondary(self, name: TableName) -> bool:
        target = self._selection.target(name)
        return target is not None and read_table(self._catalog, target) is not None


def _constraints(definition: TableDefinition) -> frozenset[str]:
    named = (*(key.name for key in definition.foreign_keys), *(name for name, _ in definition.checks))
    return frozenset(name.lower() for name in named)


def _distinct(names: Sequence[TableName]) -> tuple[TableName, ...]:
    return tuple(dict.fromkeys(names))
