"""Faults of the links: each exists for the link to the primary and for the one to the secondary."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.torture.faults.fault import Fault, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.proxy import Proxy


def _cut(scene: Scene, proxy: Proxy) -> None:
    for _ in range(scene.chance.randint(1, 3)):
        proxy.cut()
        scene.linger(0, 1.5)


def _cut_inside(scene: Scene, proxy: Proxy) -> None:
    """Let some more bytes through and cut then: mostly inside a packet, often inside its header."""
    for _ in range(scene.chance.randint(1, 3)):
        proxy.cut_after(scene.chance.choice((1, 3, 5, 60, 700, 5_000, 100_000)) + scene.chance.randrange(50))
        scene.linger(0.5, 2)


def _delay(scene: Scene, proxy: Proxy) -> None:
    """Hold everything back a little, to the end of the round."""
    proxy.delay(scene.chance.choice((0.005, 0.02, 0.08)))
    scene.linger(1, 3)


def _accept_nothing(scene: Scene, proxy: Proxy) -> None:
    """Take connections and data and pass nothing on, for less or for more than any patience."""
    proxy.freeze()
    scene.linger(1, 9)
    if scene.chance.random() < 0.5:
        proxy.cut()
    proxy.thaw()


def _half_open(scene: Scene, proxy: Proxy) -> None:
    """Leave what is open hanging without a packet or a reset; new connections work."""
    proxy.strand()
    if scene.chance.random() < 0.3:
        # The machine is gone: another process begins while the servers still keep the old connections.
        scene.detail = "and killed"
        scene.site.start_stream().kill_all()
        scene.site.stream = None
        scene.site.start_stream()
    else:
        scene.linger(6, 12)
    proxy.cut_stranded()


def _refuse(scene: Scene, proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()
    scene.linger(1, 6)
    proxy.restore()


def _to_primary(damage: Callable[[Scene, Proxy], None], scene: Scene) -> None:
    damage(scene, scene.site.to_primary)


def _to_secondary(damage: Callable[[Scene, Proxy], None], scene: Scene) -> None:
    damage(scene, scene.site.to_secondary)


_DAMAGES: dict[str, tuple[int, Callable[[Scene, Proxy], None]]] = {
    "cut": (4, _cut), "cut-inside-packet": (4, _cut_inside), "delay": (2, _delay),
    "accept-nothing": (2, _accept_nothing), "half-open": (2, _half_open), "refuse": (2, _refuse),
}  # fmt: skip

NETWORK_FAULTS = tuple(
    Fault(f"{name}-{side}", weight, partial(reach, damage))
    for name, (weight, damage) in _DAMAGES.items()
    for side, reach in (("primary", _to_primary), ("secondary", _to_secondary))
)
