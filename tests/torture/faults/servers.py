"""Faults of the servers: restarted, killed, frozen, rotated, purged, full, read-only, their connections killed."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError
from replica_cli.sandbox.binaries import Flavour
from tests.torture.arena import set_read_only
from tests.torture.command import tail
from tests.torture.faults.fault import Fault, Scene
from tests.torture.rest import check_that_loss_is_told
from tests.torture.tables import SCHEMA, USER
from tests.torture.waiting import Failed, wait_until

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.torture.arena import Arena

_POSITION_LOST = 11
_NOTICE_SECONDS = 75.0  # a stream's watch looks every half minute, and a busy machine takes its time


def _restart(scene: Scene, server: SandboxServer) -> None:
    server.stop()
    scene.linger(0, 3)
    server.start()


def _kill(scene: Scene, server: SandboxServer) -> None:
    server.kill()
    scene.linger(0, 3)
    server.start()


def _freeze(scene: Scene, server: SandboxServer) -> None:
    server.freeze()
    scene.linger(1, 10)
    server.thaw()


def _kill_connections(scene: Scene, server: SandboxServer) -> None:
    for _ in range(scene.chance.randint(1, 3)):
        with server.session() as session:
            for number, user, *_ in session.rows("SHOW PROCESSLIST"):
                if user == USER:
                    with contextlib.suppress(ServerError):  # gone by itself meanwhile
                        session.execute(f"KILL {number}")
        scene.linger(0, 1)


def _flush_logs(scene: Scene) -> None:
    for _ in range(scene.chance.randint(1, 4)):
        scene.arena.on_primary("FLUSH BINARY LOGS")
        scene.linger(0, 0.5)


def _purge_behind_the_slowest(scene: Scene) -> None:
    """Purge all files that no stream needs, while the log is read."""
    scene.arena.on_primary("FLUSH BINARY LOGS")
    scene.linger(0.5, 2)
    scene.arena.on_primary(f"PURGE BINARY LOGS TO '{min(site.saved()[0] for site in scene.arena.sites)}'")


def _purge_what_is_read(scene: Scene) -> None:
    """Purge what a stopped stream has still to read: it has to say so, and a new copy brings it back."""
    arena, site = scene.arena, scene.site
    (other,) = (s for s in arena.sites if s is not site)
    site.stop_stream()
    scene.wait_for_transactions(20)
    before = site.saved()[0]
    arena.on_primary("FLUSH BINARY LOGS")
    end = arena.primary_end()[0]
    wait_until(lambda: other.saved()[0] >= end and not other.catches_up_before(end), f"{other} to be in {end}", 90)
    with site.losing():
        arena.on_primary(f"PURGE BINARY LOGS TO '{end}'")
    with arena.primary.session() as session:
        there = [str(row[0]) for row in session.rows("SHOW BINARY LOGS")]
    if before in there:
        # The server keeps a file that a connection still reads.
        scene.detail = "kept by the server"
        site.start_stream()
        return
    with site.losing():
        site.run("stream", code=_POSITION_LOST)
        check_that_loss_is_told(site)
        site.copy_again()
        site.start_stream()


def _reset_log(scene: Scene) -> None:
    """Take the whole log away: each stream has to end with 11, and a new copy brings its secondary back."""
    arena, chance = scene.arena, scene.chance
    posts = list({id(site.post): site.post for site in arena.sites}.values())
    is_stopped = chance.random() < 0.4
    scene.detail = "while stopped" if is_stopped else "while streaming"
    with ExitStack() as losing:
        if is_stopped:
            for post in posts:
                post.sites[0].stop_stream()
        for site in arena.sites:
            losing.enter_context(site.losing())
        arena.on_primary("RESET MASTER" if arena.binary.flavour is Flavour.MARIADB else "RESET BINARY LOGS AND GTIDS")
        if is_stopped:
            scene.wait_for_transactions(chance.randint(1, 60))
        for post in posts:
            site, stream = post.sites[0], post.stream or post.sites[0].command("stream")
            code, post.stream = stream.wait(_NOTICE_SECONDS), None
            if code != _POSITION_LOST:
                raise Failed(f"{site}: the log was reset, and the stream exited {code}:\n{tail(stream.text)}")
        for site in arena.sites:
            check_that_loss_is_told(site)
            site.copy_again()
        for post in posts:
            post.sites[0].start_stream()


def _shared(arena: Arena) -> str:
    return "nothing is read for the other one while it is stopped" if arena.is_shared else ""


def _fill_disk(scene: Scene) -> None:
    disk = scene.site.disk
    if disk is None:  # `why_not` has said so
        raise AssertionError
    disk.fill()
    try:
        scene.linger(2, 6)
    finally:
        disk.empty()
    if not scene.site.server.is_running:
        scene.detail = "the server died of it"
        scene.site.server.start()


def _read_only(scene: Scene) -> None:
    set_read_only(scene.site.server, is_on=True)
    scene.linger(1, 6)
    set_read_only(scene.site.server, is_on=False)


def _lock_rows(scene: Scene) -> None:
    """Hold the hot rows of the secondary for longer than a lock wait."""
    with scene.site.server.session(database=SCHEMA) as session:
        session.begin()
        session.rows("SELECT * FROM account FOR UPDATE")
        scene.linger(1, 5)
        session.rollback()


def _without_disk(arena: Arena) -> str:
    return "" if all(site.disk for site in arena.sites) else "no small disk can be mounted"


SERVER_FAULTS = (
    Fault("restart-primary", 3, lambda scene: _restart(scene, scene.arena.primary)),
    Fault("restart-secondary", 3, lambda scene: _restart(scene, scene.site.server)),
    Fault("kill-primary", 3, lambda scene: _kill(scene, scene.arena.primary)),
    Fault("kill-secondary", 3, lambda scene: _kill(scene, scene.site.server)),
    Fault("freeze-primary", 2, lambda scene: _freeze(scene, scene.arena.primary)),
    Fault("freeze-secondary", 2, lambda scene: _freeze(scene, scene.site.server)),
    Fault("kill-connections-primary", 3, lambda scene: _kill_connections(scene, scene.arena.primary)),
    Fault("kill-connections-secondary", 3, lambda scene: _kill_connections(scene, scene.site.server)),
    Fault("flush-logs", 3, _flush_logs),
    Fault("purge-behind", 3, _purge_behind_the_slowest),
    Fault("purge-what-is-read", 2, _purge_what_is_read, _shared),
    Fault("reset-log", 1, _reset_log),
    Fault("disk-full", 3, _fill_disk, _without_disk),
    Fault("read-only", 3, _read_only),
    Fault("lock-rows", 3, _lock_rows),
)
