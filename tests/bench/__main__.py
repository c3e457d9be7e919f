"""`python -m tests.bench [NAME ...]`: measure `replica` beside the servers' own replication and the usual tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench import replica
from tests.bench.growth import command as growth
from tests.bench.plan import Book, Plan
from tests.bench.report import as_json, as_text
from tests.bench.rig import DURABILITIES
from tests.bench.verify import command as verify
from tests.bench.works import works

_EPILOG = """\
`python -m tests.bench growth` measures how cost grows with tables, links and secondaries; it has options of its own.
`python -m tests.bench verify` measures what it costs to compare rows, beside other ways; it has options of its own.

Exit status: 0 when every run ended with equal tables, else 1 (bars that are not met do not count), 2 for wrong usage.
"""


def main() -> int:
    """Run what was asked for and print the report; return the exit status."""
    if sys.argv[1:2] == ["growth"]:
        return growth.main(sys.argv[2:])
    if sys.argv[1:2] == ["verify"]:
        return verify.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__, epilog=_EPILOG)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"works: {', '.join(works(Plan()))}; default: all")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each contestant (default: 3)")
    parser.add_argument("--durability", choices=[*DURABILITIES, "both"], default="both")
    parser.add_argument(
        "--secondary-log", choices=["on", "off"], default="on",
        help="whether secondaries log what they apply in a binary log of their own (default: on)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, for trying out")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the tables")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="samples of our processes, by py-spy")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME",
        help="contestants whose names begin so (repeatable; default: all)",
    )  # fmt: skip
    given = parser.parse_args()
    plan = Plan(
        pairs=given.pairs,
        durabilities=tuple(DURABILITIES) if given.durability == "both" else (given.durability,),
        has_secondary_log=given.secondary_log == "on",
        divisor=10 if given.quick else 1,
        profile=given.profile,
        only=tuple(given.only),
    )
    known = works(plan)
    unknown = [name for name in given.names if name not in known]
    if unknown or plan.pairs < 1:
        parser.error(f"no such work: {', '.join(unknown)}; there are {', '.join(known)}" if unknown else "--pairs >= 1")
    replica.compile_modules()
    book = Book(is_quiet=given.quiet)
    for name in given.names or known:
        known[name].run(plan, book)
    print(as_json(plan, book) if given.json else as_text(plan, book))
    return 1 if any(run.problem for run in book.runs) else 0


if __name__ == "__main__":
    sys.exit(main())  # noqa: TID251 - a program of its own, not replica's command
