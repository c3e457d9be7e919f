"""The requests of `replica verify`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Server
    from replica_cli.core.verification import DifferenceKind


class VerifyMode(StrEnum):
    """What a run does about an earlier run that has not ended: refuse, go on with it, or begin again."""

    NEW = "new"
    RESUME = "resume"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Compare the rows of these secondaries with the primary's.

    Attributes:
        tables: patterns of the primary's table names, empty for all replicated tables.
        workers: how many tables are compared at the same time.
        rate: rows a second that are read on each server at most, by all workers together; 0 for no limit.
        max_differences: the run stops when it has met this number of rows that differ and were not known before, 0 for
            no limit.
        is_count_only: compare only the numbers of rows.
        keeps_rows: store the values of the rows that differ.
        reports_rows: give the values to the reporter.
    """

    secondaries: tuple[Server, ...]
    tables: tuple[str, ...] = ()
    mode: VerifyMode = VerifyMode.NEW
    workers: int = 1
    rate: int = 0
    max_differences: int = 1000
    is_count_only: bool = False
    keeps_rows: bool = False
    reports_rows: bool = False


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """Write the primary's rows in place of rows that differ.

    Attributes:
        tables: patterns of the primary's table names, empty for all tables with differences.
        kinds: the kinds of differences, empty for all.
    """

    secondaries: tuple[Server, ...]
    tables: tuple[str, ...] = ()
    kinds: tuple[DifferenceKind, ...] = ()
