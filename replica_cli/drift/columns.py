"""Columns compared: which are there, in what order, and what each of them holds."""

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
    from replica_cli.sqlbuilder.definition_crossing import Crossing


@dataclass(frozen=True, slots=True)
class Pair:
    """A table of the primary beside the secondary's table that stands for it."""

    primary: TableDefinition
    secondary: TableDefinition
    crossing: Crossing | None = None

    @property
    def is_same_flavour(self) -> bool:
        """Say whether both sides are of one flavour."""
        return self.crossing is None

    def collation(self, name: str | None) -> str | None:
        """Return what the secondary should have for a collation of the primary."""
        return charset(name if self.crossing is None or name is None else self.crossing.collation(name) or name)

    def difference(
        self, aspect: Aspect, name: str, primary: str | None, secondary: str | None, severity: Severity
    ) -> Difference:
        """Return a difference of these two tables."""
        return Difference(self.primary.name, self.secondary.name, aspect, name, primary, secondary, severity)

    def is_same_expression(self, primary: str, secondary: str) -> bool:
        """Say whether two expressions are one, as far as their text tells; each flavour prints its own parentheses."""
        if compact(self._routed(primary)) == compact(secondary):
            return True
        return not self.is_same_flavour and loose(self._routed(primary)) == loose(secondary)

    def _routed(self, expression: str) -> str:
        # Only a sequence's name carries a schema here, and it is routed with its table.
        ours, theirs = quote(self.primary.name.schema), quote(self.secondary.name.schema)
        return expression if ours == theirs else expression.replace(f"{ours}.", f"{theirs}.")


def compare_columns(pair: Pair) -> Iterator[Difference]:
    """Yield where the columns differ: missing and extra ones, their order, then each one's own."""
    ours, theirs = pair.primary.columns, pair.secondary.columns
    theirs_by_name = {c.name.lower(): c for c in theirs}
    names = {c.name.lower() for c in ours}
    last_common = max((p for p, c in enumerate(theirs) if c.name.lower() in names), default=-1)
    for column in ours:
        if column.name.lower() not in theirs_by_name:
            yield pair.difference(
                Aspect.MISSING_COLUMN, column.name, describe_column(column), None, Severity.BREAKS
            )  # fmt: skip
    for place, column in enumerate(theirs):
        if column.name.lower() not in names:
            # Rows are written by position or by name; only a column after all others that fills itself is harmless.
            is_filled = column.default is not None or column.is_generated or "auto_increment" in column.extra.lower()
            severity = Severity.DIFFERS if is_filled and place > last_common else Severity.BREAKS
            yield pair.difference(Aspect.EXTRA_COLUMN, column.name, None, describe_column(column), severity)
    our_order = [c.name for c in ours if c.name.lower() in theirs_by_name]
    their_order = [c.name for c in theirs if c.name.lower() in names]
    if [n.lower() for n in our_order] != [n.lower() for n in their_order]:
        yield pair.difference(
            Aspect.COLUMN_ORDER, "", ", ".join(our_order), ", ".join(their_order), Severity.BREAKS
        )  # fmt: skip
    for column in ours:
        if other := theirs_by_name.get(column.name.lower()):
            yield from _compare(pair, column, other)


def _compare(pair: Pair, ours: Column, theirs: Column) -> Iterator[Difference]:
    name = ours.name
    our_type = column_type(ours, pair.primary, is_same_flavour=pair.is_same_flavour)
    their_type = column_type(theirs, pair.secondary, is_same_flavour=pair.is_same_flavour)
    if pair.is_same_flavour and ours.srid != theirs.srid:
        our_type, their_type = f"{our_type} SRID {ours.srid}", f"{their_type} SRID {theirs.srid}"
    if our_type != their_type:
        yield pair.difference(Aspect.COLUMN_TYPE, name, our_type, their_type, Severity.BREAKS)
    if not is_json(ours, pair.primary):
        yield from _compare_text(pair, ours, theirs)
    our_formula, their_formula = describe_generated(ours), describe_generated(theirs)
    if not _is_same_formula(pair, our_formula, their_formula):
        yield pair.difference(Aspect.GENERATED, name, our_formula, their_formula, Severity.BREAKS)
    if our_formula is not None or their_formula is not None:
        # What a generated column takes is decided by its expression.
        return
    if ours.is_nullable != theirs.is_nullable:
        severity = Severity.BREAKS if ours.is_nullable else Severity.DIFFERS
        words = ("NULL" if c.is_nullable else "NOT NULL" for c in (ours, theirs))
        yield pair.difference(Aspect.NULLABILITY, name, next(words), next(words), severity)
    if not _is_same_default(pair, ours, theirs):
        yield pair.difference(Aspect.DEFAULT, name, ours.default, theirs.default, Severity.DIFFERS)
    if ours.extra.lower() != theirs.extra.lower():
        yield pair.difference(Aspect.EXTRA, name, ours.extra, theirs.extra, Severity.DIFFERS)


def _compare_text(pair: Pair, ours: Column, theirs: Column) -> Iterator[Difference]:
    if charset(ours.charset) != charset(theirs.charset):
        yield pair.difference(Aspect.CHARSET, ours.name, ours.charset, theirs.charset, Severity.BREAKS)
    elif pair.collation(ours.collation) != charset(theirs.collation):
        # What is one key on the primary may be none, or two, under another collation.
        unique = (i for i in pair.primary.indexes + pair.secondary.indexes if i.is_unique)
        is_key = any(part.name.lower() == ours.name.lower() for i in unique for part in i.columns)
        severity = Severity.BREAKS if is_key else Severity.DIFFERS
        yield pair.difference(Aspect.COLLATION, ours.name, ours.collation, theirs.collation, severity)


def _is_same_formula(pair: Pair, ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return pair.is_same_expression(ours, theirs)


def _is_same_default(pair: Pair, ours: Column, theirs: Column) -> bool:
    if ours.default is None or theirs.default is None:
        # A column that became NOT NULL lost its DEFAULT NULL with it: one difference, not two.
        return ours.default is theirs.default or (
            ours.is_nullable != theirs.is_nullable and "NULL" in (ours.default, theirs.default)
        )
    return pair.is_same_expression(ours.default, theirs.default)
