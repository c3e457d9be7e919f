"""Rates from two readings of counters, for a secondary whose process does not report them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of one instance at a monotonic time."""

    at: float
    rows: int
    transactions: int


class CounterRates:
    """Remembers the last two readings of each instance."""

    def __init__(self) -> None:
        self._readings: dict[str, tuple[Reading, ...]] = {}

    def note(self, instance: str, reading: Reading) -> None:
        """Take a reading; one that was taken before is not taken again."""
        before = self._readings.get(instance, ())
        if not before or before[-1].at < reading.at:
            self._readings[instance] = (*before[-1:], reading)

    def forget(self, instance: str) -> None:
        """Forget the readings: the instance could not be read, or has no counters any more."""
        self._readings.pop(instance, None)

    def rates(self, instance: str) -> tuple[float | None, float | None]:
        """Return rows and transactions per second; None with fewer than two readings, and if a counter was set back."""
        readings = self._readings.get(instance, ())
        if len(readings) < 2:
            return None, None
        first, last = readings
        seconds = last.at - first.at
        rows, transactions = last.rows - first.rows, last.transactions - first.transactions
        if rows < 0 or transactions < 0:
            return None, None
        return rows / seconds, transactions / seconds
