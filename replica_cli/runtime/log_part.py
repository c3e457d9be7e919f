"""Read a part of the primary's log with a dump connection of its own, which ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.reader.framing import DumpEnded
from replica_cli.reader.peek import short_dump_id
from replica_cli.reader.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.events import Transaction
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Settings
    from replica_cli.mysql.facts import ServerFacts

_TAKE_SECONDS = 0.5
_QUEUE_BYTES = 4 * 1024 * 1024


class LogParts:
    """Reads parts of the primary's log for one program."""

    def __init__(self, settings: Settings, facts: ServerFacts) -> None:
        self._settings = settings
        self._facts = facts

    def read(self, start: Position, end: Position, wants: Callable[[TableName], bool]) -> Iterator[Transaction]:
        """Yield the transactions from one position up to another one, with the row events of the wanted tables.

        Raises:
            PositionLost: the primary no longer has this part of the log.
            ServerError: the primary does not answer.
            CorruptEvent, UnsupportedEvent: an event cannot be read.
        """
        reader = Reader(
            self._settings.primary,
            self._settings.network,
            server_id=short_dump_id(),
            start=start,
            is_mariadb=self._facts.is_mariadb,
            wants=wants,
            queue_bytes=_QUEUE_BYTES,
            waits=False,
        )
        reader.start()
        try:
            while True:
                for transaction in reader.take(_TAKE_SECONDS):
                    if transaction.is_end and transaction.start.at_least(end):
                        return
                    yield transaction
                    if transaction.is_end and transaction.end.at_least(end):
                        return
        except DumpEnded:
            return
        finally:
            reader.stop()
