"""What a plan says about existing tables, and the mode in which rows are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.core.errors import Interrupted
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import TableAltered, TablesOccupied
from replica_cli.transfer.rows import row_copier
from replica_cli.transfer.rows.reading import RangeReader
from replica_cli.transfer.rows.row_copier import RowCopier
from replica_cli.transfer.rows.writing import ChunkWriter
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from typing import Any

    from replica_cli.transfer.table_copy import TableCopy


def test_a_resumed_plan_shows_which_rows_are_copied_again(copier: Copier) -> None:
    copier.on_primary("CREATE TABLE bare (a INT, b INT)", numbers("bare", 30, "n, n"))
    stop = StopToken()

    def cut(*_: object) -> None:
        stop.request()
        raise Interrupted("cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressStore, "verify", cut)
        copier.run(copier.plan(), stop=stop)
    warning = f"{copier.schema}.bare: its copy begins again, as all its rows are read in one snapshot"
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


def test_rows_are_written_in_the_mode_that_they_were_read_for(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copier.settings = TransferSettings(chunk_rows=20, workers=1)
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 100))
    copy = RowCopier.copy_range
    runs: list[TableCopy] = []
    seen: list[tuple[bool, int]] = []

    def copy_range(self: RowCopier, run: TableCopy, number: int) -> None:
        runs.append(run)
        copy(self, run, number)

    def read(*given: Any, with_digest: bool, **more: Any) -> Any:
        seen.append((with_digest, 0))
        runs[-1].raise_mode(2)  # as another worker does that met a refused row
        return RangeReader(*given, with_digest=with_digest, **more)

    def write(*given: Any) -> Any:
        seen[-1] = (seen[-1][0], given[-1])
        return ChunkWriter(*given)

    monkeypatch.setattr(RowCopier, "copy_range", copy_range)
    monkeypatch.setattr(row_copier, "RangeReader", read)
    monkeypatch.setattr(row_copier, "ChunkWriter", write)
    copier.copy()
    assert seen == [(False, 0)]
    copier.compare()


def test_a_resumed_table_that_is_altered_meanwhile_begins_again_with_all_its_rows(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.settings = TransferSettings(chunk_rows=20, workers=1)
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 200))
    stop = StopToken()
    copier.run(copier.plan(), stop=stop, report=lambda _: stop.request())
    assert 0 < copier.count(copier.secondary, "t") < 200
    plan = copier.plan(TransferMode.RESUME)
    assert [t.planned.action for t in plan.tables] == [TableAction.CONTINUE]
    read, altered = RangeReader.chunks, [True]

    def chunks(self: Any, progress: RangeProgress) -> Any:
        if altered.pop() if altered else False:
            raise TableAltered("t: renamed, and named back")
        return read(self, progress)

    monkeypatch.setattr(RangeReader, "chunks", chunks)
    result = copier.run(plan)
    assert (result.errors, result.is_complete, altered) == ((), True, [])
    copier.compare()
