"""The number of times that a copy reads a row of the primary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import TransferSettings
from tests.engine.copier import Copier, numbers

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

ROWS = 100_000
# Rows that are found by an index or read along it. What goes through a table of the server's own is counted elsewhere.
COUNTERS = "'Handler_read_first', 'Handler_read_key', 'Handler_read_last', 'Handler_read_next', 'Handler_read_prev'"


@pytest.mark.parametrize("key", ["id", "name"])
def test_a_row_is_read_about_once(primary: SandboxServer, secondary: SandboxServer, schema: str, key: str) -> None:
    copier = Copier(primary, secondary, schema, settings=TransferSettings(workers=2))
    copier.on_primary(
        f"CREATE TABLE t (id INT, name CHAR(36), PRIMARY KEY ({key}))",
        numbers("t", ROWS, "n, LEFT(SHA2(n, 256), 36)"),
        "ANALYZE TABLE t",
    )
    plan = copier.plan()
    assert plan.tables[0].planned.ranges >= 2
    with primary.session() as session:

        def reads() -> int:
            rows = session.rows(f"SHOW GLOBAL STATUS WHERE variable_name IN ({COUNTERS})")
            return sum(int(count) for _, count in rows)

        before = reads()
        assert copier.run(plan).is_complete
        read = reads() - before
    assert ROWS <= read < 1.1 * ROWS
    copier.compare()


def test_a_row_without_a_key_is_read_once_and_no_table_is_made_for_that(
    primary: SandboxServer, secondary: SandboxServer, schema: str
) -> None:
    copier = Copier(primary, secondary, schema)
    copier.on_primary("CREATE TABLE t (id INT, name CHAR(36), text LONGTEXT)", numbers("t", 20_000, "n, 'x', 'long'"))
    plan = copier.plan()
    with primary.session() as session:

        def status(names: str) -> int:
            rows = session.rows(f"SHOW GLOBAL STATUS WHERE variable_name IN ({names})")
            return sum(int(count) for _, count in rows)

        before, disk = status(f"{COUNTERS}, 'Handler_read_rnd_next'"), status("'Created_tmp_disk_tables'")
        assert copier.run(plan).is_complete
        assert 20_000 <= status(f"{COUNTERS}, 'Handler_read_rnd_next'") - before < 1.2 * 20_000
        assert status("'Created_tmp_disk_tables'") == disk
    copier.compare()
