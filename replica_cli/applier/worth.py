"""Decides whether reading ahead pays: by the pages read from disk for each row, and by the rows a second both ways.

Where the disk is fast, the server's own work for what is read ahead may cost more than the waits that it saves.
"""

from __future__ import annotations

# Pages read from disk for each applied row: from where on reading ahead may pay, and below which it does not.
_READS_ON, _READS_OFF = 2.0, 1.0
# It costs both sides CPU time, so it has to be clearly faster.
_LEAST_GAIN = 1.1
# A decision is kept for this number of stretches. Then the other way is tried: the rows, or the load, may be others.
_STRETCHES_KEPT = 20


class Worth:
    """Decides after each stretch of applied rows how the next one is read."""

    def __init__(self) -> None:
        self._rates: dict[bool, float] = {}
        self._stretches = 0

    def goes_on(self, *, is_on: bool, rows: int, reads: int, seconds: float) -> bool:
        """Return whether to read ahead in the next stretch; `rows` were applied in the last one, `is_on` or not."""
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
