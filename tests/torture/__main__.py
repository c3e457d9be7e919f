"""Real servers, real faults: python -m tests.torture --minutes N --seed S [--servers mariadb:10.11,mysql:9.7]."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import ServerBinary, find_binaries, select_binary
from tests.torture.arena import Arena
from tests.torture.faults import FAULTS
from tests.torture.kinds import KINDS, Kind
from tests.torture.report import Totals, line_of, table_of
from tests.torture.rounds import Round, run_round

if TYPE_CHECKING:
    from collections.abc import Sequence


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long, shared by the servers (default 2)")
    parser.add_argument("--seed", default="", help="picks faults and changes; a new one where not given")
    parser.add_argument("--servers", default="mariadb", help="such as mariadb:10.11,mysql:9.7 (default mariadb)")
    parser.add_argument("--shared", action="store_true", help="one supervisor with a worker for each secondary")
    parser.add_argument("--round", type=int, default=0, help="only this round, once")
    parser.add_argument("--fault", action="append", default=[], choices=[f.name for f in FAULTS], metavar="NAME",
                        help="only faults of this name (repeatable)")  # fmt: skip
    parser.add_argument("--kinds", type=_kinds, default=tuple(k for k in KINDS if k.is_on), metavar="NAME,NAME",
                        help="kinds of DDL statements, all or none (default: those that are on)")  # fmt: skip
    parser.add_argument("--folder", type=Path, help="where the logs of failing rounds stay (default: a new one)")
    parser.add_argument("--stop", action="store_true", help="stop at the first failing round")
    return parser.parse_args(words)


def _kinds(text: str) -> tuple[Kind, ...]:
    if text in ("all", "none"):
        return KINDS if text == "all" else ()
    known = {kind.name: kind for kind in KINDS}
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no kind {', '.join(unknown)}; there are: {', '.join(known)}")
    return tuple(known[name] for name in names)


def _binaries(text: str) -> list[ServerBinary]:
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        flavour, _, version = item.partition(":")
        binary = select_binary(flavour, version or None)
        if binary is None:
            known = ", ".join(map(str, find_binaries())) or "none"
            raise SystemExit(f"no server found for {item!r}; there are: {known}")
        found.append(binary)
    return found


class _Run:
    """All rounds on one server's version; a failing one leaves its folder, and the next begins on fresh servers."""

    def __init__(self, binary: ServerBinary, options: argparse.Namespace, folder: Path) -> None:
        self.totals = Totals(str(binary))
        self._binary = binary
        self._options = options
        self._folder = folder

    def run(self, minutes: float) -> None:
        deadline = time.monotonic() + minutes * 60
        number = self._options.round or 1
        is_over = False
        while not is_over:
            folder = self._folder / f"{self._binary}-from-{number}".replace(":", "-")
            folder.mkdir(parents=True)
            arena = Arena(self._binary, folder, is_shared=self._options.shared, kinds=self._options.kinds)
            is_good = True
            try:
                while is_good and not is_over:
                    is_good = self._round(arena, number)
                    number += 1
                    is_over = time.monotonic() > deadline or bool(self._options.round)
                    is_over = is_over or (self._options.stop and not is_good)
                if not is_good:
                    arena.keep_evidence()
            finally:
                arena.close()
            if not is_good:
                self._say_how(folder, number - 1)

    def _round(self, arena: Arena, number: int) -> bool:
        try:
            done = run_round(arena, number, seed=self._options.seed, only=self._options.fault)
        except Exception as error:  # noqa: BLE001 - the harness's top: the round is a failing one, and the run goes on
            done = Round(number)
            done.verdict.problems.append(f"{error}\n{traceback.format_exc()}")
        self.totals.add(done)
        print(line_of(done, str(self._binary)), flush=True)
        if not done.is_good:
            text = "\n".join(done.verdict.problems)
            print(text, flush=True)
            (arena.folder / "problems.txt").write_text(f"{line_of(done, str(self._binary))}\n{text}\n")
        return done.is_good

    def _say_how(self, folder: Path, number: int) -> None:
        faults = "".join(f" --fault {name}" for name in self._options.fault)
        faults += " --shared" if self._options.shared else ""
        if self._options.kinds != tuple(k for k in KINDS if k.is_on):
            faults += f" --kinds {','.join(kind.name for kind in self._options.kinds) or 'none'}"
        flavour = str(self._binary)
        words = f"--seed {shlex.quote(self._options.seed)} --servers {flavour} --round {number}{faults}"
        print(f"  kept: {folder}\n  again: python -m tests.torture {words}", flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit code: 1 where a round failed."""
    options = _arguments(words)
    # `health` is asked inside this process too: its log is no part of the report.
    logging.getLogger("replica_cli").addHandler(logging.NullHandler())
    logging.getLogger("replica_cli").propagate = False
    options.seed = options.seed or str(time.time_ns() % 1_000_000)
    binaries = _binaries(options.servers)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"seed {options.seed}, servers {', '.join(map(str, binaries))}, logs {folder}", flush=True)
    runs = [_Run(binary, options, folder) for binary in binaries]
    try:
        for run in runs:
            run.run(options.minutes / len(runs))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    totals = [run.totals for run in runs]
    print(table_of(totals), flush=True)
    return 1 if any(t.failures for t in totals) else 0


if __name__ == "__main__":
    sys.exit(main())  # noqa: TID251 - a program of its own
