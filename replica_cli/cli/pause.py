"""The commands `replica pause` and `replica resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import with_shared_options
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.plain_text import pauses_text
from replica_cli.cli.parsing import Command
from replica_cli.core.errors import ExitCode
from replica_cli.documents.complete_commands import failures_of

if TYPE_CHECKING:
    import typer

_CODES = (ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.SECONDARY)
_MEANINGS = {1: "unexpected failure, or no stream or transfer ever ran for it"}

PAUSE_HELP = help_text(
    "Pause a running stream or transfer",
    "The request is saved on the secondary, so it works from any machine. The stream commits the batch that it "
    "applies, keeps its lock and its heartbeat, and reads nothing until `replica resume`; a transfer stops between "
    "chunks. A restart does not end a pause. The primary must keep its binary log for that long.",
    examples=(
        ("Stop writing to one secondary for a while", "replica pause --secondary db2"),
        ("Stop all of them", "replica pause"),
    ),
    exit_codes=_CODES,
    meanings=_MEANINGS,
)
RESUME_HELP = help_text(
    "Continue a paused stream or transfer",
    "It goes on from its saved position. For an unfinished transfer after a crash see `replica transfer --resume`.",
    examples=(
        ("Go on with one secondary", "replica resume --secondary db2"),
        ("Go on with all of them", "replica resume"),
    ),
    exit_codes=_CODES,
    meanings=_MEANINGS,
)


@with_shared_options()
def pause(invocation: Invocation) -> None:
    """Ask running streams and transfers to pause."""
    _request_pause(invocation, is_wanted=True)


@with_shared_options()
def resume(invocation: Invocation) -> None:
    """Ask paused streams and transfers to continue."""
    _request_pause(invocation, is_wanted=False)


def _request_pause(invocation: Invocation, *, is_wanted: bool) -> None:
    run = invocation.load_context()
    with invocation.waiting(run):
        from replica_cli.service.pause import ask_to_pause  # noqa: PLC0415 - not loaded if the settings are wrong

        reports = ask_to_pause(run.settings, run.secondaries, is_wanted=is_wanted)
    if invocation.is_json:
        write_document(documents.pauses_document(reports))
    elif not invocation.is_silent and (text := pauses_text(reports, invocation.paint())):
        answer(text)
    invocation.end_if_failed(failures_of(reports))


def register(app: typer.Typer) -> None:
    """Add the commands to a typer application."""
    app.command("pause", help=PAUSE_HELP, cls=Command)(pause)
    app.command("resume", help=RESUME_HELP, cls=Command)(resume)
