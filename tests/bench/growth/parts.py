"""All parts by name, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.bench.growth import batches, checks, idle, indexes, keyless, links, reopened, rows, starts, tables, wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.growth.series import Series


class Part(Protocol):
    """A module that measures one thing."""

    @property
    def SERIES(self) -> tuple[Series, ...]:  # noqa: N802 - a constant of a module
        """Return the series that it fills, with their rules."""

    def run(self, plan: Plan, record: Record) -> None:
        """Measure. Raises RunFailed and ReplicaError."""


PARTS: Mapping[str, Part] = {
    "tables": tables,
    "checks": checks,
    "links": links,
    "rows": rows,
    "batches": batches,
    "reopened": reopened,
    "keyless": keyless,
    "wide": wide,
    "indexes": indexes,
    "idle": idle,
    "starts": starts,
}
