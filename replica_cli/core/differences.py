"""Where a secondary's table is not what the primary's table is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
class DriftReport:
    """What was found on one secondary, and the SQL that puts it right, in the order to run it."""

    instance: str
    differences: tuple[Difference, ...]
    statements: tuple[str, ...]

    @property
    def breaks(self) -> bool:
        """Say whether any difference stops the stream or changes values."""
        return any(d.severity is Severity.BREAKS for d in self.differences)
