"""The command `replica demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import with_shared_options
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.plain_text import demo_text
from replica_cli.cli.output.reporters import open_reporter
from replica_cli.cli.parsing import Command
from replica_cli.core.errors import ExitCode
from replica_cli.core.requests.demo import DemoRequest
from replica_cli.core.settings import Logging

HELP = help_text(
    "Show everything on a throwaway primary and two secondaries",
    "Starts three servers from the installed binaries in a temporary folder on free loopback ports, copies a sample "
    "shop while it is written to, streams, changes a table, and proves that all rows are equal while the customers "
    "still write (`replica verify run`). A comparison by other means checks that at the end.",
    examples=(
        ("See it work", "replica demo"),
        ("Leave the servers running and print settings for them", "replica demo --keep"),
    ),
    exit_codes=(ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.FOUND, ExitCode.INTERRUPTED),
    meanings={0: "all tables are equal, by both comparisons", 3: "tables differ"},
)


@with_shared_options(without=("secondary", "env_file", "config_file"))
def demo(
    invocation: Invocation,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the servers running at the end", rich_help_panel="Behaviour")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="How long to write while streaming", rich_help_panel="Behaviour")
    ] = 10.0,
    rows: Annotated[
        int, typer.Option("--rows", min=50_000, help="About how many rows to begin with", rich_help_panel="Behaviour")
    ] = 200_000,
) -> None:
    """Show the whole tool on a throwaway primary and two secondaries."""
    from replica_cli.service.demo import run_demo  # noqa: PLC0415 - `--help` stays fast

    form = invocation.start_logs(Logging())
    with open_reporter(form, "replica demo", is_colored=invocation.paint(to_stderr=True).is_on) as reporter:
        report = run_demo(DemoRequest(seconds=seconds, rows=rows, keeps_servers=keep), reporter)
    if invocation.is_json:
        write_document(documents.demo_summary(report), is_line=True)
    elif not invocation.is_silent:
        answer(demo_text(report, invocation.paint()))
        if report.env_file:
            answer(Path(report.env_file).read_text())
    raise typer.Exit(ExitCode.OK if report.is_equal else ExitCode.FOUND)


def register(app: typer.Typer) -> None:
    """Add the command to a typer application."""
    app.command("demo", help=HELP, cls=Command)(demo)
