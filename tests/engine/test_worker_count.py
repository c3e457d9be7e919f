"""The number of workers that copy over a link: more if answers take long, unless the settings have a number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Network, Retry, Secret, TransferSettings
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken
from replica_cli.transfer.run import run_copy
from replica_cli.transfer.work_queue import worker_count
from tests.engine.copier import Copier, numbers
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer

CHOSEN = TransferSettings(workers=3)
UNSET = TransferSettings(far_workers=16)


@pytest.fixture
def proxy(primary: SandboxServer) -> Iterator[Proxy]:
    found = Proxy(primary.port)
    yield found
    found.close()


@pytest.fixture
def second_proxy(secondary: SandboxServer) -> Iterator[Proxy]:
    found = Proxy(secondary.port)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("settings", "delay_seconds", "expected"),
    [
        # A near server may be slow for once, on a busy machine.
        (UNSET, 0.0, (4, 16)),
        (UNSET, 0.1, (16, 16)),
        (UNSET, 0.02, (10, 16)),
        (CHOSEN, 0.1, (3, 3)),
    ],
)
def test_more_workers_over_a_long_link(
    primary: SandboxServer, proxy: Proxy, settings: TransferSettings, delay_seconds: float, expected: tuple[int, int]
) -> None:
    proxy.delay(delay_seconds)
    far = replace(primary.address(), port=proxy.port)
    with connect(primary.address(), Network()) as one, connect(far, Network()) as other:
        assert expected[0] <= worker_count(settings, one, other) <= expected[1]


def test_a_copy_over_a_long_link(
    primary: SandboxServer, secondary: SandboxServer, schema: str, second_proxy: Proxy
) -> None:
    copier = Copier(primary, secondary, schema, settings=replace(UNSET, chunk_rows=100))
    shape = "(id INT PRIMARY KEY, v INT, KEY (v))"
    copier.on_primary(
        *(text for n in range(24) for text in (f"CREATE TABLE t{n} {shape}", numbers(f"t{n}", 300, "n, n")))
    )
    plan = copier.plan()
    second_proxy.delay(0.05)
    result = run_copy(
        plan, primary=primary.address(name="primary"),
        secondary=replace(secondary.address(name="db2"), port=second_proxy.port), network=Network(), retry=Retry(),
        stop=StopToken(),
    )  # fmt: skip
    assert (result.is_complete, result.errors) == (True, ())
    copier.compare()
    assert second_proxy.most_connections >= 3 * 16


def test_not_more_than_connections_are_free(primary: SandboxServer, proxy: Proxy, schema: str) -> None:
    proxy.delay(0.1)
    with primary.session() as admin:
        admin.execute(f"CREATE USER {schema}@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 30")
        try:
            far = replace(primary.address(), port=proxy.port, user=schema, password=Secret("x"))
            with connect(primary.address(), Network()) as one, connect(far, Network()) as other:
                assert worker_count(UNSET, one, other) == 5
        finally:
            admin.execute(f"DROP USER {schema}@'%'")
