"""Who turns row events into work, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.applier.steps import RowEngine
    from replica_cli.core.table import TableName
    from replica_cli.mysql.references import References


@dataclass(frozen=True, slots=True)
class Engines:
    """Strictly, inside the replay window, and to name what exactly fails."""

    strict: RowEngine
    replay: RowEngine
    exact: RowEngine
    references: References

    def forget(self, tables: Collection[TableName], *, are_keys_new: bool = True) -> None:
        """Forget what was learnt of tables (the primary's names; none: of all): their definitions changed.

        Not `are_keys_new`: no foreign key points at another table than before.
        """
        if are_keys_new:
            self.references.forget()
        for engine in (self.strict, self.replay, self.exact):
            engine.forget(tables)
