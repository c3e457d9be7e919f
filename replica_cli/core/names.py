"""The names of tables, which much more of the code needs than their definitions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """Schema and table, unquoted."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"
