from __future__ import annotations

from tests.unit.api.conftest import _level, site

__all__ = ["_level", "site"]
