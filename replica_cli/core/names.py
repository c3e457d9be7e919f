"""Table names. They have a module of their own, because much more code needs names than definitions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """The name of a table: schema and table, unquoted."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"
