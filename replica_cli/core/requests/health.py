"""The request of `replica health`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Server


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """Check these secondaries and their primary."""

    secondaries: tuple[Server, ...]
