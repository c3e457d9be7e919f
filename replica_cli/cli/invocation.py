"""One call of a command: its shared options, and the preparation with which every command begins."""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from replica_cli.cli.output.console import ColorChoice, Painter, painter
from replica_cli.cli.output.failures import render_failure
from replica_cli.cli.output.reporters import ProgressForm, progress_form
from replica_cli.cli.output.stream_above import waiting_for
from replica_cli.core.commands import CommandLine, install_command_line
from replica_cli.core.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replica_cli.config.loading import Configuration
    from replica_cli.config.overrides import Overrides
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.reports.reload import ReloadReport
    from replica_cli.core.settings import Logging, Server, Settings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command works with.

    Attributes:
        settings: the settings.
        secondaries: the secondaries that the user picked.
        form: how progress is shown.
        configuration: the settings with their origins.
    """

    settings: Settings
    secondaries: tuple[Server, ...]
    form: ProgressForm
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Invocation:
    """The shared options of one call of a command.

    Attributes:
        verbosity: from -2 (only the exit code) to 2 (DEBUG records of libraries too).
        secondaries: the names that the user gave, empty for all secondaries.
    """

    is_json: bool = False
    verbosity: int = 0
    secondaries: tuple[str, ...] = ()
    env_file: Path | None = None
    config_file: Path | None = None
    color: ColorChoice = ColorChoice.AUTO

    def load_context(self, overrides: Overrides | None = None, *, display: TextIO | None = None) -> CommandContext:
        """Read the settings, mask their secrets and start the logs.

        `display` is the stream on which the command draws its display, None for stderr.

        Raises:
            ConfigurationError: if the settings are wrong.
            UsageError: if the settings do not have a secondary that the user named.
        """
        from replica_cli.logs import Tag, install_redactor, log  # noqa: PLC0415 - `--help` logs nothing

        install_command_line(self._command_line())
        configuration = self.read_configuration(overrides)
        settings = configuration.settings
        tokens = () if settings.http.token is None else (settings.http.token,)
        install_redactor([settings.primary.password, *(s.password for s in settings.secondaries), *tokens])
        picked = self._pick(settings)
        install_command_line(self._command_line(picked))
        form = self.start_logs(settings.logging, configuration.progress, display)
        for warning in configuration.warnings:
            log(_logger, logging.WARNING, Tag.WARN, "%s", warning)
        return CommandContext(settings, picked, form, configuration)

    @contextlib.contextmanager
    def waiting(self, run: CommandContext) -> Iterator[None]:
        """Show on the terminal to which servers the command connects, while the context lasts."""
        if run.form is not ProgressForm.LIVE or not sys.stderr.isatty():
            yield
            return
        names = " and ".join([run.settings.primary.name, *(s.name for s in run.secondaries)])
        with waiting_for(f"connecting to {names} ..."):
            yield

    def read_configuration(self, overrides: Overrides | None = None) -> Configuration:
        """Read the settings from all sources.

        Raises:
            ConfigurationError: if the settings are wrong.
        """
        from replica_cli.config.loading import read_configuration  # noqa: PLC0415 - `--help` reads no settings

        for option, file in (("--env-file", self.env_file), ("--config", self.config_file)):
            if file is not None and not _is_file(file):
                raise ConfigurationError((f"{option}: {file} is not a file",))
        return read_configuration(overrides, None, self.env_file or Path(".env"), self.config_file)

    def configuration_template(self) -> str:
        """Return a commented configuration file with what variables give, also if that is not complete.

        Raises:
            ConfigurationError: if a part of what they give cannot be read, and would be missing in the file.
        """
        from replica_cli.config.dotfile import read_dotfile  # noqa: PLC0415 - as above
        from replica_cli.config.environment import process_environment  # noqa: PLC0415 - as above
        from replica_cli.config.loading import gather  # noqa: PLC0415 - as above
        from replica_cli.config.template import template  # noqa: PLC0415 - as above

        dotenv = self.env_file or Path(".env")
        variables = {**read_dotfile(dotenv).values, **process_environment()}
        # A configuration file is what is written, so none is read.
        gathered = gather(None, None, dotenv, None, reads_file=False)
        if gathered.unreadable:
            raise ConfigurationError(gathered.unreadable)
        return template(gathered.layers, variables)

    def reloading(self, run: CommandContext, overrides: Overrides) -> Callable[[], ReloadReport]:
        """Return a function that reads the settings again, and returns what has changed since its last call.

        It raises ConfigurationError if the settings are wrong; then those before stay in use.
        """
        from replica_cli.config.reloading import reloaded  # noqa: PLC0415 - only a stream needs it

        current = run.configuration

        def reload() -> ReloadReport:
            nonlocal current
            current, report = reloaded(current, self.read_configuration(overrides))
            return report

        return reload

    def files_of(self, run: CommandContext) -> tuple[Path, ...]:
        """Return the files from which settings are read; `.env` may be missing."""
        file = run.configuration.file
        return (self.env_file or Path(".env"), *(() if file is None else (file,)))

    def start_logs(self, settings: Logging, progress: str = "auto", display: TextIO | None = None) -> ProgressForm:
        """Start the logs, and return how progress is shown. Above a live display only important records appear."""
        from replica_cli.config.environment import process_environment  # noqa: PLC0415 - as above
        from replica_cli.logs import setup_logging  # noqa: PLC0415 - `--help` logs nothing

        terminal = process_environment().get("TERM", "")
        form = progress_form(
            progress, is_json=self.is_json, verbosity=self.verbosity, terminal=terminal, stream=display
        )
        setup_logging(settings, self.verbosity, is_display=form is ProgressForm.LIVE)
        return form

    def _command_line(self, picked: tuple[Server, ...] = ()) -> CommandLine:
        """Return the options that every command in a hint needs too."""
        secondary = picked[0].name if len(picked) == 1 else ""
        return CommandLine(
            "" if self.env_file is None else str(self.env_file),
            secondary,
            "" if self.config_file is None else str(self.config_file),
        )

    def _pick(self, settings: Settings) -> tuple[Server, ...]:
        # The result has the values of the settings themselves: the index among them decides a worker's server id.
        by_name = {s.name: s for s in settings.secondaries}
        for name in self.secondaries:
            if name not in by_name:
                raise UsageError(f"there is no secondary {name!r}", hint=f"the secondaries are: {', '.join(by_name)}")
        return tuple(s for s in settings.secondaries if not self.secondaries or s.name in self.secondaries)

    @property
    def shows_text(self) -> bool:
        """Return True if the answer is shown as text for people."""
        return not self.is_json and not self.is_silent

    @property
    def is_silent(self) -> bool:
        """Return True if the user wants only the exit code."""
        return self.verbosity <= -2

    def end_if_failed(self, failures: Sequence[Failure]) -> None:
        """If there are failures, show them, and end the command with the exit code of the first one.

        The commands in the failures must be complete (`documents.complete_commands.filled`).
        """
        self.show_failures(failures)
        if failures:
            raise typer.Exit(failures[0].exit_code)

    def show_failures(self, failures: Iterable[Failure]) -> None:
        """Show failures, unless nothing is shown. Their commands must be complete, as for `end_if_failed`."""
        for failure in failures if not self.is_silent else ():
            render_failure(failure, is_json=self.is_json, paint=self.paint(to_stderr=True))

    def paint(self, *, to_stderr: bool = False) -> Painter:
        """Return the painter for stdout, or for stderr."""
        from replica_cli.config.environment import process_environment  # noqa: PLC0415 - as above

        return painter(self.color, process_environment(), to_stderr=to_stderr)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return True  # the user may not access it: reading it gives the reason
