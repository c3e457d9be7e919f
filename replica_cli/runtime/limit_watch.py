"""Watch what limits a stream: compare the seconds of its parts, and log when another part begins to limit it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from replica_cli.core.limiting import REMEDIES, limit_text, limiting_part
from replica_cli.core.wording import duration
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.limiting import Part
    from replica_cli.core.position import Position

logger = logging.getLogger(__name__)

# Over this time the parts are compared.
_INTERVAL_SECONDS = 10.0
# A part that limits is logged again only after the lag was below this share of its limit. Otherwise a lag that goes up
# and down around the limit would fill the log.
_QUIET_SHARE = 0.5


class LimitWatch:
    """Decides what limits one stream. The caller makes sure that only one thread at a time calls `look`.

    Attributes:
        max_lag_seconds: with a lag up to this, nothing limits. Any thread may change it.
    """

    def __init__(self, instance: str, max_lag_seconds: float) -> None:
        self._instance = instance
        self.max_lag_seconds = max_lag_seconds
        self._part: Part | None = None
        self._logged: Part | None = None
        self._before: Mapping[Part, float] = {}
        self._before_at = time.monotonic()

    def look(self, seconds: Mapping[Part, float], lag: float | None, position: Position | None) -> Part | None:
        """Return the part that limits the stream, None if none does.

        Args:
            seconds: the seconds by part since the worker began.
            lag: the current lag, None if it is not known.
            position: the position of the stream, for the log.

        """
        if lag is None or lag <= self.max_lag_seconds:
            self._part = None
            if lag is not None and lag < _QUIET_SHARE * self.max_lag_seconds:
                self._logged = None
        if time.monotonic() - self._before_at < _INTERVAL_SECONDS:
            return self._part
        spent = {part: value - self._before.get(part, 0.0) for part, value in seconds.items()}
        self._before, self._before_at = seconds, time.monotonic()
        self._part = limiting_part(spent, lag_seconds=lag, max_lag_seconds=self.max_lag_seconds)
        if self._part is not None and self._part is not self._logged:
            self._logged = self._part
            log(
                logger, logging.WARNING, Tag.WARN, "the lag is %s, %s: %s",
                duration(lag), limit_text(self._part), REMEDIES[self._part],
                instance=self._instance, position=position,
            )  # fmt: skip
        return self._part
