from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from replica_cli.cli.app import ErrorBoundary
from replica_cli.cli.confirmation import confirm
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads annotations at run time
from replica_cli.cli.options import with_shared_options
from replica_cli.core.errors import ExitCode, Interrupted, LockHeld, PositionLost, ReplicaError
from replica_cli.core.settings import Secret
from replica_cli.logs import install_redactor


def application(error: BaseException | None, *, failure_code: int | None = None) -> typer.Typer:
    app = typer.Typer(cls=ErrorBoundary, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None: ...

    @app.command("work")
    @with_shared_options(failure_code=failure_code)
    def work(invocation: Invocation) -> None:  # noqa: ARG001 - what the decorator hands on
        if error is None:
            confirm("Go on?", is_confirmed=False)
        else:
            raise error

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PositionLost("binlog.000042 is no longer on the primary", hint="run `replica transfer`"), ExitCode.POSITION),
        (LockHeld("db2: another process"), ExitCode.LOCKED),
        (Interrupted("stopped"), ExitCode.INTERRUPTED),
        (ReplicaError("x"), ExitCode.FAILURE),
    ],
)
def test_an_error_is_its_message_hint_and_code(error: ReplicaError, code: ExitCode) -> None:
    result = CliRunner().invoke(application(error), ["work"])
    assert (result.exit_code, result.stdout) == (code, "")
    hint = f"hint: {error.hint}\n" if error.hint else ""
    assert result.stderr == f"error: {error.message}\n{hint}"


def test_an_error_in_json() -> None:
    result = CliRunner().invoke(application(PositionLost("gone", hint="do this")), ["work", "--json"])
    assert json.loads(result.stderr) == {
        "type": "error", "code": 11, "error": "position_lost", "message": "gone", "hint": "do this",
    }  # fmt: skip


def test_an_unexpected_error_is_one_line_and_a_hint() -> None:
    app = application(ZeroDivisionError("by zero\nreally"))
    result = CliRunner().invoke(app, ["work"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: unexpected ZeroDivisionError: by zero"
    assert "-v" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in CliRunner().invoke(app, ["work", "-v"]).stderr


def test_ctrl_c_is_130_and_no_trace() -> None:
    result = CliRunner().invoke(application(KeyboardInterrupt()), ["work"])
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")


def test_a_monitored_command_fails_as_unknown() -> None:
    app = application(LockHeld("x"), failure_code=3)
    assert CliRunner().invoke(app, ["work"]).exit_code == 3
    assert CliRunner().invoke(app, ["work", "--wrong"]).exit_code == 2
    assert CliRunner().invoke(application(ValueError("x"), failure_code=3), ["work"]).exit_code == 3


def test_no_secret_in_an_error() -> None:
    install_redactor([Secret('ge"heim')])
    try:
        app = application(ReplicaError('access denied with ge"heim', hint='not ge"heim'))
        for args in (["work"], ["work", "--json"]):
            result = CliRunner().invoke(app, args)
            assert "heim" not in result.stderr
        assert json.loads(result.stderr)["hint"] == "not ***"
    finally:
        install_redactor([])


def test_without_a_terminal_a_question_is_wrong_use_and_says_which_flag() -> None:
    result = CliRunner().invoke(application(None), ["work"])
    assert result.exit_code == 2
    assert "--yes" in result.stderr
