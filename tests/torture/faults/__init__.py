"""All faults, by name."""

from __future__ import annotations

from tests.torture.faults.fault import Fault, Scene
from tests.torture.faults.networks import NETWORK_FAULTS
from tests.torture.faults.processes import PROCESS_FAULTS
from tests.torture.faults.repairs import REPAIR_FAULTS
from tests.torture.faults.resync import RESYNC_FAULTS
from tests.torture.faults.servers import SERVER_FAULTS
from tests.torture.faults.tables import TABLE_FAULTS

__all__ = ["FAULTS", "Fault", "Scene"]

FAULTS: tuple[Fault, ...] = (
    *PROCESS_FAULTS, *NETWORK_FAULTS, *SERVER_FAULTS, *TABLE_FAULTS, *REPAIR_FAULTS, *RESYNC_FAULTS,
)  # fmt: skip
