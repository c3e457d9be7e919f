"""The messages that the supervisor sends to a worker process: its configuration at the start, then when to end.

A worker answers PING with PONG at once, from its messages thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.requests.stream import StreamRequest
    from replica_cli.core.settings import Server, Settings

STOP, ABORT = "stop", "abort"
PING, PONG = "ping", "pong"


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The configuration that a worker process gets at its start.

    It is sent through a pipe, so that no secret is an argument of the command. `deaths` is the number of processes in a
    row that died before this one, `death` says how the last of them died.
    """

    settings: Settings
    request: StreamRequest
    server: Server
    server_id: int
    level: int
    deaths: int = 0
    death: str = ""
