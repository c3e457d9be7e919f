"""Faults of replica's own processes: killed, asked to end, frozen while a standby waits, paused."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.command import tail
from tests.torture.faults.fault import Fault, Scene
from tests.torture.rest import check_that_death_is_told, check_that_end_is_told, check_that_silence_is_told
from tests.torture.waiting import Failed, wait_until

if TYPE_CHECKING:
    from tests.torture.arena import Arena

_SILENCE_SECONDS = 16.0  # `health` takes a heartbeat of fifteen seconds for a fresh one
_TAKEOVER_SECONDS = 60.0
_STEP_BACK_SECONDS = 60.0
_STEPPED_BACK = frozenset({15, 16})  # another holds the lock; another took over


def _kill_worker(scene: Scene) -> None:
    stream = scene.site.start_stream()
    words = f"[{scene.site.name}] streaming from"
    begun = stream.text.count(words)
    if stream.kill_worker(scene.site.worker_pid()):
        stream.worker_kills += 1
        wait_until(lambda: stream.text.count(words) > begun, "the supervisor to start another worker", 60)
        if scene.chance.random() < 0.3:
            scene.linger(1.5, 2.5)  # a heartbeat of the new one
            check_that_death_is_told(scene.site)


def _kill_supervisor(scene: Scene) -> None:
    scene.site.start_stream().kill_supervisor()
    scene.site.stream = None
    scene.site.start_stream()


def _kill_all(scene: Scene) -> None:
    for _ in range(scene.chance.randint(1, 3)):
        scene.site.start_stream().kill_all()
        scene.site.stream = None
        scene.linger(0, 0.5)
    if scene.chance.random() < 0.2:
        scene.detail = "and left dead"
        scene.linger(_SILENCE_SECONDS, _SILENCE_SECONDS + 2)
        check_that_silence_is_told(scene.site)
    scene.site.start_stream()


def _kill_at_start(scene: Scene) -> None:
    scene.site.stop_stream()
    command = scene.site.command("stream")
    scene.linger(0.3, 2.5)
    command.kill_all()
    scene.site.start_stream()


def _terminate(scene: Scene) -> None:
    scene.site.stop_stream()
    scene.linger(0, 2)
    check_that_end_is_told(scene.site)
    scene.site.start_stream()


def _freeze(scene: Scene) -> None:
    """Freeze a stream for longer than its secondary's timeouts, without a standby."""
    stream = scene.site.start_stream()
    stream.signal_group(signal.SIGSTOP)
    scene.linger(1, 8)
    stream.signal_group(signal.SIGCONT)


def _take_over(scene: Scene) -> None:
    """Freeze a stream until the standby has taken over; awake again, it must not write."""
    site = scene.site
    frozen = site.start_stream()
    standby = site.command("stream", "--standby")
    scene.linger(2, 4)
    if not standby.is_running:
        raise Failed(f"{site}: the standby exited {standby.code} while another held the lock:\n{tail(standby.text)}")
    site.post.frozen[frozen.log] = time.time()
    frozen.signal_group(signal.SIGSTOP)
    try:
        wait_until(lambda: site.post.has_begun(standby), "the standby to take over", _TAKEOVER_SECONDS)
        site.stream = standby
        scene.linger(0.5, 3)
    finally:
        frozen.signal_group(signal.SIGCONT)
    # The ledger shows that it commits nothing.
    code = frozen.wait(_STEP_BACK_SECONDS)
    if code not in _STEPPED_BACK:
        raise Failed(f"{site}: the frozen stream exited {code} when it woke up:\n{tail(frozen.text)}")
    if not standby.is_running:
        raise Failed(f"{site}: the standby exited {standby.code} when the frozen stream woke up:\n{tail(standby.text)}")


def _pause(scene: Scene) -> None:
    site = scene.site
    site.run("pause")
    scene.linger(1, 2)
    before = site.saved()
    scene.linger(1, 2)
    if site.has_moved(before):
        raise Failed(f"{site}: paused, and the position moved from {before} to {site.saved()}")
    site.run("resume")
    wait_until(lambda: site.has_moved(before), f"{site} to move after `replica resume`", 60)


@cache
def _help(*words: str) -> str:
    command = Path(sys.executable).with_name("replica")
    return subprocess.run([str(command), *words, "--help"], capture_output=True, text=True, check=False).stdout


def _without_standby(arena: Arena) -> str:  # noqa: ARG001
    return "" if "--standby" in _help("stream") else "`replica stream` has no --standby"


def _without_pause(arena: Arena) -> str:  # noqa: ARG001
    return "" if " resume " in _help() else "there is no `replica pause`"


PROCESS_FAULTS = (
    Fault("kill-worker", 6, _kill_worker),
    Fault("kill-supervisor", 4, _kill_supervisor),
    Fault("kill-all", 6, _kill_all),
    Fault("kill-at-start", 3, _kill_at_start),
    Fault("terminate", 4, _terminate),
    Fault("freeze", 2, _freeze),
    Fault("take-over", 3, _take_over, _without_standby),
    Fault("pause", 2, _pause, _without_pause),
)
