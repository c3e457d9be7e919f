"""Definitions that a secondary would refuse after the copy, or for its settings: the plan renames or names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import StateBroken
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import Network
from replica_cli.mysql.session import connect
from replica_cli.stop import StopToken
from replica_cli.transfer import make_tables
from replica_cli.transfer.errors import TablesRefused
from replica_cli.transfer.planning.plan import plan_copy
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory


def test_names_of_checks_and_keys_that_mysql_is_stricter_about_are_carried(
    server_factory: ServerFactory, schema: str
) -> None:
    copier = Copier(server_factory("mariadb"), server_factory("mysql"), schema)
    copier.on_primary(
        "CREATE TABLE one (id INT PRIMARY KEY, a INT, KEY (a), CHECK (a > 0), CONSTRAINT small CHECK (a < 9))",
        "CREATE TABLE other (id INT PRIMARY KEY, a INT, CHECK (a > 1), CONSTRAINT Small CHECK (a < 9),"
        " CONSTRAINT own CHECK (a < 99), FOREIGN KEY (a) REFERENCES one (a))",
        "INSERT INTO one VALUES (1, 2), (2, 2)",
        "INSERT INTO other VALUES (1, 2)",
    )
    copier.copy()
    copier.compare()
    with copier.secondary.session() as session:
        names = session.rows(
            "SELECT constraint_name FROM information_schema.check_constraints WHERE constraint_schema = %s ORDER BY 1",
            schema,
        )
    assert [str(name) for (name,) in names] == ["one_chk_1", "one_chk_2", "other_chk_1", "other_chk_2", "own"]


def test_settings_of_mysql_that_our_user_may_not_change_are_named_with_their_tables(
    server_factory: ServerFactory, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_tables, "DEFERRED_KEYS_ROWS", 0)  # the indexes are made on a connection of their own
    options = {"sql-require-primary-key": "ON", "sql-generate-invisible-primary-key": "ON"}
    copier = Copier(server_factory("mariadb"), server_factory("mysql", **options), schema)
    copier.on_primary(
        "CREATE TABLE keyless (a INT, KEY a (a))",
        f"CREATE TABLE keyed {SIMPLE}",
        "INSERT INTO keyless VALUES (1)",
    )
    with copier.secondary.session() as session:
        session.execute("CREATE USER plain@'%' IDENTIFIED BY 'plain-word'")
        session.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES ON *.* TO plain@'%'"
        )
    plain = copier.secondary.address(name="db2", user="plain", password="plain-word")
    with (
        copier.primary.session() as primary,
        connect(plain, Network()) as secondary,
        pytest.raises(TablesRefused) as refused,
    ):
        plan_copy(
            primary, secondary, copier.selection, instance="db2", state_schema=f"{schema}_state",
            settings=copier.settings,
        )  # fmt: skip
    assert {name.table for name in refused.value.refused} == {"keyless"}
    assert "sql_require_primary_key=ON" in refused.value.message
    # With the privilege our session sets them for itself.
    copier.copy()
    copier.compare()


GARBAGE = ("nonsense", "(1 OR 1)", "(abc)", "('it''s')", "(SLEEP(1))", "", "(1, )")


def test_progress_that_no_copy_wrote_is_named_and_repaired_as_the_hint_says(
    primary: SandboxServer, secondary: SandboxServer, schema: str
) -> None:
    copier = Copier(primary, secondary, schema)
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 5000))
    stop = StopToken()
    copier.run(copier.plan(), stop=stop, report=lambda _: stop.request())
    with secondary.session(f"{schema}_state") as session:
        for column in ("last_key", "high_key"):
            for text in GARBAGE:
                session.execute(f"UPDATE transfer_progress SET {column} = %s WHERE range_number = 1", text)
                with pytest.raises(StateBroken) as broken:
                    copier.plan(TransferMode.RESUME)
                assert f"a row of {schema}.t that cannot be read" in broken.value.message
            session.execute(f"UPDATE transfer_progress SET {column} = NULL WHERE range_number = 1")
        # A key of another number of columns is begun again: nothing else can be done with it.
        session.execute("UPDATE transfer_progress SET last_key = '(1, 2)' WHERE range_number = 1")
        assert copier.plan(TransferMode.RESUME).tables[0].planned.rows_copied == 0
        session.execute("UPDATE transfer_progress SET last_key = 'nonsense' WHERE range_number = 1")
        with pytest.raises(StateBroken) as broken:
            copier.plan(TransferMode.RESUME)
        session.execute(str(broken.value.hint).partition(";")[0])
    copier.copy(TransferMode.RESUME)
    copier.compare()
