"""Where a secondary's table is not what the primary's table is."""

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
    """What it is of a table that differs."""

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
    """One difference. `table` is the primary's name, `name` the column, index or the like (empty: the table itself).

    `primary` and `secondary` are the two sides in SQL's words, None where a side has nothing.
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
    """Differences that are there on purpose: patterns with `*` and `?` of the table, the aspect and the name in it.

    The table is the primary's; an aspect is written as `missing-column`.
    """

    table: str
    aspect: str = "*"
    name: str = "*"

    def accepts(self, difference: Difference) -> bool:
        """Return True for a difference that all three patterns match."""
        return (
            _matches(self.table, str(difference.table))
            and _matches(self.aspect, aspect_word(difference.aspect))
            and _matches(self.name, difference.name)
        )

    def __str__(self) -> str:
        return f"{self.table}:{self.aspect}:{self.name}"


def aspect_word(aspect: str) -> str:
    """Return an aspect as one word, for patterns: `missing-column`."""
    return aspect.replace(" ", "-")


def _matches(pattern: str, text: str) -> bool:
    # fnmatch knows [seq] as well; a bracket in a name is a bracket here.
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What was found on one secondary, and the SQL that puts it right, in the order to run it.

    `accepted` are the differences that the settings say are there on purpose: neither counted nor put right.
    `failure`: the secondary could not be asked, and nothing is known of it.
    """

    instance: str
    differences: tuple[Difference, ...]
    statements: tuple[str, ...]
    accepted: tuple[Difference, ...] = ()
    failure: Failure | None = None

    @property
    def breaks(self) -> bool:
        """Say whether any difference stops the stream or changes values."""
        return any(d.severity is Severity.BREAKS for d in self.differences)
