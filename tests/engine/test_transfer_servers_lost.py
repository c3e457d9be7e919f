"""A server that is away, or cannot write now, does not count as a failure of a table."""

from __future__ import annotations

from functools import partial

import pytest

from replica_cli import error_policy
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import Network, Retry
from replica_cli.core.status import TableState
from replica_cli.mysql.errnos import ServerError, remedy_of
from replica_cli.stop import StopToken
from replica_cli.transfer import copy_worker
from replica_cli.transfer.run import run_copy
from tests.engine.copier import SIMPLE, Copier, numbers


@pytest.mark.parametrize(("errno", "fails_table"), [(2003, False), (1114, False), (2013, True), (1205, True)])
def test_which_errors_are_of_the_table(
    copier: Copier, errno: int, monkeypatch: pytest.MonkeyPatch, *, fails_table: bool
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 9))

    def fail(*_: object) -> None:
        raise ServerError(errno, "as it may be", "db2", remedy=remedy_of(errno))

    with monkeypatch.context() as patch:
        patch.setattr(copy_worker, "begin_table", fail)
        patch.setattr(error_policy, "CHUNK_LOSSES_LIMIT", 2)
        plan = copier.plan()
        run = partial(
            run_copy,
            plan,
            primary=copier.primary.address(name="primary"),
            secondary=copier.secondary.address(name="db2"),
            network=Network(),
            retry=Retry(attempts=2, delay=0.01, delay_limit=0.01, reconnect_attempts=3),
            stop=StopToken(),
        )
        if fails_table:
            result = run()
            assert [table for table, _ in result.errors] == [f"{copier.schema}.t"]
        else:
            with pytest.raises(ServerError) as raised:
                run()
            assert raised.value.errno == errno
    assert copier.records()["t"].state is TableState.COPYING
    copier.copy(TransferMode.RESUME)
    copier.compare()
