"""What an applier may ask of the primary, and of the log that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.applier.ddl.time_zones import Ask
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts


@dataclass(frozen=True, slots=True)
class PrimaryAccess:
    """The primary as the parts of an applier see it.

    Attributes:
        facts: its version and variables.
        read: returns its current definitions of tables.
        ask: runs a query on it.
        format_event: returns the format description event of the log file that is read.
    """

    facts: ServerFacts
    read: Callable[[Sequence[TableName]], Mapping[TableName, TableDefinition]]
    ask: Ask
    format_event: Callable[[], bytes]
