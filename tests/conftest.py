"""Fixtures and hooks of every test are plugins in `tests.support`; what a folder alone needs is in its own conftest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from replica_cli.core.commands import CommandLine, install_command_line
from replica_cli.logs import install_redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = [
    "tests.support.servers",
    "tests.support.proxy",
    "tests.support.command",
    "tests.support.browser",
    "tests.support.packets",
    "tests.support.coverage",
]

# A busy machine is no error of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _no_command_line_is_left() -> Iterator[None]:
    """Take back what a command run in this process has installed: hints and secrets of one test are not the next's."""
    yield
    install_command_line(CommandLine())
    install_redactor([])
