"""The request of `replica demo`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Show the whole tool on throwaway servers.

    Attributes:
        seconds: how long the demo writes while it streams.
        rows: about how many rows it copies before.
        keeps_servers: whether the servers still run after the demo.
    """

    seconds: float = 10.0
    rows: int = 200_000
    keeps_servers: bool = False
