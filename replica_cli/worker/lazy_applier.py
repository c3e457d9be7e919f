"""An applier that is made with the first transaction, for a stream that may end without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.batch_stats import BatchStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.applier.applier import Applier
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position


class LazyApplier:
    """Stands where the saved position is until there is something to apply.

    Making an applier loads half of the modules of a worker and reads a thousand rows, and a run up to the primary's end
    that has nothing to apply needs none of it.
    """

    def __init__(self, make: Callable[[], Applier], saved: SavedPosition) -> None:
        self._make = make
        self._saved = saved
        self._made: Applier | None = None

    def make(self) -> Applier:
        """Return the applier, made if it is not. Raises SecondaryError, ServerError."""
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def position(self) -> Position:
        """Return the last committed position."""
        return self._saved.position if self._made is None else self._made.position

    @property
    def source_time(self) -> int:
        """Return the primary's time of what was applied last: Unix seconds."""
        return self._saved.source_time if self._made is None else self._made.source_time

    @property
    def is_inside_transaction(self) -> bool:
        """Say whether a piece of a large transaction is applied and not yet committed."""
        return self._made is not None and self._made.is_inside_transaction

    @property
    def uncommitted_rows(self) -> int:
        """Return the rows that are sent to the secondary and not committed."""
        return 0 if self._made is None else self._made.uncommitted_rows

    def take_tally(self) -> BatchStats:
        """Return what was committed since the last call."""
        return BatchStats() if self._made is None else self._made.take_tally()

    def apply(
        self, transactions: Sequence[Transaction], *, has_more: Callable[[], bool], on_progress: Callable[[], None]
    ) -> None:
        """Apply transactions, as the applier does."""
        self.make().apply(transactions, has_more=has_more, on_progress=on_progress)

    def save_position(self) -> None:
        """Save a position that moved; without an applier none did."""
        if self._made is not None:
            self._made.save_position()

    def check_definitions(self) -> None:
        """Notice what somebody else altered on the secondary, of the tables that were met."""
        if self._made is not None:
            self._made.check_definitions()
