"""The request of `replica transfer`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Server
    from replica_cli.core.table import TableName


class TransferMode(StrEnum):
    """What a copy does about an earlier copy that is not finished.

    NEW is also the mode of `--table`. RESUME is the mode of `--resume`, of every re-sync, and of a stream that finishes
    a copy: it copies the tables whose records say that a copy is requested or not finished.
    """

    NEW = "new"
    RESUME = "resume"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Copy to these secondaries; `tables` are names on the primary, empty for the whole selection."""

    secondaries: tuple[Server, ...]
    mode: TransferMode = TransferMode.NEW
    tables: tuple[TableName, ...] = ()
