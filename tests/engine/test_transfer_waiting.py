"""A copy's statement that waits for a table's lock: it has a limit, its holder is logged, a stop ends it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import Network, Retry
from replica_cli.stop import StopToken
from replica_cli.transfer import lock_waits
from replica_cli.transfer.rows.row_copier import RowCopier
from replica_cli.transfer.run import CopyResult, run_copy
from tests.engine.copier import SIMPLE, Copier, numbers
from tests.support.command import wait_until

if TYPE_CHECKING:
    from replica_cli.core.status import CopyProgress
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from replica_cli.transfer.table_copy import TableCopy


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str, monkeypatch: pytest.MonkeyPatch) -> Copier:
    monkeypatch.setattr(lock_waits, "_REPORT_SECONDS", 0.2)
    made = Copier(primary, secondary, schema)
    made.on_primary(f"CREATE TABLE t {SIMPLE}", f"CREATE TABLE other {SIMPLE}", numbers("t", 50), numbers("other", 50))
    made.copy()
    made.on_primary("DELETE FROM t WHERE id > 9")
    return made


class Copying:
    """A copy of `t` and `other` in a thread, while another connection of the secondary uses `t`."""

    def __init__(self, copier: Copier, holder: Session, limit: float) -> None:
        holder.begin()
        holder.rows(f"SELECT COUNT(*) FROM {copier.schema}.t")
        self.stop = StopToken()
        self.reported: list[CopyProgress] = []
        self.results: list[CopyResult] = []
        plan = copier.plan(TransferMode.NEW, "t", "other")
        servers = (copier.primary.address(name="primary"), copier.secondary.address(name="db2"))

        def copy() -> None:
            result = run_copy(
                plan, primary=servers[0], secondary=servers[1], network=Network(), retry=Retry(), stop=self.stop,
                report=self.reported.append, ddl_lock_wait=limit,
            )  # fmt: skip
            self.results.append(result)

        self._thread = threading.Thread(target=copy)
        self._thread.start()

    def end(self) -> CopyResult:
        self._thread.join(30)
        (result,) = self.results
        return result

    def waits_for(self) -> str:
        return next((t.waits_for for reported in self.reported[-3:] for t in reported.tables if t.waits_for), "")


def test_a_wait_is_logged_with_the_lock_holder_and_ends_when_the_lock_is_free(
    copier: Copier, caplog: pytest.LogCaptureFixture
) -> None:
    with copier.secondary.session() as holder, caplog.at_level(logging.WARNING):
        copying = Copying(copier, holder, 0)
        wait_until(copying.waits_for, "the wait to be logged")
        reported = copying.waits_for()
        # Readers of the table are not kept out for as long as that: the attempts are short.
        holder.rollback()
        result = copying.end()
        # MariaDB does not show the holder, nor does MySQL without its performance schema.
        named = ("SHOW PROCESSLIST", f", held by connection {holder.connection_id}, ")
    assert result.is_complete
    copier.compare()
    assert reported.startswith("a table metadata lock")
    assert any(text in reported for text in named)
    assert [r.getMessage() for r in caplog.records].count(f"{copier.schema}.t: waits for {reported}") == 1
    assert all(not t.waits_for for t in copying.reported[-1].tables)


def test_a_lock_that_is_held_for_too_long_fails_its_table_alone_and_leaves_it_as_it_was(copier: Copier) -> None:
    with copier.secondary.session() as holder:
        result = Copying(copier, holder, 2).end()
        holder.rollback()
    ((table, message),) = result.errors
    assert table == f"{copier.schema}.t"
    assert message.startswith(f"{table}: waited 2")
    assert "for a lock on the secondary" in message
    assert (copier.count(copier.secondary, "t"), copier.count(copier.secondary, "other")) == (50, 50)
    copier.copy(TransferMode.RESUME)
    copier.compare()


def test_a_wait_on_the_secondary_keeps_no_writer_of_the_primary_waiting(copier: Copier) -> None:
    # An engine without snapshots: the table is locked on the primary while its rows are read.
    copier.on_primary("ALTER TABLE t ENGINE = MyISAM")
    with copier.secondary.session() as holder:
        copying = Copying(copier, holder, 0)
        wait_until(copying.waits_for, "the wait to be logged")
        copier.on_primary("SET SESSION lock_wait_timeout = 2", "INSERT INTO t VALUES (100, 1, 'x')")
        holder.rollback()
        assert copying.end().is_complete
    copier.compare()


@pytest.mark.timeout(30)
def test_a_table_that_begins_again_waits_for_no_lock_of_its_own_refused_chunk(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_range = RowCopier.copy_range
    altered: list[TableCopy] = []

    def copy_altered(self: RowCopier, run: TableCopy, number: int) -> None:
        if not altered:
            copier.on_primary("ALTER TABLE t MODIFY COLUMN b TEXT", "UPDATE t SET b = REPEAT('y', 51)")
            altered.append(run)
        copy_range(self, run, number)

    monkeypatch.setattr(RowCopier, "copy_range", copy_altered)
    copier.settings = replace(copier.settings, workers=1)
    result = copier.run(copier.plan(TransferMode.NEW, "t"))
    assert result.is_complete
    assert altered[0].restarts == 1
    copier.compare()


@pytest.mark.timeout(60)
def test_a_stop_ends_the_wait(copier: Copier) -> None:
    with copier.secondary.session() as holder:
        copying = Copying(copier, holder, 0)
        wait_until(copying.waits_for, "the wait to be logged")
        copying.stop.request()
        result = copying.end()
        holder.rollback()
    assert (result.is_complete, result.errors) == (False, ())
    copier.copy(TransferMode.RESUME)
    copier.compare()
