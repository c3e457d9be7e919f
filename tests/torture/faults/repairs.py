"""Faults of rows: somebody changes them on the secondary, `replica verify` finds them, and its repair is killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.torture import proving
from tests.torture.command import tail
from tests.torture.faults.fault import Fault, Scene
from tests.torture.tables import CALM, SCHEMA
from tests.torture.waiting import Failed, pause

if TYPE_CHECKING:
    from tests.torture.site import Site

_DIFFERENT = 3
_PATIENCE_SECONDS = 90.0


def _repair_killed(scene: Scene) -> None:
    """Plant differences, kill the repair or the stream in the middle, and let another repair finish."""
    site, chance = scene.site, scene.chance
    missing, changed = chance.sample((1, 2, 3, 4, 5, 6), 2)
    site.execute(
        f"DELETE FROM calm WHERE id MOD 7 = {missing}",
        f"UPDATE calm SET note = 'planted' WHERE id MOD 7 = {changed}",
        f"INSERT INTO calm SELECT id + {CALM}, n, 'planted' FROM calm WHERE id MOD 5 = 0 AND id < {CALM}",
    )
    _find(site)
    words = ("verify", "repair", "--table", f"{SCHEMA}.calm", "--secondary", site.name, "--yes")
    for _ in range(chance.randint(1, 3)):
        repairing = site.command(*words)
        scene.linger(0.2, 2)
        victim = chance.choice(("the command", "the stream", "both"))
        scene.detail = f"{scene.detail}, {victim}".lstrip(", ")
        if victim != "the stream":
            repairing.kill_all()
        if victim != "the command":
            site.start_stream().kill_all()
            site.stream = None
            site.start_stream()
        repairing.wait(_PATIENCE_SECONDS)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        last = site.command(*words)
        last.wait(_PATIENCE_SECONDS)
        check = proving.run(site, "calm")
        if check.code == 0:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{site}: not repaired:\n{tail(last.text)}\n{tail(check.text)}")
        pause(1)


def _find(site: Site) -> None:
    """Let `verify` find the differences. A copy of the table that goes on may have to end first."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (command := proving.run(site, "calm")).code != _DIFFERENT:
        if time.monotonic() > deadline:
            raise Failed(f"{site}: `verify` does not find rows that differ:\n{tail(command.text)}")
        pause(1)


REPAIR_FAULTS = (Fault("repair-killed", 4, _repair_killed),)
