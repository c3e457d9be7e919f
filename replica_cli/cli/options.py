"""Declares the options that all commands share."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replica_cli.cli.invocation import Invocation
from replica_cli.cli.output.console import ColorChoice
from replica_cli.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

META_JSON = "replica.json"
META_INVOCATION = "replica.invocation"
META_FAILURE = "replica.failure_code"


def complete_secondary(incomplete: str) -> list[str]:
    """Return the names of secondaries for shell completion, from the settings and without asking a server."""
    from replica_cli.config.loading import secondary_names  # noqa: PLC0415 - loaded only for shell completion

    return [n for n in secondary_names() if n.startswith(incomplete)]


SECONDARY = typer.Option(
    "--secondary",
    metavar="NAME",
    help="Only this secondary (repeatable; default: all)",
    autocompletion=complete_secondary,
    rich_help_panel="Selection",
)
ALL = typer.Option("--all", help="All secondaries: the explicit target for `--yes`", rich_help_panel="Selection")
ENV_FILE = typer.Option(
    "--env-file",
    metavar="FILE",
    help="Read settings from this file instead of `.env`; the environment wins",
    rich_help_panel="Connection",
)
CONFIG = typer.Option(
    "--config",
    metavar="FILE",
    help="Read settings from this YAML or JSON file; variables and options win  [env: REPLICA_CONFIG]",
    rich_help_panel="Connection",
)
JSON = typer.Option("--json", help="Answer in JSON on stdout, errors in JSON on stderr", rich_help_panel="Output")
QUIET = typer.Option(
    "--quiet",
    "-q",
    count=True,
    show_default=False,
    help="Errors and the answer only; twice: only the exit code",
    rich_help_panel="Output",
)
VERBOSE = typer.Option(
    "--verbose",
    "-v",
    count=True,
    show_default=False,
    help="Log at DEBUG; twice: the drivers too",
    rich_help_panel="Output",
)
COLOR = typer.Option("--color", help="Colour the output; also NO_COLOR and FORCE_COLOR", rich_help_panel="Output")

_SHARED: tuple[tuple[str, Any, object], ...] = (
    ("secondary", Annotated[list[str] | None, SECONDARY], None),
    ("env_file", Annotated[Path | None, ENV_FILE], None),
    ("config_file", Annotated[Path | None, CONFIG], None),
    ("is_json", Annotated[bool, JSON], False),
    ("quiet", Annotated[int, QUIET], 0),
    ("verbose", Annotated[int, VERBOSE], 0),
    ("color", Annotated[ColorChoice, COLOR], ColorChoice.AUTO),
)


def with_shared_options(
    *, without: tuple[str, ...] = (), failure_code: int | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the shared options to a command. The command's first argument is the Invocation.

    Args:
        without: names of shared options that the command does not have.
        failure_code: replaces the exit code of all errors except usage, configuration and interruption.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [_parameter(*each) for each in _SHARED if each[0] not in without]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

        @functools.wraps(function)
        def command(**values: Any) -> None:
            meta = values.pop("context").meta
            taken = {name: values.pop(name, default) for name, _, default in _SHARED}
            invocation = _invocation(taken)
            meta[META_INVOCATION] = invocation
            meta[META_FAILURE] = failure_code
            function(invocation, **values)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        signature = inspect.Signature([*parameters, *shared, context])
        # typer reads both attributes: names and their order from the signature, types from the annotations.
        command.__signature__ = signature  # type: ignore[attr-defined]  # a function accepts attributes
        command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return command

    return decorate


def _parameter(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _invocation(taken: dict[str, Any]) -> Invocation:
    if taken["quiet"] and taken["verbose"]:
        raise UsageError("--quiet and --verbose exclude each other")
    return Invocation(
        is_json=taken["is_json"],
        verbosity=max(-2, min(2, taken["verbose"] - taken["quiet"])),
        secondaries=tuple(taken["secondary"] or ()),
        env_file=taken["env_file"],
        config_file=taken["config_file"],
        color=taken["color"],
    )


def exit_code_of(code: ExitCode, failure_code: int | None) -> int:
    """Return the exit code of an error, replaced by the command's `failure_code` if that applies to the error."""
    if failure_code is None or code in (ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.INTERRUPTED):
        return int(code)
    return failure_code


def checked_duration(text: str | None) -> str | None:
    """Return the text of an option that takes a duration. Raises BadParameter if it is none."""
    if text is not None:
        from replica_cli.config.parsers import positive_duration  # noqa: PLC0415 - `--help` stays fast

        try:
            positive_duration(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return text


def chosen_mode(*, resume: bool, restart: bool) -> str:
    """Return what a command does about earlier work that is not finished: `new`, `resume` or `restart`.

    Raises:
        UsageError: both options are given.
    """
    if resume and restart:
        raise UsageError("`--resume` and `--restart` exclude each other")
    if restart:
        return "restart"
    return "resume" if resume else "new"


def schema_and_table(text: str, examples: str) -> tuple[str, str]:
    """Return both parts of the value of `--table`.

    Raises:
        UsageError: a part is missing.
    """
    schema, _, name = text.partition(".")
    if not schema or not name:
        raise UsageError(f"`--table {text}` is not SCHEMA.TABLE, such as {examples}")
    return schema, name
