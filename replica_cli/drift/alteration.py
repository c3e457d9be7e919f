"""ALTER TABLE for one table: the primary's own words for each column, index and check that differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference
from replica_cli.core.printable import printable
from replica_cli.drift.engines import expected_engine
from replica_cli.drift.widening import is_widening
from replica_cli.sqlbuilder.definition import check_clause, column_clause, key_clause
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from replica_cli.core.table import TableDefinition

_CHANGED_COLUMN = frozenset(
    {Aspect.COLUMN_TYPE, Aspect.CHARSET, Aspect.COLLATION, Aspect.NULLABILITY, Aspect.DEFAULT, Aspect.EXTRA}
)
_MAY_LOSE = frozenset({Aspect.COLUMN_TYPE, Aspect.CHARSET, Aspect.NULLABILITY})


@dataclass(frozen=True, slots=True)
class Alteration:
    """One table's change; `text` is the CREATE TABLE that would make it anew on the secondary."""

    primary: TableDefinition
    secondary: TableDefinition
    text: str

    def statements(self, found: list[Difference], copy_again: str) -> list[str]:
        """Return the statements for one table's differences, `copy_again` before one that leaves values to be copied.

        Engine and default collation go first and alone: they decide what the words of a column mean.
        """
        table = quote_table(self.secondary.name)
        first = [f"ALTER TABLE {table} {o}" for d in found if (o := self._table_option(d))]
        clauses = [*self._dropped(found), *self._columns(found), *self._added(found)]
        if not clauses:
            return first
        lost = [f"-- {printable(w)}\n" for d in found if (w := _warning(d))]
        needs_copy = any(d.aspect is Aspect.MISSING_COLUMN or _is_to_be_filled(d) for d in found)
        comments = "".join(lost) + (copy_again if needs_copy else "")
        return [*first, f"{comments}ALTER TABLE {table}\n  " + ",\n  ".join(clauses)]

    def _table_option(self, difference: Difference) -> str:
        if difference.aspect is Aspect.ENGINE:
            return f"ENGINE = {expected_engine(self.primary.engine)}"
        if difference.aspect is Aspect.TABLE_COLLATION:
            return f"COLLATE = {difference.primary}"
        return ""

    def _remade(self, found: list[Difference]) -> set[str]:
        # A generated column cannot become another kind in place; it is dropped and added, and its indexes with it.
        return {d.name for d in found if d.aspect is Aspect.GENERATED}

    def _changed_indexes(self, found: list[Difference]) -> tuple[list[str], list[str]]:
        remade = self._remade(found)
        touched = [i.name for i in self.secondary.indexes if any(c.name in remade for c in i.columns)]
        indexes = [d for d in found if d.aspect is Aspect.INDEX]
        dropped = [_their_name(d, self.secondary) for d in indexes if d.secondary is not None]
        added = [d.name for d in indexes if d.primary is not None]
        ours = {i.name for i in self.primary.indexes}
        again = [n for n in touched if n not in dropped]
        return [*dropped, *again], [*added, *(n for n in again if n in ours and n not in added)]

    def _dropped(self, found: list[Difference]) -> list[str]:
        indexes, _ = self._changed_indexes(found)
        clauses = ["DROP PRIMARY KEY" if n == "PRIMARY" else f"DROP INDEX {quote(n)}" for n in indexes]
        columns = {c.name for c in self.secondary.columns}
        # A check that bears a column's name belongs to the column, and goes when the column is written anew.
        checks = (d.name for d in found if _is_extra_check(d) and d.name not in columns)
        clauses += [f"DROP CONSTRAINT {quote(n)}" for n in checks]
        clauses += [f"DROP COLUMN {quote(n)}" for n in self._remade(found)]
        return clauses + [f"DROP COLUMN {quote(d.name)}" for d in found if d.aspect is Aspect.EXTRA_COLUMN]

    def _columns(self, found: list[Difference]) -> list[str]:
        missing = {d.name for d in found if d.aspect is Aspect.MISSING_COLUMN} | self._remade(found)
        changed = {d.name for d in found if d.aspect in _CHANGED_COLUMN}
        changed |= {d.name for d in found if d.aspect is Aspect.CHECK and self._is_column_check(d)}
        is_reordered = any(d.aspect is Aspect.COLUMN_ORDER for d in found)
        clauses, place = [], "FIRST"
        for column in self.primary.columns:
            clause = column_clause(self.text, column.name)
            if clause is not None and column.name in missing:
                clauses.append(f"ADD COLUMN {clause} {place}")
            elif clause is not None and is_reordered:
                clauses.append(f"MODIFY COLUMN {clause} {place}")
            elif clause is not None and column.name in changed:
                clauses.append(f"MODIFY COLUMN {clause}")
            place = f"AFTER {quote(column.name)}"
        return clauses

    def _added(self, found: list[Difference]) -> list[str]:
        _, indexes = self._changed_indexes(found)
        keys = (key_clause(self.text, n) for n in indexes)
        checks = (check_clause(self.text, d.name) for d in found if d.aspect is Aspect.CHECK and d.primary is not None)
        return [f"ADD {clause}" for clause in (*keys, *checks) if clause is not None]

    def _is_column_check(self, difference: Difference) -> bool:
        if difference.primary is not None:
            return check_clause(self.text, difference.name) is None
        return any(c.name == difference.name for c in self.secondary.columns)


def _warning(difference: Difference) -> str:
    name = difference.name
    if difference.aspect is Aspect.EXTRA_COLUMN:
        return f"the values of column {name} are lost"
    if difference.aspect in _MAY_LOSE and not _loses_nothing(difference):
        return f"column {name}: values that do not fit {difference.primary} are refused, cut or changed"
    if difference.aspect is Aspect.GENERATED:
        return f"column {name} is dropped and made again"
    return ""


def _loses_nothing(difference: Difference) -> bool:
    """Return True if the secondary's values all fit what the primary has."""
    ours, theirs = difference.primary or "", difference.secondary or ""
    match difference.aspect:
        case Aspect.NULLABILITY:
            return ours == "NULL"
        case Aspect.CHARSET:
            return ours == "utf8mb4" and bool(theirs) and theirs != "binary"
        case _:
            return is_widening(theirs, ours)


def _is_to_be_filled(difference: Difference) -> bool:
    return difference.aspect is Aspect.GENERATED and difference.primary is None


def _is_extra_check(difference: Difference) -> bool:
    return difference.aspect is Aspect.CHECK and difference.secondary is not None


def _their_name(difference: Difference, table: TableDefinition) -> str:
    return next((i.name for i in table.indexes if i.name.lower() == difference.name.lower()), difference.name)
