"""Group the engines that turn row events into steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.applier.steps import RowEngine
    from replica_cli.core.table import TableName
    from replica_cli.mysql.catalog.foreign_key_parents import References


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one applier.

    Attributes:
        strict: applies changes of live tables.
        replay: applies changes inside the replay window, idempotently.
        exact: the diagnostic engine, which applies changes strictly and names the row that fails.
        references: the foreign keys that the engines take into account.

    """

    strict: RowEngine
    replay: RowEngine
    exact: RowEngine
    references: References

    def forget(self, tables: Collection[TableName], *, are_keys_new: bool = True) -> None:
        """Forget what was derived from the definitions of tables, because these changed.

        Args:
            tables: the primary's names; all tables if empty.
            are_keys_new: a foreign key may refer to another table than before.

        """
        if are_keys_new:
            self.references.forget()
        for engine in (self.strict, self.replay, self.exact):
            engine.forget(tables)
