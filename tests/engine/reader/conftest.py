"""The log of a covered primary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.reader.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def log(primary: SandboxServer, schema: str) -> Iterator[Log]:
    made = Log(primary, schema)
    yield made
    made.session.close()
