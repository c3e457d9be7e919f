"""Value types for drift: how the definition of a table differs between primary and secondary."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.table import TableName


class Severity(StrEnum):
    """How much a difference matters: `breaks` stops the stream or changes values, `differs` does neither."""

    BREAKS = "breaks"
    DIFFERS = "differs"


class Aspect(StrEnum):
    """The part of a table definition that differs."""

    MISSING_TABLE = "missing table"
    EXTRA_TABLE = "extra table"
    KIND = "kind"
    ENGINE = "engine"
    TABLE_COLLATION = "table collation"
    MISSING_COLUMN = "missing column"
    EXTRA_COLUMN = "extra column"
    COLUMN_ORDER = "column order"
    COLUMN_TYPE = "column type"
    CHARSET = "charset"
    COLLATION = "collation"
    NULLABILITY = "nullability"
    DEFAULT = "default"
    EXTRA = "extra"
    GENERATED = "generated"
    INDEX = "index"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    TRIGGER = "trigger"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the definitions of a table on the primary and on the secondary.

    Attributes:
        table: the table's name on the primary.
        secondary_table: its name on the secondary.
        name: the column, index or other part that differs; empty if it is the table itself.
        primary: the definition on the primary as SQL, None if the primary does not have this part.
        secondary: the same on the secondary.
    """

    table: TableName
    secondary_table: TableName
    aspect: Aspect
    name: str
    primary: str | None
    secondary: str | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class AcceptedDrift:
    """Differences that the user wants: patterns with `*` and `?` for the table, the aspect and the name in the table.

    `table` matches the name on the primary. An aspect is written as one word: `missing-column`.
    """

    table: str
    aspect: str = "*"
    name: str = "*"

    def accepts(self, difference: Difference) -> bool:
        """Return True if all three patterns match the difference."""
        return (
            _matches(self.table, str(difference.table))
            and _matches(self.aspect, aspect_word(difference.aspect))
            and _matches(self.name, difference.name)
        )

    def __str__(self) -> str:
        return f"{self.table}:{self.aspect}:{self.name}"


def aspect_word(aspect: str) -> str:
    """Return an aspect as one word, as patterns use it: `missing-column`."""
    return aspect.replace(" ", "-")


def _matches(pattern: str, text: str) -> bool:
    # fnmatch also understands [seq]. In these patterns a bracket is only a bracket of a name, so it is escaped.
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The differences on one secondary, and the SQL that corrects them.

    Attributes:
        differences: the differences that count.
        statements: SQL that corrects `differences`, in the order in which to run it.
        accepted: differences that the settings accept: neither counted nor corrected.
        failure: why the secondary could not be asked; then the other fields say nothing.
    """

    instance: str
    differences: tuple[Difference, ...]
    statements: tuple[str, ...]
    accepted: tuple[Difference, ...] = ()
    failure: Failure | None = None
