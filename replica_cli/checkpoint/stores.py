"""Group the stores of one instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.checkpoint.intents import IntentStore
    from replica_cli.checkpoint.positions import PositionStore
    from replica_cli.checkpoint.tables import TableStore
    from replica_cli.checkpoint.uncompared import UncomparedStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of what one instance keeps on the secondary."""

    positions: PositionStore
    tables: TableStore
    intents: IntentStore
    uncompared: UncomparedStore
