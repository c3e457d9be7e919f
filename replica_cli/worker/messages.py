"""What the supervisor tells a worker process: its orders at the start, then when to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Server, Settings

STOP, ABORT = "stop", "abort"
# A process that lived longer than this was no part of a loop of deaths.
QUIET_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker process is told at its start. Travels through a pipe: no secret is ever an argument.

    `deaths`: this many processes in a row died before this one, the last in the way that `death` says.
    """

    settings: Settings
    request: StreamRequest
    server: Server
    server_id: int
    level: int
    deaths: int = 0
    death: str = ""
