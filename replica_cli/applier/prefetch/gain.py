"""Decides whether reading ahead is worth its cost: by the pages read from disk for each row, and by measured rates.

The rates are the rows applied in a second, with and without reading ahead. If the disk is fast, the work of the server
for what is read ahead may cost more than the waits that it saves. `Prefetch` uses it.
"""

from __future__ import annotations

# Pages read from disk for each applied row: at which reading ahead may begin, and below which it ends.
_READS_ON, _READS_OFF = 2.0, 1.0
# Reading ahead must be faster by this factor, as it costs CPU time of this process and of the server.
_LEAST_GAIN = 1.1
# After this number of stretches the other way is tried again, as the rows, or the load, may have changed.
_STRETCHES_KEPT = 20


class PrefetchGain:
    """Decides after each stretch of applied rows whether to read ahead in the next stretch. For one thread."""

    def __init__(self) -> None:
        self._rates: dict[bool, float] = {}
        self._stretches = 0

    def should_read_ahead(self, *, is_on: bool, rows: int, reads: int, seconds: float) -> bool:
        """Return True to read ahead in the next stretch.

        Args:
            is_on: whether rows were read ahead in the last stretch.
            rows: how many rows were applied in the last stretch.
            reads: how many pages the server read from disk in the last stretch.
            seconds: how long the last stretch took.

        """
        rate = rows / max(seconds, 1e-6)
        self._rates[is_on] = rate
        if reads / rows < (_READS_OFF if is_on else _READS_ON):
            return False
        other = self._rates.get(not is_on)
        self._stretches += 1
        if other is None or self._stretches >= _STRETCHES_KEPT:
            self._stretches = 0
            return not is_on
        with_it, without = (rate, other) if is_on else (other, rate)
        return with_it >= without * _LEAST_GAIN
