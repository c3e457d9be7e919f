"""Fixtures for every test: real servers (fix_servers), a TCP proxy (fix_proxy), the coverage of events."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

# Test folders are no packages: this is how a test imports `compare`, `fix_servers` and the others.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["fix_servers", "fix_proxy", "fix_coverage"]

# A busy machine is no error of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
