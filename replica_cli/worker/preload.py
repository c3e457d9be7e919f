"""Import all modules that a running stream may need later; importing this module is enough.

The package may be replaced on disk while a stream runs, and modules of another version would not fit the loaded ones.
So a worker imports this module before it begins. A worker that may end at once (`--until-caught-up`) imports it a few
seconds later, if it still runs.
"""

from __future__ import annotations

from replica_cli.health import checks, column_watch, secondary
from replica_cli.mysql.catalog import table_definitions
from replica_cli.mysql.late_cryptography import complete_driver
from replica_cli.reader import boundary, dump
from replica_cli.resync import resync
from replica_cli.runtime import factory, instance_view, primary_session, repairing, scrubbing
from replica_cli.transfer import connections, lock_waits, make_tables, run, scratch_tables
from replica_cli.transfer.planning import cascade_groups, plan, plan_changes

__all__ = [
    "boundary",
    "cascade_groups",
    "checks",
    "column_watch",
    "connections",
    "dump",
    "factory",
    "instance_view",
    "lock_waits",
    "make_tables",
    "plan",
    "plan_changes",
    "primary_session",
    "repairing",
    "resync",
    "run",
    "scratch_tables",
    "scrubbing",
    "secondary",
    "table_definitions",
]

complete_driver()
