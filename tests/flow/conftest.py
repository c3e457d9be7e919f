"""Fixtures of whole runs: the `replica` command as people start it."""

from __future__ import annotations

from fix_replica import replica, two_secondaries

__all__ = ["replica", "two_secondaries"]
