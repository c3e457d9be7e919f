"""What the demo is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Show the whole tool on throwaway servers: `seconds` of writing while it streams, about `rows` to copy before."""

    seconds: float = 10.0
    rows: int = 200_000
    keeps_servers: bool = False
