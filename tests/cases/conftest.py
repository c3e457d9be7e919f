"""The `replica` command as people start it."""

from __future__ import annotations

from fix_replica import replica

__all__ = ["replica"]
