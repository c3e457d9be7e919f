"""Waiting for conditions, and what is raised when one does not come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Failed(Exception):
    """Replica, not the harness, did not do what it should."""


def pause(seconds: float) -> None:
    """Let time pass: a fault's duration, not a wait for something."""
    time.sleep(seconds)  # noqa: TID251 - the harness's own thread, ended by Ctrl-C


def wait_until(condition: Callable[[], object], what: str, patience_seconds: float) -> None:
    """Wait for a condition. Raises Failed with what was waited for."""
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {patience_seconds:.0f} s for {what}")
        pause(0.05)
