"""The commands `replica config check`, `show`, `schema` and `init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from replica_cli import documents
from replica_cli.cli.helptext import help_text
from replica_cli.cli.invocation import Invocation  # noqa: TC001 - the decorator reads the annotations at run time
from replica_cli.cli.options import with_shared_options
from replica_cli.cli.output.config_answers import check_text, settings_text
from replica_cli.cli.output.console import answer, remark, write_document
from replica_cli.cli.parsing import Command, Group
from replica_cli.core.errors import ExitCode, UsageError
from replica_cli.core.reports.configuration import ConfigurationReport

_CODES = (ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE, ExitCode.CONFIGURATION)
_FILE = Path("replica.yaml")

CHECK_HELP = help_text(
    "Check the settings of all sources, and ask no server",
    "Reads the options, the environment, `.env` and the configuration file, and lists every problem.",
    examples=(
        ("Check the file of a service", "replica config check --config /etc/replica/replica.yaml"),
        ("Check what is set in this shell", "replica config check"),
    ),
    exit_codes=_CODES,
)
SHOW_HELP = help_text(
    "Show the settings that are in effect, and where each one comes from",
    "The first source that gives a setting wins: option, environment, `.env`, configuration file, default. Secrets are "
    "masked.",
    examples=(
        ("Show what differs from the defaults", "replica config show"),
        ("Show every setting for a script", "replica config show --defaults --json"),
    ),
    exit_codes=_CODES,
)
SCHEMA_HELP = help_text(
    "Print the JSON Schema of the configuration file, for editors",
    examples=(("Let an editor complete and check the file", "replica config schema > replica.schema.json"),),
    exit_codes=(ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE),
)
INIT_HELP = help_text(
    "Write a commented configuration file from the variables of the environment and of `.env`",
    "Each setting is explained; one that is not set is commented out and shows its default. No secret is written: the "
    "file refers to the variable or the file that holds it.",
    examples=(
        ("Begin with a file", "replica config init"),
        ("Look at it first", "replica config init --output -"),
    ),
    exit_codes=_CODES,
    meanings={2: "wrong use of the command line, or the file exists already"},
)

_commands = typer.Typer(cls=Group, help="Check, show and write the configuration", no_args_is_help=True)
_without_secondary = ("secondary",)


@_commands.command("check", help=CHECK_HELP, cls=Command)
@with_shared_options(without=_without_secondary)
def check(invocation: Invocation) -> None:
    """Check the settings of all sources."""
    configuration = invocation.read_configuration()
    settings = configuration.settings
    report = ConfigurationReport(
        str(configuration.file or ""),
        settings.primary.name,
        tuple(s.name for s in settings.secondaries),
        configuration.warnings,
    )
    if invocation.is_json:
        write_document(documents.configuration_document(report))
    elif not invocation.is_silent:
        answer(check_text(report, invocation.paint()))


@_commands.command("show", help=SHOW_HELP, cls=Command)
@with_shared_options(without=_without_secondary)
def show(
    invocation: Invocation,
    *,
    defaults: Annotated[
        bool,
        typer.Option("--defaults", help="Also show the settings that have their default", rich_help_panel="Output"),
    ] = False,
) -> None:
    """Show the settings that are in effect, and where each one comes from."""
    from replica_cli.config.effective import setting_reports  # noqa: PLC0415 - `--help` stays fast

    configuration = invocation.read_configuration()
    settings = setting_reports(configuration.layers, configuration.mask, with_defaults=defaults)
    if invocation.is_json:
        write_document(documents.settings_document(settings, str(configuration.file or "")))
    elif not invocation.is_silent:
        answer(settings_text(settings, invocation.paint()))


@_commands.command("schema", help=SCHEMA_HELP, cls=Command)
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from replica_cli.config.documents import json_schema  # noqa: PLC0415 - `--help` stays fast

    write_document(json_schema())


@_commands.command("init", help=INIT_HELP, cls=Command)
@with_shared_options(without=("secondary", "config_file"))
def init(
    invocation: Invocation,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="FILE", help="The file to write; `-` for stdout", rich_help_panel="Output"),
    ] = _FILE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it exists", rich_help_panel="Behaviour")
    ] = False,
) -> None:
    """Write a commented configuration file."""
    text = invocation.configuration_template()
    if str(output) == "-":
        answer(text.rstrip("\n"))
        return
    try:
        _write(output, text, is_forced=force)
    except FileExistsError:
        hint = "`--force` replaces it, `--output FILE` names another"
        raise UsageError(f"{output} exists already", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or type(error).__name__}") from None
    if invocation.shows_text:
        remark(f"{output} is written; `replica config check --config {output}` checks it")


def _write(path: Path, text: str, *, is_forced: bool) -> None:
    # Only the owner may read it: people add passwords to such files.
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if is_forced else os.O_EXCL)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def register(app: typer.Typer) -> None:
    """Add the commands to a typer application."""
    app.add_typer(_commands, name="config")
