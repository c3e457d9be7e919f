"""The application: loads the command that is called, and turns every error into a message and an exit code."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from replica_cli import __version__
from replica_cli.cli.invocation import Invocation
from replica_cli.cli.options import META_FAILURE, META_INVOCATION, META_JSON, exit_code_of
from replica_cli.cli.output.console import answer, remark
from replica_cli.cli.output.failures import render_failure
from replica_cli.cli.output.outlets import failed_output, open_outlets
from replica_cli.cli.parsing import Group
from replica_cli.core.errors import MEMORY_HINT, ConfigurationError, ExitCode, ReplicaError
from replica_cli.core.printable import printable_lines
from replica_cli.core.reports.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

# The exception that the parser raises for a wrong command line. Newer versions of typer contain click, older ones
# import it: the class is taken from typer, so that it is always the right one.
_ParserError: type[Exception] = typer.BadParameter.__mro__[1]

# The modules of the commands, in the order of `--help`. Only the module of the command that is called is loaded.
_MODULES = {
    "stream": "stream",
    "transfer": "transfer",
    "pause": "pause",
    "resume": "pause",
    "position": "position",
    "drift": "drift",
    "verify": "verify",
    "health": "health",
    "config": "config",
    "demo": "demo",
}
# Help has panels on a terminal and is plain text in a pipe, because rich takes long to load.
_MARKUP: Literal["rich"] | None = "rich" if sys.stdout is not None and sys.stdout.isatty() else None


class CommandGroup(Group):
    """A group that loads each command when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """Return the names of all commands."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None if there is no command of this name."""
        if cmd_name in _MODULES and cmd_name not in self.commands:
            module_app = typer.Typer(rich_markup_mode=_MARKUP)
            importlib.import_module(f"replica_cli.cli.{_MODULES[cmd_name]}").register(module_app)
            self.commands.update(typer.main.get_group(module_app).commands)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name.

        If there is no such command, all commands are loaded, so that the usage error can suggest a similar name.
        """
        if args[0] not in _MODULES:
            for name in _MODULES:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


class ErrorBoundary(CommandGroup):
    """The group of all commands, and the only code that turns their errors into a message and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Store whether `--json` is given before parsing, because a usage error needs to know it."""
        ctx.meta[META_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. If its answer could not be written, an exit code of 0 becomes that of a failure."""
        try:
            result = self._invoke(ctx)
        except typer.Exit as ended:
            self._check_output(ctx, ended.exit_code)
            raise
        self._check_output(ctx, 0)
        return result

    def _check_output(self, ctx: Any, code: int) -> None:
        if (failure := _lost_answer()) is not None:
            _render(ctx, failure)
            if code == 0:
                raise typer.Exit(exit_code_of(failure.exit_code, ctx.meta.get(META_FAILURE)))

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, BrokenPipeError):
            raise
        except ReplicaError as error:
            self._end(ctx, Failure.of(error), error)
        except (KeyboardInterrupt, typer.Abort) as error:
            self._end(ctx, Failure("interrupted", "interrupted", exit_code=ExitCode.INTERRUPTED), error)
        except _ParserError as error:
            if not ctx.meta[META_JSON]:
                raise
            message = getattr(error, "format_message", error.__str__)()
            self._end(ctx, Failure("usage", message, exit_code=ExitCode.USAGE), error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            self._end(ctx, _unexpected(error), error)
        finally:
            self._close_logs()

    @staticmethod
    def _end(ctx: Any, failure: Failure, error: BaseException) -> None:
        invocation: Invocation = ctx.meta.get(META_INVOCATION, Invocation())
        if failure.code == "failure" and invocation.verbosity > 0:
            remark(printable_lines("".join(traceback.format_exception(error)).rstrip()))
        _render(ctx, failure, error.problems if isinstance(error, ConfigurationError) else ())
        raise typer.Exit(exit_code_of(failure.exit_code, ctx.meta.get(META_FAILURE))) from error

    @staticmethod
    def _close_logs() -> None:
        if "replica_cli.logs.setup" in sys.modules:
            from replica_cli.logs import close_logging  # noqa: PLC0415 - it is not imported only to be closed

            close_logging()


def _render(ctx: Any, failure: Failure, problems: Sequence[str] = ()) -> None:
    invocation: Invocation = ctx.meta.get(META_INVOCATION, Invocation())
    if not invocation.is_silent:
        paint = invocation.paint(to_stderr=True)
        render_failure(failure, is_json=ctx.meta[META_JSON], paint=paint, problems=problems)


def _lost_answer() -> Failure | None:
    reason = failed_output()
    return None if reason is None else Failure("output", f"the answer could not be written to stdout: {reason}")


def _unexpected(error: Exception) -> Failure:
    if isinstance(error, MemoryError):
        return Failure("memory", "there is not enough memory", MEMORY_HINT)
    text = f"unexpected {type(error).__name__}: {error}".splitlines()[0]
    return Failure("failure", text, "run it again with -v to see the trace, and report it")


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's signature of a callback
    if value:
        answer(f"replica {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=ErrorBoundary,
    no_args_is_help=True,
    rich_markup_mode=_MARKUP,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def replica(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit")
    ] = False,
) -> None:
    """Keep MariaDB and MySQL secondaries in step with a primary."""


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    open_outlets()
    try:
        app(prog_name="replica")
    except SystemExit as ended:
        # The parser itself answered, for example with a help text.
        if not ended.code and (failure := _lost_answer()) is not None:
            remark(f"error: {failure.message}")
            raise SystemExit(int(failure.exit_code)) from None
        raise
