"""The commands `replica position show` and `replica position reset`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import ALL, with_shared_options
from replica_cli.cli.output.console import answer, remark, write_document
from replica_cli.cli.output.plain_text import positions_text, resets_text
from replica_cli.cli.output.reporters import ProgressForm, open_watch
from replica_cli.cli.parsing import Command, Group
from replica_cli.core.errors import ExitCode, UsageError
from replica_cli.core.position import Position, parse_file_position
from replica_cli.documents.complete_commands import failures_of, filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.requests.reset import ResetKind

_INTERVAL = "2s"
_CODES = (
    ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.PRIMARY, ExitCode.SECONDARY,
)  # fmt: skip

SHOW_HELP = help_text(
    "Show the saved position, the primary's position, and the distance",
    "Also lists each table that is being copied, or quarantined with the reason and the position "
    "at which it stopped. What cannot be read is unknown, and the exit code says which side did not answer. With "
    "`--watch` it goes on until Ctrl-C, which ends it with 0: on a terminal as a board, otherwise as lines.",
    examples=(
        ("Show the position of each secondary", "replica position show"),
        ("Show the distance of one secondary in bytes", "replica position show --secondary db2 --json"),
        ("Watch all secondaries, wherever their streams run", "replica position show --watch"),
    ),
    exit_codes=(*_CODES, ExitCode.POSITION),
    meanings={11: "the primary's log does not continue from the saved position"},
)
RESET_HELP = help_text(
    "Forget or move the saved position",
    "Without a new position, the saved one is forgotten: after that a new copy is needed, which replaces the rows on "
    "the secondary. With one, the next `replica stream` continues from there, and the changes between the two are "
    "never applied. Prints the plan and asks; without a terminal it needs `--yes` and an explicit target.",
    examples=(
        ("Show what would change", "replica position reset --secondary db2 --dry-run"),
        ("Continue from a known position", "replica position reset --secondary db2 --to binlog.000042:1187 --yes"),
        ("Keep the position, accept changed filters", "replica position reset --accept-filters --all --yes"),
    ),
    exit_codes=(*_CODES, ExitCode.POSITION, ExitCode.LOCKED),
    meanings={1: "unexpected failure, or the answer was no", 11: "the position is not in the primary's binary log"},
)

_commands = typer.Typer(cls=Group, help="Show or move the saved positions", no_args_is_help=True)


def _checked_interval(text: str | None) -> str | None:
    if text is not None:
        from replica_cli.config.parsers import positive_duration  # noqa: PLC0415 - `--help` stays fast
        from replica_cli.core.requests.watch import LEAST_INTERVAL_SECONDS  # noqa: PLC0415 - as above

        try:
            seconds = positive_duration(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if seconds < LEAST_INTERVAL_SECONDS:
            raise typer.BadParameter(f"{text} is less than {LEAST_INTERVAL_SECONDS}s")
    return text


@_commands.command("show", help=SHOW_HELP, cls=Command)
@with_shared_options()
def show(
    invocation: Invocation,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again until Ctrl-C", rich_help_panel="Behaviour")
    ] = False,
    interval: Annotated[
        str | None,
        typer.Option(
            "--interval",
            metavar="DURATION",
            help="With `--watch`: the time between two readings, at least 0.5s  [default: 2s]",
            callback=_checked_interval,
            rich_help_panel="Behaviour",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", metavar="N", min=1, help="With `--watch`: end after N readings", rich_help_panel="Behaviour"
        ),
    ] = None,
) -> None:
    """Show the saved positions, the end of the primary's log, and the distance."""
    if watch:
        _watch(invocation, interval or _INTERVAL, count)
        return
    if interval is not None or count is not None:
        raise UsageError("`--interval` and `--count` need `--watch`")
    run = invocation.load_context()
    with invocation.waiting(run):
        from replica_cli.service.position import show_positions  # noqa: PLC0415 - `--help` stays fast

        reports = show_positions(run.settings, run.secondaries)
    if invocation.is_json:
        write_document(documents.positions_document(reports))
    elif not invocation.is_silent:
        answer(positions_text(reports, invocation.paint()))
    invocation.end_if_failed(_failures(filled(reports)))


def _watch(invocation: Invocation, interval: str, count: int | None) -> None:
    """Show the positions again and again."""
    run = invocation.load_context(display=sys.stdout)
    from replica_cli.config.parsers import positive_duration  # noqa: PLC0415 - `--help` stays fast
    from replica_cli.core.requests.watch import WatchRequest  # noqa: PLC0415 - as above
    from replica_cli.service.watching.watch import watch_positions  # noqa: PLC0415 - as above

    is_board = run.form is ProgressForm.LIVE and sys.stdout.isatty()
    request = WatchRequest(run.secondaries, positive_duration(interval), count, is_first_complete=not is_board)
    name = run.settings.primary.name
    with open_watch(invocation.paint(), name, interval, is_board=is_board, is_json=invocation.is_json) as show_round:
        last = watch_positions(run.settings, request, (lambda _: True) if invocation.is_silent else show_round)
    if last is not None:
        invocation.end_if_failed(_failures(filled(last)))


@_commands.command("reset", help=RESET_HELP, cls=Command)
@with_shared_options()
def reset(
    invocation: Invocation,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FILE:POS", help="Continue from this position", rich_help_panel="Behaviour"),
    ] = None,
    gtid: Annotated[
        str | None,
        typer.Option("--gtid", metavar="SET", help="Continue after this GTID set", rich_help_panel="Behaviour"),
    ] = None,
    to_current: Annotated[
        bool,
        typer.Option(
            "--to-current", help="Continue from the present end of the primary's log", rich_help_panel="Behaviour"
        ),
    ] = False,
    accept_filters: Annotated[
        bool,
        typer.Option(
            "--accept-filters",
            help="Store the schemas and tables of the settings; alone, the position stays",
            rich_help_panel="Behaviour",
        ),
    ] = False,
    is_all: Annotated[bool, ALL] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask", rich_help_panel="Behaviour")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and write nothing", rich_help_panel="Behaviour")
    ] = False,
) -> None:
    """Forget or move the saved position."""
    from replica_cli.cli.confirmation import check_target, confirm  # noqa: PLC0415 - `show` does not need it

    kind, position = _target(to, gtid, to_current=to_current, accept_filters=accept_filters)
    if not dry_run:
        check_target(is_confirmed=yes, has_target=is_all or bool(invocation.secondaries))
    run = invocation.load_context()
    with invocation.waiting(run):
        from replica_cli.core.requests.reset import ResetRequest  # noqa: PLC0415 - `--help` stays fast
        from replica_cli.service.reset import plan_reset, run_reset  # noqa: PLC0415 - `--help` stays fast

        plans = plan_reset(run.settings, ResetRequest(run.secondaries, kind, position, accepts_filters=accept_filters))
    if dry_run and invocation.shows_text:
        answer(resets_text(plans, invocation.paint()))
    if dry_run and invocation.is_json:
        write_document(documents.resets_document(plans, is_dry_run=True))
    invocation.end_if_failed(failures_of(plans))
    if not dry_run:
        if not yes or invocation.shows_text:  # show the plan before the question
            remark(resets_text(plans, invocation.paint(to_stderr=True)))
        confirm("Change this?", is_confirmed=yes)
        run_reset(run.settings, plans)
        if invocation.is_json:
            write_document(documents.resets_document(plans, is_dry_run=False))


def _failures(reports: Sequence[PositionReport]) -> list[Failure]:
    """Return the failures of all reports: first that of the primary, once, because all secondaries share it."""
    primary = [f for r in reports if (f := r.primary_failure)]
    failures = [(r.instance, f) for r in reports if (f := r.failure or r.lost)]
    return primary[:1] + [
        f if f.message.startswith(f"{i}:") else replace(f, message=f"{i}: {f.message}") for i, f in failures
    ]


def _target(
    to: str | None, gtid: str | None, *, to_current: bool, accept_filters: bool
) -> tuple[ResetKind, Position | None]:
    from replica_cli.core.requests.reset import ResetKind  # noqa: PLC0415 - `show` does not need it

    if (to is not None) + (gtid is not None) + to_current > 1:
        raise UsageError("`--to`, `--gtid` and `--to-current` exclude each other")
    if to is not None:
        try:
            return ResetKind.POSITION, parse_file_position(to)
        except ValueError as error:
            raise UsageError(f"`--to`: {error}") from None
    if gtid is not None:
        if not gtid.strip():
            raise UsageError("`--gtid` is empty")
        return ResetKind.GTID, Position("", 0, gtid.strip())
    if to_current:
        return ResetKind.CURRENT, None
    return (ResetKind.KEEP if accept_filters else ResetKind.FORGET), None


def register(app: typer.Typer) -> None:
    """Add the commands to a typer application."""
    app.add_typer(_commands, name="position")
