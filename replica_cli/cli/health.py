"""The command `replica health`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - the decorator reads the annotations at run time
from typing import Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import checked_duration, with_shared_options
from replica_cli.cli.output.console import answer, write_document
from replica_cli.cli.output.plain_text import health_text
from replica_cli.cli.parsing import Command
from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.requests.health import HealthRequest

HELP = help_text(
    "Check that replication is alive, moving and safe",
    "Reaches both sides, looks at binary log settings and grants, the saved position, lag, whether the stream moves, "
    "quarantined tables, rows that differ, and retention. One line per check; with `--quiet` only what is wrong.",
    examples=(
        ("All checks, lag above five minutes is a warning", "replica health --max-lag 5m"),
        ("For the node exporter", "replica health --textfile /var/lib/prometheus/node-exporter/replica.prom"),
        ("From cron: mail only when something is wrong", "replica health --quiet --env-file /etc/replica.env"),
    ),
    meanings={
        0: "ok",
        1: "warning",
        2: "critical, or wrong use of the command line",
        3: "unknown: a check could not be made",
        10: "configuration missing or wrong (all problems are listed)",
    },
)


def _checked_textfile(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".prom":
        raise typer.BadParameter(f"{path}: the collector reads only names that end with .prom")
    return path


@with_shared_options(failure_code=HealthLevel.UNKNOWN)
def health(
    invocation: Invocation,
    *,
    max_lag: Annotated[
        str | None,
        typer.Option(
            "--max-lag",
            metavar="DURATION",
            help="[[REPLICA_MAX_LAG]]",
            callback=checked_duration,
            rich_help_panel="Behaviour",
        ),
    ] = None,
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile",
            metavar="FILE",
            help="Also write the result as metrics for the node exporter's textfile collector: a name with .prom",
            callback=_checked_textfile,
            rich_help_panel="Behaviour",
        ),
    ] = None,
) -> None:
    """Check that replication is alive, moving and safe."""
    from replica_cli.config.overrides import Overrides  # noqa: PLC0415 - `--help` loads no module of `config`

    run = invocation.load_context(Overrides(max_lag=max_lag))
    with invocation.waiting(run):
        from replica_cli.service.health import check_health  # noqa: PLC0415 - as above

        report = check_health(run.settings, HealthRequest(run.secondaries))
    if invocation.is_json:
        write_document(documents.health_document(report))
    elif not invocation.is_silent:
        text = health_text(report, invocation.paint(), only_wrong=invocation.verbosity < 0)
        if text:
            answer(text)
    if textfile is not None:
        from replica_cli.api.textfile import write_textfile  # noqa: PLC0415 - prometheus_client takes a while to load

        write_textfile(textfile, report, primary=run.settings.primary.name)
    raise typer.Exit(report.level)


def register(app: typer.Typer) -> None:
    """Add the command to a typer application."""
    app.command("health", help=HELP, cls=Command)(health)
