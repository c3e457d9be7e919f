"""All that a running stream may need and does not load at once: who imports this module loads it.

The package may be replaced while a stream runs, and modules of another version would not fit those that are loaded. So
a worker imports this one before it begins; one that may end at once (`--until-caught-up`) a moment later, if it still
runs.
"""

from __future__ import annotations

from replica_cli.health import checks, columns, secondary
from replica_cli.mysql import catalog
from replica_cli.reader import dump
from replica_cli.resync import resync
from replica_cli.runtime import factory, judgement, primary_session
from replica_cli.transfer import cascade_groups, connections, making, plan, run, waiting

__all__ = [
    "cascade_groups",
    "catalog",
    "checks",
    "columns",
    "connections",
    "dump",
    "factory",
    "judgement",
    "making",
    "plan",
    "primary_session",
    "resync",
    "run",
    "secondary",
    "waiting",
]
