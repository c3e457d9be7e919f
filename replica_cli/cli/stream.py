"""The command `replica stream`."""

from __future__ import annotations

from typing import Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.listening import LISTEN, listening
from replica_cli.cli.options import with_shared_options
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.plain_text import stream_text
from replica_cli.cli.output.reporters import open_reporter
from replica_cli.cli.parsing import Command
from replica_cli.core.errors import ExitCode
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.settings import EngineChoice  # noqa: TC001 - as above
from replica_cli.documents.complete_commands import failures_of

HELP = help_text(
    "Keep the secondaries in step with the primary until stopped",
    "Streams from the position saved on each secondary. A secondary without a position gets a transfer first; a copy "
    "that was begun is finished first. Ctrl-C or SIGTERM finishes what is read, commits and ends; a second Ctrl-C "
    "rolls back. SIGHUP reads the settings again and logs which ones changed; SIGUSR1 prints a status line.",
    examples=(
        ("Keep all secondaries in step", "replica stream"),
        ("Catch up one secondary and end", "replica stream --secondary db2 --until-caught-up"),
        ("Wait on a second machine for the first to fail", "replica stream --standby"),
        ("Show a status page on this machine", "replica stream --listen 127.0.0.1:9400"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.FOUND, ExitCode.CONFIGURATION, ExitCode.POSITION,
        ExitCode.PRIMARY, ExitCode.SECONDARY, ExitCode.REFUSED, ExitCode.LOCKED, ExitCode.FENCED,
        ExitCode.INTERRUPTED,
    ),
    meanings={
        0: "stopped by SIGTERM after finishing, or caught up",
        3: "caught up (`--until-caught-up`), except for quarantined tables",
    },
)  # fmt: skip


@with_shared_options()
def stream(
    invocation: Invocation,
    *,
    no_transfer: Annotated[
        bool,
        typer.Option(
            "--no-transfer",
            help="Copy nothing: refuse to start without a position, quarantine tables that need a copy",
            rich_help_panel="Behaviour",
        ),
    ] = False,
    until_caught_up: Annotated[
        bool,
        typer.Option(
            "--until-caught-up",
            help="End when the position that the primary has at the start is applied",
            rich_help_panel="Behaviour",
        ),
    ] = False,
    standby: Annotated[
        bool,
        typer.Option(
            "--standby",
            help="If another process writes, wait, and take over when it dies or freezes",
            rich_help_panel="Behaviour",
        ),
    ] = False,
    watch_config: Annotated[
        bool,
        typer.Option(
            "--watch-config",
            help="Read the settings again when the configuration file or `.env` changes, as at SIGHUP",
            rich_help_panel="Behaviour",
        ),
    ] = False,
    engine: Annotated[
        EngineChoice | None,
        typer.Option("--engine", help="[[REPLICA_ENGINE]]", show_default=False, rich_help_panel="Behaviour"),
    ] = None,
    listen: Annotated[str | None, LISTEN] = None,
) -> None:
    """Keep the secondaries in step with the primary until stopped."""
    from replica_cli.config.overrides import Overrides  # noqa: PLC0415 - `--help` loads no module of `config`

    overrides = Overrides(engine=engine.value if engine else None, listen=listen)
    run = invocation.load_context(overrides)
    with invocation.waiting(run):
        from replica_cli.service.stream import run_stream  # noqa: PLC0415 - not loaded if the settings are wrong
        from replica_cli.supervisor.control import StreamControl  # noqa: PLC0415 - as above

    request = StreamRequest(
        run.secondaries, may_transfer=not no_transfer, until_caught_up=until_caught_up, is_standby=standby
    )
    paint = invocation.paint(to_stderr=True)
    title = f"replica stream from {run.settings.primary.name}"
    control = StreamControl(run.settings)
    with (
        open_reporter(run.form, title, is_colored=paint.is_on) as own_reporter,
        listening(run, own_reporter, control) as reporter,
    ):
        report = run_stream(
            run.settings,
            request,
            reporter,
            reload=invocation.reloading(run, overrides),
            watched=invocation.files_of(run) if watch_config else (),
            control=control,
        )
    if invocation.is_json:
        write_document(documents.stream_summary(report), is_line=True)
    elif not invocation.is_silent:
        answer(stream_text(report, invocation.paint()))
    invocation.show_failures(failures_of(report.workers))
    raise typer.Exit(report.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command to a typer application."""
    app.command("stream", help=HELP, cls=Command)(stream)
