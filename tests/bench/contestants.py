"""The programs that apply a backlog: preparation is not timed, the run is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tests.bench import replica
from tests.bench.native import Native
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.bench.result import Timing
    from tests.bench.rig import Rig


class Contestant(Protocol):
    """Somebody who brings the rig's fresh secondary to the end of the primary's log."""

    def prepare(self, rig: Rig) -> None:
        """Do what is not timed."""

    def run(self, rig: Rig) -> Timing:
        """Do what is timed. Raises RunFailed."""


@dataclass(frozen=True, slots=True)
class Ours:
    """`replica stream --until-caught-up` with an engine."""

    engine: str
    profile: Path | None = None

    def prepare(self, rig: Rig) -> None:
        """Save the position before the log."""
        replica.begin_at_start(rig)

    def run(self, rig: Rig) -> Timing:
        """Stream to the log's end."""
        words = ("stream", "--until-caught-up", "--no-transfer", "--engine", self.engine)
        return replica.start(rig, *words, profile=replica.next_file(self.profile)).wait()


@dataclass(frozen=True, slots=True)
class OursLinked:
    """The same over slow links to both servers: `seconds` is the delay in each direction."""

    delay_seconds: float

    def prepare(self, rig: Rig) -> None:
        """Save the position before the log."""
        replica.begin_at_start(rig)

    def run(self, rig: Rig) -> Timing:
        """Stream to the log's end; the time is without the start, which asks many things one by one."""
        proxies = Proxy(rig.primary.port), Proxy(rig.secondary.port)
        try:
            for proxy in proxies:
                proxy.delay_seconds = self.delay_seconds
            words = ("stream", "--until-caught-up", "--no-transfer")
            timing = replica.start(rig, *words, ports=(proxies[0].port, proxies[1].port)).wait()
        finally:
            for proxy in proxies:
                proxy.close()
        return replace(timing, seconds=timing.streaming_seconds or timing.seconds)


@dataclass(frozen=True, slots=True)
class OursTransfer:
    """`replica transfer`."""

    profile: Path | None = None

    def prepare(self, rig: Rig) -> None:
        """Nothing to do."""

    def run(self, rig: Rig) -> Timing:
        """Copy the schema."""
        return replica.start(rig, "transfer", profile=replica.next_file(self.profile)).wait()


PARALLEL: Mapping[str, Native] = {
    f"native {mode} {threads}": Native(threads, mode) for mode in ("conservative", "optimistic") for threads in (2, 4)
}
