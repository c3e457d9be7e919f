"""Values of 64 MB through copy and stream, by the real command, within a stated amount of memory."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Replica

_HARD = f"REPEAT(x'00275CFF', {16 * 2**20})"
_DIGEST = "SELECT id, LENGTH(v), SHA2(v, 256) FROM big ORDER BY id"


@pytest.fixture
def roomy(replica: Replica) -> Iterator[Replica]:
    """Both servers take packets of any size, in sessions that begin now."""
    before = {}
    for server in (replica.primary, *replica.secondaries.values()):
        with server.session() as session:
            before[server] = session.rows("SELECT @@GLOBAL.max_allowed_packet")[0][0]
            session.execute(f"SET GLOBAL max_allowed_packet = {2**30}")
    yield replica
    for server, limit in before.items():
        with server.session() as session:
            session.execute(f"SET GLOBAL max_allowed_packet = {limit}")


@pytest.mark.covers("rows above 16 MB, values of 64 MB")
@pytest.mark.every_flavour
def test_values_of_64_megabytes_pass_in_bounded_memory(roomy: Replica) -> None:
    replica = roomy
    replica.on_primary(
        "CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)",
        f"INSERT INTO big VALUES (1, {_HARD})", "INSERT INTO big VALUES (2, 'small')",
    )  # fmt: skip
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.on_primary(f"INSERT INTO big VALUES (3, {_HARD})", "UPDATE big SET v = CONCAT(v, 'x') WHERE id = 2")
    replica.wait_until_applied(stream)
    (pid,) = stream.worker_pids()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert stream.end(signal.SIGTERM).code == 0
    with replica.primary.session(replica.schema) as session:
        assert replica.on_secondary(_DIGEST) == session.rows(_DIGEST)
    assert peak is not None
    # As docs/compatibility.md says: eight times the largest value, and 60 MB.
    assert int(peak[1]) < (8 * 64 + 60) * 1024
