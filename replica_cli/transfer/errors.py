"""Why a copy, a table or a chunk cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.table import TableName


class TablesOccupied(ApplyRefused):
    """Tables that the copy would fill hold rows already."""

    code = "tables_occupied"

    def __init__(self, tables: Sequence[TableName]) -> None:
        names = ", ".join(map(str, tables))
        super().__init__(
            f"these tables hold rows on the secondary: {names}",
            hint="`replica transfer --restart` drops them and copies anew",
        )
        self.tables = tuple(tables)


class TablesRefused(ApplyRefused):
    """Tables that cannot be copied exactly; each with its reason."""

    code = "tables_refused"

    def __init__(self, refused: Mapping[TableName, str]) -> None:
        reasons = tuple(t if t.startswith(str(name)) else f"{name}: {t}" for name, t in refused.items())
        super().__init__("; ".join(reasons), hint="leave these tables out with REPLICA_EXCLUDE_TABLES")
        self.refused = dict(refused)
        self.reasons = reasons


class RowTooLarge(ApplyRefused):
    """One row does not fit a packet."""

    code = "row_too_large"


class ChunkBroken(ApplyRefused):
    """The primary's answer is not the chunk that was asked for, or the secondary took another number of rows."""

    code = "chunk_broken"


class TableAltered(ReplicaError):
    """The table is another one on the primary than when its copy began: begin again."""

    code = "table_altered"
    is_retryable = True
