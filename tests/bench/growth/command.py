"""`python -m tests.bench growth`: measure how cost grows, and fail if it grows faster than the work.

Each part starts servers of its own and ends them. A command that takes longer than the patience is killed, which is a
failure of its size; larger sizes of the same series are left out then.
"""

from __future__ import annotations

import argparse

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.binaries import select_binary
from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.bench.growth.pair import Plan
from tests.bench.growth.parts import PARTS
from tests.bench.growth.record import Record
from tests.bench.growth.report import as_json, as_text, verdicts_of

_EPILOG = """\
Exit status: 0 if every rule is met, 1 if a cost grows faster than linear by more than 20 %, passes its limit, or a run
failed, 2 for wrong usage.
"""


def main(words: list[str]) -> int:
    """Run the parts that were asked for and print the report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench growth", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--only", default="", metavar="PART,...", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--sizes", choices=["small", "full"], default="full", help="default: full, which takes hours")
    parser.add_argument("--server", default="mariadb:10.11", metavar="FLAVOUR[:VERSION]", help="default: mariadb:10.11")
    parser.add_argument(
        "--patience", type=float, metavar="SECONDS", help="of one command (default: 120 small, 600 full)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the tables")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    given = parser.parse_args(words)
    names = [name.strip() for name in given.only.split(",") if name.strip()] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    flavour, _, version = given.server.partition(":")
    binary = select_binary(flavour, version or None)
    if binary is None:
        parser.error(f"no server {given.server} on this machine")
    is_small = given.sizes == "small"
    plan = Plan(binary, is_small, given.patience or (120.0 if is_small else 600.0))
    record = Record(is_quiet=given.quiet)
    replica.compile_modules()
    for name in names:
        part = PARTS[name]
        record.expect(part.SERIES)
        try:
            part.run(plan, record)
        except (RunFailed, ReplicaError) as error:
            record.fail(name, str(error))
    print(as_json(plan, record.series) if given.json else as_text(plan, record.series))
    return 0 if all(verdict.is_met for verdict in verdicts_of(record.series)) else 1
