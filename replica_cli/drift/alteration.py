"""Build the ALTER TABLE statements that make one table of the secondary like the primary's table.

Columns, indexes and checks that differ are written as the primary's SHOW CREATE TABLE writes them.
`replica_cli.drift.repair` uses this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference
from replica_cli.core.printable import printable
from replica_cli.drift.expected_engine import expected_engine
from replica_cli.drift.widening import is_widening
from replica_cli.sqlbuilder.definitions.create_statements import check_clause, column_clause, key_clause
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from replica_cli.core.table import TableDefinition

_NEEDS_MODIFY = frozenset(
    {Aspect.COLUMN_TYPE, Aspect.CHARSET, Aspect.COLLATION, Aspect.NULLABILITY, Aspect.DEFAULT, Aspect.EXTRA}
)
_MAY_LOSE = frozenset({Aspect.COLUMN_TYPE, Aspect.CHARSET, Aspect.NULLABILITY})


@dataclass(frozen=True, slots=True)
class Alteration:
    """The difference between one table of the primary and its table on the secondary, as SQL.

    `text` is the CREATE TABLE statement that makes the table on the secondary. The clauses are taken from it.
    """

    primary: TableDefinition
    secondary: TableDefinition
    text: str

    def statements(self, differences: list[Difference], copy_again: str) -> list[str]:
        """Return the statements that remove these differences of the table.

        Engine and default collation come first, each in a statement of its own: they decide what a column definition
        means. One ALTER TABLE makes all other changes. Comments before it warn about values that may be lost.

        Args:
            differences: the differences of this table only.
            copy_again: the comment that is put before the ALTER TABLE if the table must be copied again after it.
        """
        table = quote_table(self.secondary.name)
        first = [f"ALTER TABLE {table} {o}" for d in differences if (o := self._table_option(d))]
        clauses = [*self._dropped(differences), *self._columns(differences), *self._added(differences)]
        if not clauses:
            return first
        warnings = [f"-- {printable(w)}\n" for d in differences if (w := _warning(d))]
        needs_copy = any(d.aspect is Aspect.MISSING_COLUMN or _is_to_be_filled(d) for d in differences)
        comments = "".join(warnings) + (copy_again if needs_copy else "")
        return [*first, f"{comments}ALTER TABLE {table}\n  " + ",\n  ".join(clauses)]

    def _table_option(self, difference: Difference) -> str:
        if difference.aspect is Aspect.ENGINE:
            return f"ENGINE = {expected_engine(self.primary.engine)}"
        if difference.aspect is Aspect.TABLE_COLLATION:
            return f"COLLATE = {difference.primary}"
        return ""

    def _recreated_columns(self, differences: list[Difference]) -> set[str]:
        # A generated column cannot become another kind of column in place. It is dropped and added, and so are its
        # indexes.
        return {d.name for d in differences if d.aspect is Aspect.GENERATED}

    def _changed_indexes(self, differences: list[Difference]) -> tuple[list[str], list[str]]:
        """Return the names of the indexes to drop and of those to add."""
        recreated_columns = self._recreated_columns(differences)
        affected = [i.name for i in self.secondary.indexes if any(c.name in recreated_columns for c in i.columns)]
        indexes = [d for d in differences if d.aspect is Aspect.INDEX]
        dropped = [_name_on_secondary(d, self.secondary) for d in indexes if d.secondary is not None]
        added = [d.name for d in indexes if d.primary is not None]
        primary_names = {i.name for i in self.primary.indexes}
        recreated = [n for n in affected if n not in dropped]
        return [*dropped, *recreated], [*added, *(n for n in recreated if n in primary_names and n not in added)]

    def _dropped(self, differences: list[Difference]) -> list[str]:
        indexes, _ = self._changed_indexes(differences)
        clauses = ["DROP PRIMARY KEY" if n == "PRIMARY" else f"DROP INDEX {quote(n)}" for n in indexes]
        # A check that is part of a column is replaced or removed by MODIFY COLUMN.
        checks = (d.name for d in differences if _is_extra_check(d) and d.name not in self.secondary.column_checks)
        clauses += [f"DROP CONSTRAINT {quote(n)}" for n in checks]
        clauses += [f"DROP COLUMN {quote(n)}" for n in self._recreated_columns(differences)]
        return clauses + [f"DROP COLUMN {quote(d.name)}" for d in differences if d.aspect is Aspect.EXTRA_COLUMN]

    def _columns(self, differences: list[Difference]) -> list[str]:
        missing = {d.name for d in differences if d.aspect is Aspect.MISSING_COLUMN} | self._recreated_columns(
            differences
        )
        changed = {d.name for d in differences if d.aspect in _NEEDS_MODIFY}
        changed |= {d.name for d in differences if d.aspect is Aspect.CHECK and self._is_column_check(d)}
        is_reordered = any(d.aspect is Aspect.COLUMN_ORDER for d in differences)
        clauses, column_position = [], "FIRST"
        for column in self.primary.columns:
            clause = column_clause(self.text, column.name)
            if clause is not None and column.name in missing:
                clauses.append(f"ADD COLUMN {clause} {column_position}")
            elif clause is not None and is_reordered:
                clauses.append(f"MODIFY COLUMN {clause} {column_position}")
            elif clause is not None and column.name in changed:
                clauses.append(f"MODIFY COLUMN {clause}")
            column_position = f"AFTER {quote(column.name)}"
        return clauses

    def _added(self, differences: list[Difference]) -> list[str]:
        _, indexes = self._changed_indexes(differences)
        keys = (key_clause(self.text, n) for n in indexes)
        checks = (
            check_clause(self.text, d.name) for d in differences if d.aspect is Aspect.CHECK and d.primary is not None
        )
        return [f"ADD {clause}" for clause in (*keys, *checks) if clause is not None]

    def _is_column_check(self, difference: Difference) -> bool:
        if difference.primary is not None:
            return check_clause(self.text, difference.name) is None
        return difference.name in self.secondary.column_checks


def _warning(difference: Difference) -> str:
    name = difference.name
    if difference.aspect is Aspect.EXTRA_COLUMN:
        return f"the values of column {name} are lost"
    if difference.aspect in _MAY_LOSE and not _loses_nothing(difference):
        return f"column {name}: values that do not fit {difference.primary} are refused, cut or changed"
    if difference.aspect is Aspect.GENERATED:
        return f"column {name} is dropped and created again"
    return ""


def _loses_nothing(difference: Difference) -> bool:
    """Return True if the primary's column can hold every value of the secondary's column."""
    on_primary, on_secondary = difference.primary or "", difference.secondary or ""
    match difference.aspect:
        case Aspect.NULLABILITY:
            return on_primary == "NULL"
        case Aspect.CHARSET:
            return on_primary == "utf8mb4" and bool(on_secondary) and on_secondary != "binary"
        case _:
            return is_widening(on_secondary, on_primary)


def _is_to_be_filled(difference: Difference) -> bool:
    """Return True if a generated column becomes an ordinary one: its values must be copied from the primary."""
    return difference.aspect is Aspect.GENERATED and difference.primary is None


def _is_extra_check(difference: Difference) -> bool:
    return difference.aspect is Aspect.CHECK and difference.secondary is not None


def _name_on_secondary(difference: Difference, table: TableDefinition) -> str:
    return next((i.name for i in table.indexes if i.name.lower() == difference.name.lower()), difference.name)
