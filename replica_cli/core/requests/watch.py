"""What `replica position show --watch` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Server

# A reading costs each server a few statements: a shorter interval shows nothing more, as heartbeats come each second.
LEAST_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """A request to read the state of secondaries again and again.

    Attributes:
        interval_seconds: the time from one round to the next.
        count: the number of rounds, None for no limit.
        is_first_complete: the first round waits until each server has answered, or its time limit has passed.
    """

    secondaries: tuple[Server, ...]
    interval_seconds: float = 2.0
    count: int | None = None
    is_first_complete: bool = True
