"""What becomes of a statement: the verdict that the DDL's rules come to, and what the applier does next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


class Verdict(Enum):
    """What becomes of a statement."""

    IGNORE = "ignore"
    APPLY = "apply"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, its reason, and the primary's names of the tables it is about; `gone` are those it has no longer.

    `replaced`: quarantined tables whose name the statement gives to a new table. `of_secondary`: those of `tables` that
    are the secondary's own, and have a name that the statement gives to another one. `is_uncopyable`: a copy of the
    tables would be refused as well.
    """

    verdict: Verdict
    reason: str = ""
    tables: tuple[TableName, ...] = ()
    gone: frozenset[TableName] = frozenset()
    replaced: tuple[TableName, ...] = ()
    of_secondary: frozenset[TableName] = frozenset()
    is_uncopyable: bool = False
