"""The bench: made on the covered servers, one schema a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.applier.harness import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def bench(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Iterator[Bench]:
    made = Bench(primary, secondary, schema)
    yield made
    made.close()
