"""A pair of throw-away servers, and what a command or a running stream costs on them and at the client."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.stop import StopToken
from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.bench.growth.counters import Counters
from tests.bench.native import Native
from tests.bench.proc import children_of, cost_of, cpu_seconds, is_worker
from tests.bench.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import TracebackType

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.bench.replica import Command

SCHEMA = "growth"
_MIB = 2**20
_LOOK_SECONDS = 0.05
# After a batch is visible the worker still has to note that it is.
_SETTLE_SECONDS = 0.6
# Thousands of tables are to meet the limits of `replica`, not of a cache of the servers.
_ROOMY: Mapping[str, str | int] = {"table-open-cache": 9000, "table-definition-cache": 16000}
_MARK = "CREATE TABLE mark (id INT PRIMARY KEY)"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: the server, small or full sizes, and how long one command may take."""

    binary: ServerBinary
    is_small: bool
    patience_seconds: float

    def sizes(self, small: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes to measure."""
        return small if self.is_small else full


@contextlib.contextmanager
def rig_with(
    plan: Plan,
    load: Callable[[Session], None],
    options: Mapping[str, str | int | None] | None = None,
    *,
    secondary_options: Mapping[str, str | int | None] | None = None,
    is_empty: bool = False,
) -> Iterator[Rig]:
    """Give servers that run: the primary with what `load` makes, the secondary with the same or with nothing."""
    with Sandbox() as sandbox:
        rig = Rig(
            sandbox, plan.binary, SCHEMA, has_secondary_log=True,
            options={**_ROOMY, **(options or {})}, secondary_options=secondary_options,
        )  # fmt: skip

        def make(primary: object) -> None:
            del primary
            with rig.primary.session(database=SCHEMA) as session:
                session.execute(_MARK)
                load(session)

        rig.load(make)
        rig.renew_secondary("fast", is_empty=is_empty)
        yield rig


def cost_of_run(
    rig: Rig, plan: Plan, *words: str, codes: Collection[int] = (0,), ports: tuple[int, int] | None = None
) -> dict[str, float]:
    """Run a command to its end; return what it cost. Raises RunFailed, also after the plan's patience."""
    counters = Counters(rig.primary, rig.secondary)
    command = replica.start(rig, *words, ports=ports)
    timing = command.wait(patience_seconds=plan.patience_seconds, codes=codes)
    return {
        "seconds": timing.seconds,
        "client_cpu": timing.worker.cpu_seconds + timing.supervisor.cpu_seconds,
        **({"supervisor_cpu": timing.supervisor.cpu_seconds} if timing.worker.peak_bytes else {}),
        "client_mib": max(timing.worker.peak_bytes, timing.supervisor.peak_bytes) / _MIB,
        "log_lines": len(command.lines),
        **counters.read(),
    }


class Following:
    """A stream that runs; `cost_of_batch` writes on the primary and returns what that cost on the way."""

    def __init__(self, rig: Rig, plan: Plan, settings: Mapping[str, str] | None = None) -> None:
        self._rig, self._plan, self._settings = rig, plan, settings
        self._marks = 0

    def __enter__(self) -> Self:
        replica.begin_at_start(self._rig)
        self._primary = self._rig.primary.session(database=SCHEMA)
        self._secondary = self._rig.secondary.session(database=SCHEMA)
        self._command = replica.start(self._rig, "stream", "--no-transfer", settings=self._settings)
        try:
            self._command.wait_until_streaming()
            self._worker = workers_of(self._command)[0]
            self.cost_of_batch(lambda _: None)
        except BaseException:
            self._command.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._primary, self._secondary):
            session.close()
        if kind is not None:
            self._command.kill()
        self._command.stop(patience_seconds=self._plan.patience_seconds)

    def cost_of_batch(self, write: Callable[[Session], None]) -> dict[str, float]:
        """Return what it cost to bring to the secondary what `write` does. Raises RunFailed."""
        counters = Counters(self._rig.primary, self._rig.secondary)
        before, lines, started = self._cpu(), len(self._command.lines), time.monotonic()
        write(self._primary)
        self._marks += 1
        self._primary.execute(f"INSERT INTO mark VALUES ({self._marks})")
        looks = self._wait_for_mark()
        seconds = time.monotonic() - started
        StopToken().wait(_SETTLE_SECONDS)
        (worker, supervisor) = (b - a for a, b in zip(before, self._cpu(), strict=True))
        found = counters.read()
        # Looking for the mark is not part of it.
        found["secondary_statements"] -= looks
        peak = cost_of(self._worker)
        return {
            "seconds": seconds,
            "client_cpu": worker + supervisor,
            "supervisor_cpu": supervisor,
            "client_mib": peak.peak_bytes / _MIB if peak else 0.0,
            "log_lines": len(self._command.lines) - lines,
            **found,
        }

    def _cpu(self) -> tuple[float, float]:
        return cpu_seconds(self._worker), cpu_seconds(self._command.process.pid)

    def _wait_for_mark(self) -> int:
        deadline = time.monotonic() + self._plan.patience_seconds
        looks = 1
        while self._secondary.row(f"SELECT 1 FROM mark WHERE id = {self._marks}") is None:
            if self._command.process.poll() is not None:
                raise RunFailed("replica ended:\n" + "".join(self._command.lines[-20:]))
            if time.monotonic() > deadline:
                raise RunFailed(f"not applied in {self._plan.patience_seconds:.0f} s")
            StopToken().wait(_LOOK_SECONDS)
            looks += 1
        return looks


def workers_of(command: Command) -> list[int]:
    """Return the process ids of a stream's workers. Raises RunFailed if it has none."""
    found = [pid for pid in children_of(command.process.pid) if is_worker(pid)]
    if not found:
        raise RunFailed("replica has no worker process:\n" + "".join(command.lines[-20:]))
    return found


def write_together(session: Session, statements: list[str]) -> None:
    """Send many statements without waiting for the answer of each."""
    for first in range(0, len(statements), 500):
        part = [text.encode() for text in statements[first : first + 500]]
        session.send(part)
        for number in range(len(part)):
            session.receive(is_first=not number)


def numbers(session: Session, count: int) -> str:
    """Return the begin of a SELECT from `numbers`, whose column `i` counts from 1 to `count`, on both flavours."""
    name = "max_recursive_iterations" if session.is_mariadb else "cte_max_recursion_depth"
    session.execute(f"SET SESSION {name} = {count + 1}")
    return f"WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count})"


def single_native(rig: Rig) -> Native:
    """Return the server's own replication with one thread that applies; MySQL has no setting without workers."""
    return Native() if rig.is_mariadb else Native(1)
