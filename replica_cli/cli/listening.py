"""Answers HTTP while a command works, if it is to listen on an address. Without one nothing of it is loaded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import typer

from replica_cli.core.reporter import Reporter, Reporters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.cli.invocation import CommandContext
    from replica_cli.supervisor.control import StreamControl

_HELP = "Answer HTTP (metrics, page, API, probes): ADDRESS:PORT or unix:/PATH"
LISTEN = typer.Option(
    "--listen", metavar="ADDRESS", help=f"{_HELP}  [env: REPLICA_LISTEN]", rich_help_panel="Behaviour"
)
# A transfer often reads the settings of a running stream, whose address is taken. So it needs the option.
LISTEN_ONLY_BY_OPTION = typer.Option(
    "--listen", metavar="ADDRESS", help=f"{_HELP}. REPLICA_LISTEN is not used", rich_help_panel="Behaviour"
)


@contextlib.contextmanager
def listening(run: CommandContext, reporter: Reporter, control: StreamControl | None = None) -> Iterator[Reporter]:
    """Give the reporter of the command, which the HTTP server hears too while the context lasts.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    if run.settings.http.listen is None:
        yield reporter
        return
    from replica_cli.api.serving import serving  # noqa: PLC0415 - as the module says

    with serving(run.settings, run.secondaries, control=control) as board:
        yield Reporters((reporter, board))
