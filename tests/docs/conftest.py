"""The `replica` command as people start it, for the tests here that need servers."""

from __future__ import annotations

import sys
from pathlib import Path

from fix_replica import replica, two_secondaries

# Test folders are no packages: this is how the tests here import `documents`.
sys.path.insert(0, str(Path(__file__).parent))

__all__ = ["replica", "two_secondaries"]
