"""What a copy of many tables costs its status: one look at each table, and a heartbeat of what is not done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import _told, _transfer
from replica_cli.core.status import CopyStep, TableProgress, TableState, TransferProgress
from replica_cli.service import board
from replica_cli.service.board import StatusBoard

if TYPE_CHECKING:
    import pytest


def _copy(done: int, pending: int) -> TransferProgress:
    busy = (
        TableProgress("shop.busy", 5, 9, 70, TableState.COPYING, CopyStep.INDEXES, 3.5, "a table metadata lock"),
        TableProgress("shop.small", 1, None, 7, TableState.COPYING),
    )
    tables = [TableProgress(f"shop.done_{n}", 7, 8, 9, TableState.COPIED) for n in range(done)]
    tables += [TableProgress(f"shop.later_{n}", rows_estimated=1_000_000) for n in range(pending)]
    return TransferProgress("db2", (*busy, *tables), 12.5, 3.25, 1)


def test_few_tables_are_told_whole() -> None:
    copy = _copy(50, 48)
    assert _transfer(json.loads(json.dumps(_told(copy)))) == copy


def test_of_many_tables_only_what_is_not_done_is_told() -> None:
    told = json.dumps(_told(_copy(2000, 1000)))
    assert [t.table for t in _transfer(json.loads(told)).tables[:3]] == ["shop.busy", "shop.small", "shop.later_0"]
    assert "done" not in told
    assert len(told) < 1000 * 70


class Counting(frozenset[str]):
    """A set that counts how often another one is taken from it."""

    differences = 0

    def __sub__(self, other: object) -> frozenset[str]:
        Counting.differences += 1
        return frozenset.__sub__(self, other)  # type: ignore[operator]


def test_what_has_ended_is_worked_out_once_for_all_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    real = board._finished
    monkeypatch.setattr(board, "_finished", lambda progress: Counting(real(progress)))
    Counting.differences = 0
    status = StatusBoard("db2", lambda _: None)
    status.copying(_copy(100, 0))
    assert Counting.differences == 1
    assert len(status.status.copied) == 100
