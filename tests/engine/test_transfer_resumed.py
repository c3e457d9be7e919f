"""What a plan says of what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine.test_transfer import Copier, numbers

from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.core.errors import Interrupted
from replica_cli.core.requests import TransferMode
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import TablesOccupied

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Copier:
    return Copier(primary, secondary, schema)


def test_a_resumed_plan_tells_which_rows_are_copied_again(copier: Copier) -> None:
    copier.on_primary("CREATE TABLE bare (a INT, b INT)", numbers("bare", 30, "n, n"))
    stop = StopToken()

    def cut(*_: object) -> None:
        stop.request()
        raise Interrupted("cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressStore, "verify", cut)
        copier.run(copier.plan(), stop=stop)
    warning = f"{copier.schema}.bare: its copy begins again, as all its rows are read in one go"
    assert warning in copier.plan(TransferMode.RESUME).warnings
    copier.copy(TransferMode.RESUME)
    copier.compare()


@pytest.mark.servers("mariadb")
def test_a_sequence_that_was_never_used_does_not_occupy_a_prepared_schema(copier: Copier) -> None:
    made = "CREATE SEQUENCE counter START WITH 5"
    copier.on_primary(made, "DO NEXTVAL(counter)")
    with copier.secondary.session() as session:
        session.execute(f"CREATE DATABASE {copier.schema}")
        session.execute(f"USE {copier.schema}")
        session.execute(made)
        session.execute("DO NEXTVAL(counter)")
        with pytest.raises(TablesOccupied):
            copier.plan()
        session.execute("DROP SEQUENCE counter")
        session.execute(made)
    copier.copy()
    copier.compare()
