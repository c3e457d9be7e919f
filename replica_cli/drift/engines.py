"""Which engine a table of the primary has on a secondary."""

from __future__ import annotations

from replica_cli.sqlbuilder.engines import EngineKind, kind_of


def expected_engine(engine: str) -> str:
    """Return the engine that a table has on a secondary: one that rows and position commit in together."""
    return "InnoDB" if kind_of(engine) is EngineKind.CONVERTED else engine
