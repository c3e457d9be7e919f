"""Two servers for a copy, and two for questions about their health."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Settings
from tests.engine.copier import Copier
from tests.engine.watched import Watched

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Copier:
    return Copier(primary, secondary, schema)


@pytest.fixture
def watched(primary: SandboxServer, secondary: SandboxServer, schema: str, state_schema: str) -> Watched:
    selection = Selection(((schema, schema),), state_schema=state_schema)
    settings = Settings(
        primary.address(), (secondary.address(name="db1"),), selection,
        state_schema=state_schema, network=Network(connect_timeout=2.0),
    )  # fmt: skip
    made = Watched(primary, secondary, settings, schema)
    made.on_primary(f"CREATE DATABASE {schema}", f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
    with secondary.session() as session:
        create_state_schema(session, state_schema)
    made.save(made.end())
    made.beat()
    return made
