"""The decision about one statement: `DdlDecisions` makes it, and the applier acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


class Verdict(Enum):
    """What the applier does with a statement."""

    IGNORE = "ignore"
    APPLY = "apply"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, its reason, and the tables that it is about, by the primary's names.

    Attributes:
        gone: those of `tables` that the primary does not have after the statement.
        replaced: quarantined tables whose name the statement gives to a new table.
        of_secondary: those of `tables` that are the secondary's own, and whose name the statement gives to another
            table.
        is_uncopyable: a copy of the tables would be refused as well.

    """

    verdict: Verdict
    reason: str = ""
    tables: tuple[TableName, ...] = ()
    gone: frozenset[TableName] = frozenset()
    replaced: tuple[TableName, ...] = ()
    of_secondary: frozenset[TableName] = frozenset()
    is_uncopyable: bool = False
