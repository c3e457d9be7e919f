"""Sort storage engines by what becomes of their tables on the secondary. Copy and stream use the same lists."""

from __future__ import annotations

from enum import Enum


class EngineKind(Enum):
    """What becomes of a table of an engine on the secondary."""

    KEPT = "kept"
    CONVERTED = "converted"  # to InnoDB: rows and position commit together only in an engine that can roll back
    REFUSED = "refused"


_KEPT = frozenset({"INNODB", "XTRADB", "ROCKSDB", "TOKUDB"})
_CONVERTED = frozenset({"MYISAM", "ARIA", "MEMORY", "HEAP", "CSV", "ARCHIVE"})
# These throw rows away, or keep them in other tables, files or servers: a copy of such a table would not be the same.
_ELSEWHERE = frozenset(
    {"BLACKHOLE", "CONNECT", "FEDERATED", "FEDERATEDX", "MERGE", "MRG_MYISAM", "OQGRAPH", "S3", "SEQUENCE", "SPHINX",
     "SPIDER"}
)  # fmt: skip


def kind_of(engine: str) -> EngineKind:
    """Return what becomes of a table of an engine. An engine that is in no list is refused."""
    name = engine.upper()
    if name in _KEPT:
        return EngineKind.KEPT
    return EngineKind.CONVERTED if name in _CONVERTED else EngineKind.REFUSED


def is_known_to_keep_nothing(engine: str) -> bool:
    """Return True if the engine is known to keep no rows of its own. For an unknown engine return False."""
    return engine.upper() in _ELSEWHERE


def why_refused(engine: str) -> str:
    """Return why an engine is refused, for a message."""
    if engine.upper() == "BLACKHOLE":
        return f"engine {engine} throws its rows away"
    if is_known_to_keep_nothing(engine):
        return f"engine {engine} does not keep its rows in the table itself"
    return f"engine {engine} is not known: its rows may not be in the table itself"
