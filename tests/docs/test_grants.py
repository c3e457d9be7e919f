"""The grants of docs/accounts.md are enough for copy, streaming, DDL and health: the accounts have nothing else."""

from __future__ import annotations

import re
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from tests.docs.documents import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

PASSWORD = "change-me"


def statements(flavour: str, side: str) -> list[str]:
    page = (DOCS / "accounts.md").read_text()
    text = re.search(rf"^On a {flavour} {side}.*?^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert text, f"no grants for a {flavour} {side}"
    return [s for s in text[1].splitlines() if s]


@pytest.fixture
def account(replica: Replica) -> Iterator[str]:
    name = f"r_{secrets.token_hex(4)}"
    replica.on_primary()  # makes the schema

    def grant(session: Session, side: str) -> None:
        for statement in statements("MariaDB" if session.is_mariadb else "MySQL", side):
            state = replica.state_schema.replace("_", "\\_")
            text = statement.replace("'replica'", f"'{name}'").replace("`shop`", f"`{replica.schema}`")
            session.execute(text.replace("`replica\\_state`", f"`{state}`"))

    with replica.primary.session() as primary, replica.secondaries["db1"].session() as secondary:
        grant(primary, "primary")
        grant(secondary, "secondary")
        replica.settings |= {"MARIA_USER": name, "MARIA_PASS": PASSWORD}
        yield name
        for session in (primary, secondary):
            session.execute(f"DROP USER '{name}'@'%'")


def test_copy_stream_and_health_with_the_grants_of_the_page(replica: Replica, account: str) -> None:
    replica.on_primary(
        "CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
        "CREATE TABLE keyless (v INT)",
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "INSERT INTO keyless VALUES (1), (1), (2)",
    )
    replica.catch_up()
    replica.assert_equal()
    replica.on_primary(
        "UPDATE parent SET name = 'c' WHERE id = 1",
        "ALTER TABLE parent ADD COLUMN extra INT DEFAULT 3, ADD INDEX (extra)",
        "INSERT INTO parent VALUES (3, 'd', 4)",
        "CREATE TABLE late (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
        "INSERT INTO late VALUES (1, 3)",
        "DELETE FROM keyless WHERE v = 2",
        "RENAME TABLE keyless TO renamed",
        "TRUNCATE TABLE child",
    )
    stream = replica.stream()
    replica.wait_until_applied(stream)
    replica.run("transfer", "--table", f"{replica.schema}.parent", "--secondary", "db1", "--yes")
    health = replica.start("health", "--json").end().document
    checks = {c["name"]: c for c in health["checks"]}
    for name in ("primary-grants", "secondary-grants"):
        assert checks[name]["level"] == 0, checks[name]
        assert account in checks[name]["message"]
    replica.run("drift", "check")
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
