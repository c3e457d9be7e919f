"""Copies of a schema from one server to another, by parts of the program; and rows for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Retry, TransferSettings
from replica_cli.core.table import TableName
from replica_cli.stop import StopToken
from replica_cli.transfer.planning.plan import CopyPlan, plan_copy
from replica_cli.transfer.run import CopyResult, run_copy
from tests.support.equality import assert_equal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.status import CopyProgress
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

SIMPLE = "(id INT PRIMARY KEY, a INT, b VARCHAR(50))"


@dataclass
class Copier:
    """A copy of one schema, step by step. A test may replace `settings`; `target` is the name on the secondary."""

    primary: SandboxServer
    secondary: SandboxServer
    schema: str
    target: str = ""
    settings: TransferSettings = field(default_factory=lambda: TransferSettings(chunk_rows=20, workers=2))

    @property
    def selection(self) -> Selection:
        return Selection(((self.schema, self.target or self.schema),))

    def on_primary(self, *statements: str) -> None:
        with self.primary.session() as session:
            session.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")
            session.execute(f"CREATE DATABASE IF NOT EXISTS {self.schema}")
            session.execute(f"USE {self.schema}")
            for statement in statements:
                session.execute(statement)

    def count(self, server: SandboxServer, table: str) -> int:
        with server.session() as session:
            (row,) = session.rows(f"SELECT COUNT(*) FROM {self.target or self.schema}.{table}")
            return int(row[0])

    def plan(self, mode: TransferMode = TransferMode.NEW, *tables: str) -> CopyPlan:
        with self.primary.session() as primary, self.secondary.session() as secondary:
            return plan_copy(
                primary, secondary, self.selection, instance="db2", state_schema=f"{self.schema}_state",
                settings=self.settings, mode=mode, tables=[TableName(self.schema, t) for t in tables],
            )  # fmt: skip

    def run(
        self,
        plan: CopyPlan,
        *,
        stop: StopToken | None = None,
        report: Callable[[CopyProgress], None] | None = None,
        folder: Path | None = None,
        guard: Callable[[Session], None] | None = None,
    ) -> CopyResult:
        """Carry out a plan; `report` hears of it from the first row that is committed."""

        def from_the_first_row(progress: CopyProgress) -> None:
            if report is not None and progress.rows_copied:
                report(progress)

        return run_copy(
            plan, primary=self.primary.address(name="primary"), secondary=self.secondary.address(name="db2"),
            network=Network(), retry=Retry(), stop=stop or StopToken(), report=from_the_first_row,
            progress_folder=folder, guard=guard,
        )  # fmt: skip

    def copy(self, mode: TransferMode = TransferMode.NEW, *tables: str) -> CopyResult:
        result = self.run(self.plan(mode, *tables))
        assert not result.errors
        assert result.is_complete
        return result

    def compare(self) -> None:
        assert_equal(self.primary, self.secondary, self.schema, self.target or None)

    def records(self) -> dict[str, TableRecord]:
        with self.secondary.session() as session:
            found = TableLifecycle(session, f"{self.schema}_state", "db2").load()
            assert not [n for n in ProgressStore(session, f"{self.schema}_state", "db2").load() if found[n].window_end]
            return {name.table: record for name, record in found.items()}


def numbers(table: str, count: int, row: str = "n, n * 7, CONCAT('row ', n)") -> str:
    """Return SQL that fills a table on both flavours."""
    digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6"
    digits += " UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
    places = " CROSS JOIN ".join(f"{digits} t{p}" for p in range(6))
    number = " + ".join(f"t{p}.d * {10**p}" for p in range(6))
    inner = f"SELECT {number} AS n FROM {places}"
    if count < 100_000:
        inner = inner.replace(f" CROSS JOIN {digits} t5", "").replace(" + t5.d * 100000", "")
    return f"INSERT INTO {table} SELECT {row} FROM ({inner}) numbered WHERE n < {count}"
