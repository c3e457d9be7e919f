"""The command `replica drift check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import with_shared_options
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.plain_text import drift_text
from replica_cli.cli.parsing import Command, Group
from replica_cli.core.errors import ExitCode
from replica_cli.core.printable import printable, printable_lines
from replica_cli.documents.complete_commands import failures_of, with_complete_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECK_HELP = help_text(
    "Compare the secondaries' tables with the primary's definitions",
    "Tables, columns, keys, foreign keys, engine, and triggers on the secondary. `--sql` prints the statements that "
    "would correct the secondary, and runs none of them. Differences that REPLICA_ACCEPTED_DRIFT names are not "
    "counted and not changed; `-v` lists them. If one secondary cannot be reached, the others are still compared.",
    examples=(
        ("Show what differs", "replica drift check"),
        ("Write the statements that correct one secondary", "replica drift check --secondary db2 --sql > db2.sql"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.FOUND, ExitCode.CONFIGURATION, ExitCode.PRIMARY,
        ExitCode.SECONDARY,
    ),
    meanings={0: "no drift", 3: "drift"},
)  # fmt: skip

_commands = typer.Typer(cls=Group, help="Find differences between the definitions of tables", no_args_is_help=True)


@_commands.callback()
def drift() -> None:
    """Find differences between the definitions of tables."""


@_commands.command("check", help=CHECK_HELP, cls=Command)
@with_shared_options()
def check(
    invocation: Invocation,
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the statements instead of the table", rich_help_panel="Output")
    ] = False,
) -> None:
    """Compare the secondaries' tables with the primary's definitions."""
    run = invocation.load_context()
    with invocation.waiting(run):
        from replica_cli.service.drift import check_each_drift  # noqa: PLC0415 - `--help` stays fast

        unfilled = check_each_drift(run.settings, run.secondaries)
    reports = with_complete_statements(unfilled)
    if invocation.is_json:
        write_document(documents.drift_document(reports))
    elif not invocation.is_silent:
        for report in (r for r in reports if r.failure is None):
            if sql:
                answer(_script(report.instance, report.statements, is_terminal=sys.stdout.isatty()))
            else:
                answer(drift_text(report, invocation.paint(), lists_accepted=invocation.verbosity > 0))
    invocation.end_if_failed(failures_of(reports))
    if any(report.differences for report in reports):
        raise typer.Exit(ExitCode.FOUND)


def _script(instance: str, statements: Sequence[str], *, is_terminal: bool) -> str:
    """Return the statements as a script: unchanged for a file, with control characters written out for a terminal."""
    lines = [f"-- {printable(instance)}"]
    for statement in statements:
        text = f"{statement.rstrip().removesuffix(';')};"
        if is_terminal and printable_lines(text) != text:
            lines.append("-- do not copy this from the screen: a name holds control characters; write it to a file")
            text = printable_lines(text)
        lines.append(text)
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands to a typer application."""
    app.add_typer(_commands, name="drift")
