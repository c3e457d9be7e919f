"""Log each row event that is applied, at level DEBUG. Without that level no `EventLog` is made: nothing is counted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from replica_cli.applier.engines.row_counts import RowCounts
    from replica_cli.core.events import RowEvent, Transaction
    from replica_cli.core.table import TableName

logger = logging.getLogger(__name__)


class EventLog:
    """Logs a line for each row event, in the order of the log, before the engine gets it.

    The line has no field `rows`: the sums of `worker/row_log.py` have it, and who adds them up must not count twice. An
    event of a batch that is repeated is logged again.
    """

    def __init__(self, counts: RowCounts, instance: str) -> None:
        self._counts = counts
        self._instance = instance

    def forget(self, tables: Collection[TableName]) -> None:
        """Forget how the rows of tables are counted, or of all: definitions changed."""
        self._counts.forget(tables)

    def note(self, events: Iterable[tuple[Transaction, RowEvent]]) -> None:
        """Log events of transactions."""
        for transaction, event in events:
            try:
                rows = sum(count.rows for count in self._counts.of([event]))
            except ReplicaError:
                continue  # the engine raises it, with the position
            log(
                logger, logging.DEBUG, Tag[event.kind.name], "event of %s", counted(rows, "row"),
                instance=self._instance, schema=event.table.name.schema, table=event.table.name.table,
                position=transaction.end,
            )  # fmt: skip
