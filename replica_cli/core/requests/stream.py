"""The request of `replica stream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Server


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """Stream to these secondaries.

    They must be values of `Settings.secondaries`, because the index in that tuple decides a worker's server id.
    """

    secondaries: tuple[Server, ...]
    may_transfer: bool = True
    until_caught_up: bool = False
    is_standby: bool = False
