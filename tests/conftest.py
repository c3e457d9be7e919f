"""Fixtures for every test: servers (fix_servers), a TCP proxy (fix_proxy), packets (fix_asked), coverage of events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from replica_cli.core.commands import CommandLine, install_command_line
from replica_cli.logs import install_redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

# Test folders are no packages: this is how a test imports `compare`, `fix_servers` and the others.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["fix_servers", "fix_proxy", "fix_coverage", "fix_asked"]

# A busy machine is no error of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _no_command_line_is_left() -> Iterator[None]:
    """Take back what a command run in this process has installed: hints and secrets of one test are not the next's."""
    yield
    install_command_line(CommandLine())
    install_redactor([])
