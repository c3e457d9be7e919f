"""Group the stores of one instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.checkpoint.positions import Advance, PositionStore
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.checkpoint.uncompared import UncomparedStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of what one instance keeps on the secondary."""

    positions: PositionStore
    tables: TableLifecycle
    intents: IntentStore
    uncompared: UncomparedStore


class CommitPosition(Protocol):
    """What a commit of rows advances: the position row of the stream, or the records of tables in a catch-up."""

    def advance_statement(self, advance: Advance, token: int) -> bytes:
        """Return the UPDATE that advances the position while `token` is the fencing token."""

    def touch_statement(self, token: int) -> bytes:
        """Return an UPDATE that matches the same rows and does not advance them."""

    def check_advanced(self, found_rows: int) -> None:
        """Raise a ReplicaError unless the UPDATE matched what it had to match."""
