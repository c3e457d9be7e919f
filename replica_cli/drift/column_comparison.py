"""Compare the columns of two tables: which columns exist, their order, and the definition of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.drift.description import describe_column, describe_generated
from replica_cli.drift.equivalence import charset, column_type, compact, is_json, loose
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.sqlbuilder.definitions.crossing import Crossing


@dataclass(frozen=True, slots=True)
class Pair:
    """A table of the primary and the table on the secondary that replicates it.

    `crossing` is None if both servers are of one flavour.
    """

    primary: TableDefinition
    secondary: TableDefinition
    crossing: Crossing | None = None

    @property
    def is_same_flavour(self) -> bool:
        """Return True if both servers are of one flavour."""
        return self.crossing is None

    def collation(self, name: str | None) -> str | None:
        """Return the collation that the secondary should have if the primary has `name`."""
        return charset(name if self.crossing is None or name is None else self.crossing.collation(name) or name)

    def difference(
        self, aspect: Aspect, name: str, primary: str | None, secondary: str | None, severity: Severity
    ) -> Difference:
        """Return a `Difference` between these two tables."""
        return Difference(self.primary.name, self.secondary.name, aspect, name, primary, secondary, severity)

    def is_same_expression(self, primary: str, secondary: str) -> bool:
        """Return True if two expressions are the same as far as their text shows.

        Between two flavours parentheses are ignored, because each flavour prints its own.
        """
        if compact(self._routed(primary)) == compact(secondary):
            return True
        return not self.is_same_flavour and loose(self._routed(primary)) == loose(secondary)

    def _routed(self, expression: str) -> str:
        # In an expression only the name of a sequence has a schema. The sequence is on the secondary in the table's
        # schema.
        primary_schema, secondary_schema = quote(self.primary.name.schema), quote(self.secondary.name.schema)
        return (
            expression
            if primary_schema == secondary_schema
            else expression.replace(f"{primary_schema}.", f"{secondary_schema}.")
        )


def compare_columns(pair: Pair) -> Iterator[Difference]:
    """Yield the differences of the columns: missing and extra columns, then the order, then each common column."""
    primary_columns, secondary_columns = pair.primary.columns, pair.secondary.columns
    secondary_by_name = {c.name.lower(): c for c in secondary_columns}
    primary_names = {c.name.lower() for c in primary_columns}
    last_common = max((p for p, c in enumerate(secondary_columns) if c.name.lower() in primary_names), default=-1)
    for column in primary_columns:
        if column.name.lower() not in secondary_by_name:
            yield pair.difference(
                Aspect.MISSING_COLUMN, column.name, describe_column(column), None, Severity.BREAKS
            )  # fmt: skip
    for number, column in enumerate(secondary_columns):
        if column.name.lower() not in primary_names:
            # Rows are written by position or by name. An extra column is harmless only if it is after all common
            # columns and gets its value by itself.
            is_filled = column.default is not None or column.is_generated or "auto_increment" in column.extra.lower()
            severity = Severity.DIFFERS if is_filled and number > last_common else Severity.BREAKS
            yield pair.difference(Aspect.EXTRA_COLUMN, column.name, None, describe_column(column), severity)
    primary_order = [c.name for c in primary_columns if c.name.lower() in secondary_by_name]
    secondary_order = [c.name for c in secondary_columns if c.name.lower() in primary_names]
    if [n.lower() for n in primary_order] != [n.lower() for n in secondary_order]:
        yield pair.difference(
            Aspect.COLUMN_ORDER, "", ", ".join(primary_order), ", ".join(secondary_order), Severity.BREAKS
        )  # fmt: skip
    for column in primary_columns:
        if secondary_column := secondary_by_name.get(column.name.lower()):
            yield from _compare(pair, column, secondary_column)


def _compare(pair: Pair, primary: Column, secondary: Column) -> Iterator[Difference]:
    name = primary.name
    primary_type = column_type(primary, pair.primary, is_same_flavour=pair.is_same_flavour)
    secondary_type = column_type(secondary, pair.secondary, is_same_flavour=pair.is_same_flavour)
    if pair.is_same_flavour and primary.srid != secondary.srid:
        primary_type, secondary_type = f"{primary_type} SRID {primary.srid}", f"{secondary_type} SRID {secondary.srid}"
    if primary_type != secondary_type:
        yield pair.difference(Aspect.COLUMN_TYPE, name, primary_type, secondary_type, Severity.BREAKS)
    if not is_json(primary, pair.primary):
        yield from _compare_text(pair, primary, secondary)
    primary_formula, secondary_formula = describe_generated(primary), describe_generated(secondary)
    if not _is_same_formula(pair, primary_formula, secondary_formula):
        yield pair.difference(Aspect.GENERATED, name, primary_formula, secondary_formula, Severity.BREAKS)
    if primary_formula is not None or secondary_formula is not None:
        # The expression of a generated column decides which values it can have.
        return
    if primary.is_nullable != secondary.is_nullable:
        severity = Severity.BREAKS if primary.is_nullable else Severity.DIFFERS
        words = ("NULL" if c.is_nullable else "NOT NULL" for c in (primary, secondary))
        yield pair.difference(Aspect.NULLABILITY, name, next(words), next(words), severity)
    if not _is_same_default(pair, primary, secondary):
        yield pair.difference(Aspect.DEFAULT, name, primary.default, secondary.default, Severity.DIFFERS)
    if primary.extra.lower() != secondary.extra.lower():
        yield pair.difference(Aspect.EXTRA, name, primary.extra, secondary.extra, Severity.DIFFERS)


def _compare_text(pair: Pair, primary: Column, secondary: Column) -> Iterator[Difference]:
    if charset(primary.charset) != charset(secondary.charset):
        yield pair.difference(Aspect.CHARSET, primary.name, primary.charset, secondary.charset, Severity.BREAKS)
    elif pair.collation(primary.collation) != charset(secondary.collation):
        # Two values that are equal in one collation can differ in another, so a unique key can accept or refuse other
        # rows.
        unique = (i for i in pair.primary.indexes + pair.secondary.indexes if i.is_unique)
        is_key = any(part.name.lower() == primary.name.lower() for i in unique for part in i.columns)
        severity = Severity.BREAKS if is_key else Severity.DIFFERS
        yield pair.difference(Aspect.COLLATION, primary.name, primary.collation, secondary.collation, severity)


def _is_same_formula(pair: Pair, primary: str | None, secondary: str | None) -> bool:
    if primary is None or secondary is None:
        return primary is secondary
    return pair.is_same_expression(primary, secondary)


def _is_same_default(pair: Pair, primary: Column, secondary: Column) -> bool:
    if primary.default is None or secondary.default is None:
        # A column that became NOT NULL also lost its DEFAULT NULL. That is one difference, not two.
        return primary.default is secondary.default or (
            primary.is_nullable != secondary.is_nullable and "NULL" in (primary.default, secondary.default)
        )
    return pair.is_same_expression(primary.default, secondary.default)
