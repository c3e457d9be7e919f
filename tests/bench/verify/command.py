"""`python -m tests.bench verify`: measure what it costs to compare rows, beside other ways and beside a stream.

Each part starts servers of its own and ends them. Part `costs` compares the same tables by CHECKSUM TABLE, by the
queries of pt-table-checksum and by `replica verify run`; `load` writes with and without a comparison beside; `hashes`
runs queries that could hash the rows.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour, select_binary
from tests.bench import replica
from tests.bench.plan import Book
from tests.bench.verify import costs, hashes, load
from tests.bench.verify.record import Plan, Record
from tests.bench.verify.report import as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTS: Mapping[str, Callable[[Plan, Record], None]] = {"costs": costs.run, "load": load.run, "hashes": hashes.run}
_EPILOG = """\
Exit status: 0 if every run ended with equal tables, else 1 (goals that are not met do not count), 2 for wrong usage.
"""


def main(words: list[str]) -> int:
    """Run the parts that were asked for and print the report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench verify", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--only", default="", metavar="PART,...", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--server", action="append", default=[], metavar="FLAVOUR[:VERSION]",
        help="repeatable; default: one of each flavour that this machine has",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="how often each thing is measured (default: 3)")
    parser.add_argument("--without-large", action="store_true", help="leave out the table of 5,000,000 rows")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, for trying out")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the tables")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    given = parser.parse_args(words)
    names = [name.strip() for name in given.only.split(",") if name.strip()] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if given.rounds < 1:
        parser.error("--rounds >= 1")
    record = Record(Book(is_quiet=given.quiet))
    binaries = []
    for server in given.server or Flavour:
        flavour, _, version = server.partition(":")
        binary = select_binary(flavour, version or None)
        if binary is not None:
            binaries.append(binary)
        elif given.server:
            parser.error(f"no server {server} on this machine")
        else:
            record.book.lacks(f"no {server} server on this machine")
    plan = Plan(tuple(binaries), given.rounds, 10 if given.quick else 1, has_large=not given.without_large)
    replica.compile_modules()
    for name in names:
        PARTS[name](plan, record)
    print(as_json(plan, record) if given.json else as_text(plan, record))
    return 1 if any(run.problem for run in record.book.runs) else 0
