"""When a command answers HTTP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from replica_cli.cli.app import app
from replica_cli.core.reports.transfer import CopyReport, TransferPlan, TransferReport
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.service import transfer
from replica_cli.service.transfer import PlannedTransfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAM, OWN = "127.0.0.1:9400", "127.0.0.1:9401"


@pytest.mark.parametrize(
    ("options", "listens"), [([], []), (["--listen", OWN], [OWN])], ids=["of the stream", "of its own"]
)
def test_a_transfer_listens_only_if_its_command_says_so(
    options: list[str], listens: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    used: list[str] = []

    @contextlib.contextmanager
    def serving(settings: Any, *_: object, **__: object) -> Iterator[Any]:
        used.append(str(settings.http.listen))
        yield None

    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"MARIA_SECONDARY_HOSTS=db2\nREPLICA_LISTEN={STREAM}\n")
    monkeypatch.setattr("replica_cli.api.serving.serving", serving)
    plan = PlannedTransfer(TransferPlan("db2", TransferMode.NEW, (), 4, 1000))
    monkeypatch.setattr(transfer, "plan_transfer", lambda *_: (plan,))
    monkeypatch.setattr(transfer, "run_transfer", lambda *_: TransferReport((CopyReport("db2"),)))
    result = CliRunner().invoke(app, ["transfer", "--yes", "--all", *options])
    assert (result.exit_code, used) == (0, listens), result.output
