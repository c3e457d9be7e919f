"""Rest between chunks as long as the applications need: measure what the comparison takes from them.

How much a server can bear is not known from outside: not its number of processors, nor what its disks do. But its work
is counted. So the work that a server does in a second while a chunk is compared is set against the work that it does
while the comparison rests. If it does less, the comparison rests longer, until at most a small part is lost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session

# Statements, and changes of rows: a stream sends few statements for many changes. Reading rows changes none of them.
_WORK = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Handler_write', 'Handler_update', 'Handler_delete')"
# A server that does less work in a second has nothing to lose.
_IDLE_RATE = 200.0
# What part of their work the applications may lose because chunks are read. All of a comparison has to take less than
# a tenth. The rest is for what is not measured here: opening snapshots, reading the log, and the comparison's process.
_LOSS = 0.03
_LEAST_SHARE = 0.05
# Before the first rest.
_UNKNOWN_LOSS = 2 * _LOSS
# A shorter time tells nothing about a rate.
_SAMPLE_SECONDS, _REST_SECONDS = 0.2, 0.05
# What an earlier sample counts for, each time that there is a new one.
_MEMORY = 0.85


@dataclass(slots=True)
class _Rate:
    """The work in a second, over the last samples."""

    work: float = 0.0
    seconds: float = 0.0

    def add(self, work: float, seconds: float) -> None:
        self.work = self.work * _MEMORY + work
        self.seconds = self.seconds * _MEMORY + seconds

    @property
    def a_second(self) -> float:
        return self.work / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class _Load:
    """What one server does beside the comparison."""

    session: Session
    count: float = 0.0
    counted_at: float = 0.0
    comparing: _Rate = field(default_factory=_Rate)
    resting: _Rate = field(default_factory=_Rate)

    def look(self, rate: _Rate | None) -> None:
        """Count the work, and add what was done since the last look to a rate. Raises ServerError."""
        count = float(sum(int(value) for _, value in self.session.rows(_WORK)))
        now = time.monotonic()
        if rate is not None:
            rate.add(max(0.0, count - self.count), now - self.counted_at)
        self.count, self.counted_at = count, now

    @property
    def is_idle(self) -> bool:
        return max(self.resting.a_second, self.comparing.a_second) < _IDLE_RATE

    @property
    def loss(self) -> float:
        """Return what part of its work the server does not do while a chunk is compared."""
        if self.is_idle:
            return 0.0
        if not self.resting.seconds:
            return _UNKNOWN_LOSS
        return max(0.0, 1 - self.comparing.a_second / max(self.resting.a_second, 1.0))


class Pace:
    """Sets the pace of one thread of a comparison. It has sessions without a snapshot."""

    def __init__(self, primary: Session, secondary: Session, wait: Callable[[float], object]) -> None:
        """Begin; nothing is known of the servers.

        Args:
            primary: a session to the primary.
            secondary: a session to the secondary.
            wait: waits for some seconds, or until a stop.
        """
        self._loads = (_Load(primary), _Load(secondary))
        self._wait = wait

    def begin(self) -> None:
        """Note that chunks are compared from now on. Raises ServerError."""
        self._look(None)

    def rest(self) -> None:
        """Rest after a chunk, if the servers need it. Raises ServerError."""
        seconds = time.monotonic() - self._loads[0].counted_at
        if seconds < _SAMPLE_SECONDS:
            return
        self._look(lambda load: load.comparing)
        if all(load.is_idle for load in self._loads):
            return
        loss = max(load.loss for load in self._loads)
        share = max(_LEAST_SHARE, min(1.0, _LOSS / loss)) if loss else 1.0
        self._wait(max(_REST_SECONDS, seconds * (1 / share - 1)))
        self._look(lambda load: load.resting)

    def _look(self, rate_of: Callable[[_Load], _Rate] | None) -> None:
        for load in self._loads:
            load.look(None if rate_of is None else rate_of(load))
