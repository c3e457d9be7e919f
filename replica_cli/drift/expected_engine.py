"""Decide which engine a table of the primary has on a secondary."""

from __future__ import annotations

from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of


def expected_engine(engine: str) -> str:
    """Return the engine of the table on a secondary: InnoDB in place of an engine without transactions.

    Rows and position can only be committed together in a transactional engine.
    """
    return "InnoDB" if kind_of(engine) is EngineKind.CONVERTED else engine
