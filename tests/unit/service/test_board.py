"""A worker's status and what is told of it."""

from __future__ import annotations

from replica_cli.core.status import Phase, TableProgress, TableState, TransferProgress, WorkerStatus
from replica_cli.service.board import StatusBoard


def test_the_end_of_a_table_is_told_at_once_with_its_rows() -> None:
    told: list[WorkerStatus] = []
    board = StatusBoard("db1", told.append)
    for rows, state in ((1, TableState.COPYING), (2, TableState.COPYING), (3, TableState.COPIED)):
        for take in (board.copying, board.copying_beside):
            take(TransferProgress("db1", (TableProgress("shop.t", rows, 3, 0, state),), 1.0, 1.0))
    transfer = told[-1].transfer
    assert transfer is not None
    assert (told[-1].phase, transfer.rows_copied) == (Phase.TRANSFERRING, 3)
    assert [(table.table, table.rows) for table in told[-1].copied] == [("shop.t", 3)]
