"""An applier that can be created late, when the first transaction comes, for a stream that may end without one.

`Streaming` waits for that only with `--until-caught-up`, and if no table has a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.commit_tracker import BatchStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position


class LazyApplier:
    """Reports the saved position until there is a transaction to apply, then passes all calls to the applier.

    Creating an applier needs half of a worker's modules and reads a thousand rows. A stream that ends at the current
    end of the log and has nothing to apply needs none of that. Used by the worker's main thread only.
    """

    def __init__(self, make: Callable[[], Applier], saved: SavedPosition) -> None:
        self._make = make
        self._saved = saved
        self._applier: Applier | None = None

    def make(self) -> Applier:
        """Return the applier; create it at the first call. Raises SecondaryError, ServerError."""
        if self._applier is None:
            self._applier = self._make()
        return self._applier

    @property
    def position(self) -> Position:
        """Return the last committed position."""
        return self._saved.position if self._applier is None else self._applier.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of the last applied transaction, in Unix seconds."""
        return self._saved.source_time if self._applier is None else self._applier.source_time

    @property
    def is_inside_transaction(self) -> bool:
        """Return True if a piece of a large transaction is applied and not yet committed."""
        return self._applier is not None and self._applier.is_inside_transaction

    @property
    def uncommitted_rows(self) -> int:
        """Return the number of rows that are sent to the secondary and not committed."""
        return 0 if self._applier is None else self._applier.uncommitted_rows

    def take_stats(self) -> BatchStats:
        """Return what was committed since the last call."""
        return BatchStats() if self._applier is None else self._applier.take_stats()

    def apply(
        self, transactions: Sequence[Transaction], *, has_more: Callable[[], bool], on_progress: Callable[[], None]
    ) -> None:
        """Apply transactions as `Applier.apply` does."""
        self.make().apply(transactions, has_more=has_more, on_progress=on_progress)

    def save_position(self) -> None:
        """Save the position if it has moved. Without an applier it has not."""
        if self._applier is not None:
            self._applier.save_position()

    def check_definitions(self) -> None:
        """Check if another user altered the tables that the applier has used on the secondary."""
        if self._applier is not None:
            self._applier.check_definitions()
