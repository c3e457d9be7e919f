"""The commands `replica verify run`, `replica verify show` and `replica verify repair`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from replica_cli import documents
from replica_cli.cli.confirmation import check_target, confirm
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import ALL, checked_duration, chosen_mode, schema_and_table, with_shared_options
from replica_cli.cli.output.console import answer, remark, write_document
from replica_cli.cli.output.verify_lines import open_verify_reporter
from replica_cli.cli.output.verify_text import proofs_text, repair_plans_text, repair_text, verify_text
from replica_cli.cli.parsing import Command, Group
from replica_cli.core.commands import fill
from replica_cli.core.errors import ExitCode, UsageError
from replica_cli.core.requests.verify import RepairRequest, VerifyMode, VerifyRequest
from replica_cli.core.verification import DifferenceKind  # noqa: TC001 - typer reads the annotations at run time
from replica_cli.documents.complete_commands import failures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.cli.invocation import CommandContext
    from replica_cli.core.reports.repair import RepairReport
    from replica_cli.core.reports.verify import VerifyReport

RUN_HELP = help_text(
    "Prove that the rows of the secondaries are equal to the primary's",
    "Compares every row of the replicated tables while both servers are in use: no locked row, no long snapshot, no "
    "stopped stream. Rows that are changed meanwhile are decided with the primary's log. Rows cross the network only "
    "where they differ, and JSON between MariaDB and MySQL. A run that was interrupted goes on with `--resume`.",
    examples=(
        ("Compare everything", "replica verify run"),
        ("Go on after an interruption", "replica verify run --resume"),
        ("Compare some tables of one secondary", "replica verify run --secondary db2 --table 'shop.order*'"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.FOUND, ExitCode.CONFIGURATION, ExitCode.POSITION,
        ExitCode.PRIMARY, ExitCode.SECONDARY, ExitCode.REFUSED, ExitCode.LOCKED, ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    ),
    meanings={
        0: "every row is proven equal", 1: "a table could not be decided, or unexpected failure",
        3: "rows differ; a table may be undecided too",
        11: "unfinished run (`--resume`, `--restart`), or position lost",
        14: "the primary's log could not be read", 15: "another process compares the rows",
    },
)  # fmt: skip
SHOW_HELP = help_text(
    "Show what is proven of each table, and the rows that differ",
    "For each table: the position of the secondary at which, or after which, all of its rows were compared, and when. "
    "Values of rows are shown only with `--values`, and only if the run stored them. That no row is known to differ is "
    "no proof: a table may never have been compared.",
    examples=(
        ("Show what is proven", "replica verify show"),
        ("Show the values of the rows that differ", "replica verify show --values"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.FOUND, ExitCode.CONFIGURATION, ExitCode.PRIMARY,
        ExitCode.SECONDARY,
    ),
    meanings={0: "no row is known to differ", 3: "rows differ"},
)  # fmt: skip

REPAIR_HELP = help_text(
    "Write the primary's rows in place of the rows that differ",
    "Prints the plan, asks, and lets the stream write the rows that the primary had at the secondary's position, "
    "in one commit with it. Without a stream this command writes them. The rows are proven equal before each commit. A "
    "table that is quarantined is left out, and so is a row that does not differ any more.",
    examples=(
        ("Show what would be written", "replica verify repair --dry-run"),
        ("Insert missing rows of one table", "replica verify repair --table shop.orders --only missing --yes --all"),
    ),
    exit_codes=(
        ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.POSITION, ExitCode.PRIMARY,
        ExitCode.SECONDARY, ExitCode.REFUSED, ExitCode.LOCKED, ExitCode.FENCED, ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    ),
    meanings={
        0: "every difference is repaired or has vanished", 14: "some rows could not be written",
        15: "another process repairs the rows",
    },
)  # fmt: skip

TABLE = typer.Option(
    "--table",
    metavar="PATTERN",
    help="Only these tables of the primary: `schema.table` with `*` and `?` (repeatable)",
    rich_help_panel="Selection",
)
WORKERS = typer.Option("--workers", min=1, max=16, help="Tables compared at a time", rich_help_panel="Behaviour")
RATE = typer.Option(
    "--rate", min=0, help="Rows a second at most, for each secondary; 0: no limit", rich_help_panel="Behaviour"
)
MAX_LAG = typer.Option(
    "--max-lag",
    metavar="DURATION",
    help="[[REPLICA_VERIFY_MAX_LAG]]",
    callback=checked_duration,
    rich_help_panel="Behaviour",
)
MAX_DIFFERENCES = typer.Option(
    "--max-differences",
    min=0,
    help="Stop when this number of rows that differ was met; 0: no limit",
    rich_help_panel="Behaviour",
)

SQL = typer.Option(
    "--sql", metavar="FILE", help="Write statements that would correct the rows", rich_help_panel="Output"
)
HTML = typer.Option("--html", metavar="FILE", help="Write the result as one HTML page", rich_help_panel="Output")
ONLY = typer.Option(
    "--only", help="Only this kind of difference (repeatable; default: all)", rich_help_panel="Selection"
)

_SHOWN_DIFFERENCES, _PAGE_DIFFERENCES = 100, 1000
_commands = typer.Typer(cls=Group, help="Compare rows, and repair them", no_args_is_help=True)


@_commands.callback()
def verify() -> None:
    """Compare rows, and repair them."""


@_commands.command("run", help=RUN_HELP, cls=Command)
@with_shared_options()
def run(
    invocation: Invocation,
    *,
    table: Annotated[list[str] | None, TABLE] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run", rich_help_panel="Behaviour")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard an unfinished run, begin again", rich_help_panel="Behaviour")
    ] = False,
    workers: Annotated[int, WORKERS] = 1,
    rate: Annotated[int, RATE] = 0,
    max_lag: Annotated[str | None, MAX_LAG] = None,
    max_differences: Annotated[int, MAX_DIFFERENCES] = 1000,
    count_only: Annotated[
        bool,
        typer.Option("--count-only", help="Compare only the numbers of rows", rich_help_panel="Behaviour"),
    ] = False,
    sql: Annotated[Path | None, SQL] = None,
    html: Annotated[Path | None, HTML] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Store the values of rows that differ", rich_help_panel="Output")
    ] = False,
) -> None:
    """Compare the rows of the secondaries with the primary's."""
    from replica_cli.config.overrides import Overrides  # noqa: PLC0415 - `--help` loads no module of `config`

    mode = VerifyMode(chosen_mode(resume=resume, restart=restart))
    tables = tuple(_pattern(text) for text in table or ())
    if mode is VerifyMode.RESUME and tables:
        raise UsageError("`--resume` continues an unfinished run with its tables: leave out `--table`")
    context = invocation.load_context(Overrides(verify_max_lag=max_lag))
    if sql is not None and len(context.secondaries) > 1:
        raise UsageError("`--sql` writes the statements of one secondary", hint="add `--secondary NAME`")
    request = VerifyRequest(
        context.secondaries, tables, mode, workers, rate, max_differences,
        is_count_only=count_only, keeps_rows=values, reports_rows=sql is not None,
    )  # fmt: skip
    _show_result(invocation, _compared(invocation, context, request, sql=sql, html=html))


def _compared(
    invocation: Invocation, context: CommandContext, request: VerifyRequest, *, sql: Path | None, html: Path | None
) -> tuple[VerifyReport, ...]:
    """Run the comparison, and write the files that are wanted."""
    from replica_cli.service.correction_script import CorrectionScript  # noqa: PLC0415 - `--help` stays fast
    from replica_cli.service.verify import run_verify  # noqa: PLC0415 - as above

    title = f"replica verify against {context.settings.primary.name}"
    is_colored = invocation.paint(to_stderr=True).is_on
    with (
        _opened(sql) as script,
        _opened(html) as page,
        open_verify_reporter(context.form, title, is_colored=is_colored) as shown,
    ):
        reporter = shown if script is None else CorrectionScript(script, context.settings.selection, shown)
        reports = run_verify(context.settings, request, reporter)
        if page is not None:
            page.write(_page(context, reports))
    return reports


def _page(context: CommandContext, reports: Sequence[VerifyReport]) -> str:
    from replica_cli.cli.output.verify_html import verify_page  # noqa: PLC0415 - as above
    from replica_cli.service.proofs import show_proofs  # noqa: PLC0415 - as above

    proofs = show_proofs(context.settings, context.secondaries, _PAGE_DIFFERENCES)
    return verify_page(reports, proofs, context.settings.primary.name, datetime.now(UTC))


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    """Open a file before the work begins, so that a wrong path is an error at once.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    with file:
        yield file


def _show_result(invocation: Invocation, reports: Sequence[VerifyReport]) -> None:
    codes = [r.exit_code for r in reports if r.exit_code is not ExitCode.OK]
    # An error is more important than rows that differ.
    code = next((c for c in codes if c is not ExitCode.FOUND), codes[0] if codes else ExitCode.OK)
    if invocation.is_json:
        write_document(documents.verify_summary(reports, code.value), is_line=True)
    elif not invocation.is_silent:
        for report in reports:
            if report.tables or report.failure is None:
                answer(verify_text(report, invocation.paint()))
    invocation.show_failures(failures_of(reports))
    raise typer.Exit(code)


@_commands.command("show", help=SHOW_HELP, cls=Command)
@with_shared_options()
def show(
    invocation: Invocation,
    *,
    values: Annotated[
        bool, typer.Option("--values", help="Show the values that a run has stored", rich_help_panel="Output")
    ] = False,
) -> None:
    """Show what is proven of each table, and the rows that differ."""
    context = invocation.load_context()
    with invocation.waiting(context):
        from replica_cli.service.proofs import show_proofs  # noqa: PLC0415 - `--help` stays fast

        reports = show_proofs(context.settings, context.secondaries, _SHOWN_DIFFERENCES)
    if invocation.is_json:
        write_document(documents.proofs_document(reports))
    elif not invocation.is_silent:
        for report in (r for r in reports if r.failure is None):
            answer(proofs_text(report, invocation.paint(), shows_values=values))
    invocation.end_if_failed(failures_of(reports))
    if any(report.difference_count for report in reports):
        raise typer.Exit(ExitCode.FOUND)


@_commands.command("repair", help=REPAIR_HELP, cls=Command)
@with_shared_options()
def repair(
    invocation: Invocation,
    *,
    table: Annotated[list[str] | None, TABLE] = None,
    only: Annotated[list[DifferenceKind] | None, ONLY] = None,
    is_all: Annotated[bool, ALL] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and write nothing", rich_help_panel="Behaviour")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before rows are written", rich_help_panel="Behaviour")
    ] = False,
) -> None:
    """Write the primary's rows in place of the rows that differ."""
    if not dry_run:
        check_target(is_confirmed=yes, has_target=is_all or bool(invocation.secondaries))
    tables = tuple(_pattern(text) for text in table or ())
    context = invocation.load_context()
    request = RepairRequest(context.secondaries, tables, tuple(only or ()))
    with invocation.waiting(context):
        from replica_cli.service.repair import plan_repair, run_repair  # noqa: PLC0415 - `--help` stays fast

        plans = plan_repair(context.settings, request)
    if dry_run and invocation.is_json:
        write_document(documents.repair_plans_document(plans))
    elif dry_run and not invocation.is_silent:
        answer(repair_plans_text(plans, invocation.paint()))
    invocation.end_if_failed(failures_of(plans))
    if dry_run:
        return
    if any(plan.rows for plan in plans):
        if not yes or invocation.shows_text:  # show the plan before the question
            remark(repair_plans_text(plans, invocation.paint(to_stderr=True)))
        confirm("Write these rows on the secondary?", is_confirmed=yes)
    reports = run_repair(context.settings, request, _remark_to(invocation)) if any(p.tables for p in plans) else ()
    _show_repairs(invocation, reports)


def _remark_to(invocation: Invocation) -> Callable[[str, str], None]:
    def note(instance: str, message: str) -> None:
        if not invocation.is_silent:
            remark(fill(f"{instance}: {message}", instance))

    return note


def _show_repairs(invocation: Invocation, reports: Sequence[RepairReport]) -> None:
    codes = [r.exit_code for r in reports if r.exit_code is not ExitCode.OK]
    code = codes[0] if codes else ExitCode.OK
    if invocation.is_json:
        write_document(documents.repairs_document(reports))
    elif not invocation.is_silent:
        for report in reports:
            answer(repair_text(report, invocation.paint()))
        if not reports:
            answer("no row is known to differ: `replica verify run` looks for such rows")
    invocation.show_failures(failures_of(reports))
    raise typer.Exit(code)


def _pattern(text: str) -> str:
    return ".".join(schema_and_table(text, "shop.orders or 'shop.*'"))


def register(app: typer.Typer) -> None:
    """Add the commands to a typer application."""
    app.add_typer(_commands, name="verify")
