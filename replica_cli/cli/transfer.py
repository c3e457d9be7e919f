"""The command `replica transfer`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from replica_cli import documents
from replica_cli.cli.confirmation import check_target, confirm
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.listening import LISTEN_ONLY_BY_OPTION, listening
from replica_cli.cli.options import ALL, chosen_mode, schema_and_table, with_shared_options
from replica_cli.cli.output.console import answer, remark, write_document
from replica_cli.cli.output.plain_text import plans_text, transfer_text
from replica_cli.cli.output.reporters import open_reporter
from replica_cli.cli.parsing import Command
from replica_cli.core.errors import ExitCode, UsageError
from replica_cli.core.names import TableName
from replica_cli.core.requests.transfer import TransferMode, TransferRequest
from replica_cli.documents.complete_commands import failures_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.cli.invocation import CommandContext
    from replica_cli.core.reports.transfer import TransferPlan
    from replica_cli.service.transfer import PlannedTransfer

HELP = help_text(
    "Copy the tables to the secondaries",
    "The position is recorded first, so the next `replica stream` goes on with no gap. An unfinished transfer is "
    "continued with `--resume` and discarded with `--restart`. `--table` copies named tables again, also while "
    "`replica stream` runs: this brings back a quarantined table.",
    examples=(
        ("Show tables, rows and ranges without writing", "replica transfer --dry-run"),
        ("Continue after an outage", "replica transfer --resume"),
        ("Bring back a quarantined table", "replica transfer --secondary db2 --table shop.orders --yes"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.POSITION, ExitCode.PRIMARY,
        ExitCode.SECONDARY, ExitCode.REFUSED, ExitCode.LOCKED, ExitCode.INTERRUPTED, ExitCode.TERMINATED,
    ),
    meanings={11: "an unfinished transfer (`--resume`, `--restart`), or a lost position"},
)  # fmt: skip


TABLE = typer.Option(
    "--table",
    metavar="SCHEMA.TABLE",
    help="Only this table of the primary, copied again (repeatable)",
    rich_help_panel="Selection",
)
WORKERS = typer.Option(
    "--workers",
    min=1,
    max=64,
    help="[[REPLICA_TRANSFER_WORKERS]]",
    rich_help_panel="Behaviour",
)
BATCH_SIZE = typer.Option("--batch-size", min=1, help="[[TRANSFER_BATCH_SIZE]]", rich_help_panel="Behaviour")


@with_shared_options()
def transfer(
    invocation: Invocation,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished transfer", rich_help_panel="Behaviour")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Discard an unfinished transfer, begin again", rich_help_panel="Behaviour"),
    ] = False,
    table: Annotated[list[str] | None, TABLE] = None,
    is_all: Annotated[bool, ALL] = False,
    workers: Annotated[int | None, WORKERS] = None,
    batch_size: Annotated[int | None, BATCH_SIZE] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and write nothing", rich_help_panel="Behaviour")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before rows are replaced", rich_help_panel="Behaviour")
    ] = False,
    listen: Annotated[str | None, LISTEN_ONLY_BY_OPTION] = None,
) -> None:
    """Copy the tables to the secondaries."""
    from replica_cli.config.overrides import Overrides  # noqa: PLC0415 - `--help` loads no module of `config`

    mode = TransferMode(chosen_mode(resume=resume, restart=restart))
    tables = tuple(_table_name(text) for text in table or ())
    if mode is TransferMode.RESUME and tables:
        raise UsageError("`--resume` continues an unfinished transfer as it was begun: leave out `--table`")
    if not dry_run:
        check_target(is_confirmed=yes, has_target=is_all or bool(invocation.secondaries))
    overrides = Overrides(
        workers=None if workers is None else str(workers),
        batch_size=None if batch_size is None else str(batch_size),
        listen=listen,
    )
    run = invocation.load_context(overrides)
    with invocation.waiting(run):
        from replica_cli.service.transfer import plan_transfer  # noqa: PLC0415 - not loaded if the settings are wrong

        made = plan_transfer(run.settings, TransferRequest(run.secondaries, mode, tables))
    plans = [each.shown for each in made]
    if dry_run:
        _show(invocation, plans)
    # If there is no plan for one secondary, nothing begins. The user can exclude it with `--secondary`.
    invocation.end_if_failed(failures_of(plans))
    if dry_run:
        return
    if any(p.is_destructive for p in plans):
        if not yes or invocation.shows_text:  # show the plan before the question
            remark(plans_text(plans, invocation.paint(to_stderr=True)))
        confirm("Replace these rows on the secondary?", is_confirmed=yes)
    _run(invocation, run, made, listens=listen is not None)


def _run(invocation: Invocation, run: CommandContext, plans: tuple[PlannedTransfer, ...], *, listens: bool) -> None:
    from replica_cli.service.transfer import run_transfer  # noqa: PLC0415 - as above

    paint = invocation.paint(to_stderr=True)
    title = f"replica transfer from {run.settings.primary.name}"
    with (
        open_reporter(run.form, title, is_colored=paint.is_on) as own_reporter,
        listening(run, own_reporter) if listens else contextlib.nullcontext(own_reporter) as reporter,
    ):
        report = run_transfer(run.settings, plans, reporter)
    if invocation.is_json:
        write_document(documents.transfer_summary(report), is_line=True)
    elif not invocation.is_silent:
        answer(transfer_text(report, invocation.paint()))
    invocation.show_failures(failures_of(report.copies))
    raise typer.Exit(report.exit_code)


def _show(invocation: Invocation, plans: Sequence[TransferPlan]) -> None:
    if invocation.is_json:
        write_document(documents.plans_document(plans))
    elif not invocation.is_silent:
        answer(plans_text(plans, invocation.paint()))


def _table_name(text: str) -> TableName:
    return TableName(*schema_and_table(text, "shop.orders"))


def register(app: typer.Typer) -> None:
    """Add the command to a typer application."""
    app.command("transfer", help=HELP, cls=Command)(transfer)
