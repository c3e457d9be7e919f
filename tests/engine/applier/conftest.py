"""The harness of a test: on the covered servers, with a schema of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.applier.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def harness(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Iterator[Harness]:
    made = Harness(primary, secondary, schema)
    yield made
    made.close()
