"""A re-sync of a table, while another fault happens."""

from __future__ import annotations

import contextlib

from tests.torture.faults.fault import Fault, Scene
from tests.torture.faults.networks import NETWORK_FAULTS
from tests.torture.faults.processes import PROCESS_FAULTS
from tests.torture.faults.servers import SERVER_FAULTS
from tests.torture.tables import SCHEMA
from tests.torture.waiting import Failed, wait_until

# No foreign key ties them to others; `heap` and `ledger` have no key either.
_UNTIED = ("plain", "account", "item", "bulk", "mix", "heap", "ledger", "shape")
_LEFT_OUT = frozenset({"purge-behind", "purge-what-is-read", "reset-log", "kill-at-start", "disk-full"})
_MEANWHILE = [f for f in (*PROCESS_FAULTS, *NETWORK_FAULTS, *SERVER_FAULTS) if f.name not in _LEFT_OUT]
_COPY_SECONDS = 60.0


def _copy_beside(scene: Scene) -> None:
    site, table = scene.site, scene.chance.choice(_UNTIED)
    possible = [f for f in _MEANWHILE if not f.why_not(scene.arena)]
    other = scene.chance.choices(possible, [f.weight for f in possible])[0]
    # Slow enough for a fault to meet it at each step.
    site.to_secondary.delay(scene.chance.choice((0.0, 0.005, 0.02)))
    asking = site.command("transfer", "--table", f"{SCHEMA}.{table}", "--secondary", site.name, "--yes")
    wait_until(lambda: not asking.is_running or "copied" in asking.text or _is_noted(scene, table), "the copy", 60)
    scene.linger(0, 1.5)
    other.run(scene)
    site.to_secondary.delay(0)
    scene.detail = f"{table}, {other.name} {scene.detail}".rstrip()
    # It may have lost its own connection, or the stream, and while the table is altered all the time its copy begins
    # again each time; that the table is handed over in the end is checked in all rounds.
    with contextlib.suppress(Failed):
        asking.wait(_COPY_SECONDS)


def _is_noted(scene: Scene, table: str) -> bool:
    return any(name == table for name, *_ in scene.site.noted())


RESYNC_FAULTS = (Fault("copy-beside", 8, _copy_beside),)
