"""How many workers copy over a link: more where answers take long, if nobody chose their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Network, Secret, TransferSettings
from replica_cli.mysql.session import connect
from replica_cli.transfer.width import worker_count
from tests.fix_proxy import Proxy

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
