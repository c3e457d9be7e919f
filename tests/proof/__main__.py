"""Plant differences, or none, and see what `verify` says: python -m tests.proof planted --runs 20 --servers mariadb.

`planted`: each run plants 1,000 differences under a writer and expects exactly these, mends them, and compares all.
`equal`: each run verifies equal tables under a writer ten times, and expects no difference.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import require_binary
from replica_cli.sandbox.sandbox import Sandbox
from tests.proof.rig import Rig
from tests.proof.runs import Result, plant_and_repair, verify_equal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.sandbox.binaries import ServerBinary

_AT_ONCE = 10


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["planted", "equal"])
    parser.add_argument("--servers", default="mariadb", metavar="PRIMARY[,SECONDARY]",
                        help="such as mariadb:10.11 or mysql:9.7,mariadb (default mariadb)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=1, help="how many runs (default 1)")
    parser.add_argument("--first", type=int, default=1, help="the number of the first run (default 1)")
    parser.add_argument("--seed", default="proof", help="picks the differences and the changes (default proof)")
    parser.add_argument("--differences", type=int, default=1000, help="planted in each run (default 1000)")
    parser.add_argument("--rate", type=int, default=500, help="transactions of the writer in a second (default 500)")
    parser.add_argument("--kills", type=int, default=3, help="how often a repair or its stream is killed (default 3)")
    return parser.parse_args(words)


def _binaries(text: str) -> list[ServerBinary]:
    found = [require_binary(*item.partition(":")[::2]) for item in text.split(",")]
    return found * 2 if len(found) == 1 else found


def _run(options: argparse.Namespace, binaries: Sequence[ServerBinary], number: int) -> Result:
    result = Result()
    seed = f"{options.seed}:{number}"
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        rig = Rig(sandbox, binaries, Path(folder))
        try:
            if options.what == "planted":
                plant_and_repair(
                    rig, result, seed=seed, count=options.differences, rate=options.rate, kills=options.kills
                )
            else:
                verify_equal(rig, result, seed=seed, rate=options.rate, times=_AT_ONCE)
        except (Exception, AssertionError) as error:  # noqa: BLE001 - the top of a run: it failed, the next one follows
            result.problem = f"{type(error).__name__}: {error}\n{rig.evidence()}"
        finally:
            rig.replica.close()
    return result


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit code: 1 if a run failed."""
    options = _arguments(words)
    binaries = _binaries(options.servers)
    print(f"{options.what}, seed {options.seed}, {' to '.join(map(str, binaries))}", flush=True)
    results = []
    for number in range(options.first, options.first + options.runs):
        began_at = time.monotonic()
        result = _run(options, binaries, number)
        results.append(result)
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
        print(
            f"run {number}: {'FAILED' if result.problem else 'good'}, {result.planted} planted, {result.verified} "
            f"verified, {result.kills} kills, {result.rate:.0f} transactions/s, {times}; "
            f"{time.monotonic() - began_at:.0f} s",
            flush=True,
        )
        if result.problem:
            print(result.problem, flush=True)
    failed = sum(bool(r.problem) for r in results)
    print(
        f"{len(results)} runs, {failed} failed; {sum(r.planted for r in results)} differences planted, "
        f"{sum(r.verified for r in results)} times verified equal, {sum(r.kills for r in results)} kills",
        flush=True,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())  # noqa: TID251 - a program of its own
