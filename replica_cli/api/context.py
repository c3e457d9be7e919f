"""What all requests work with: one value that the routes get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from replica_cli.api.errors import NotKnown
from replica_cli.api.limits import TokenBucket
from replica_cli.api.threads import Remembered, Threads
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.api.board import Board
    from replica_cli.api.events import EventLog
    from replica_cli.api.jobs import Jobs
    from replica_cli.api.plans import Plans
    from replica_cli.api.questions import Questions
    from replica_cli.core.settings import Server, Settings
    from replica_cli.documents.shapes import PositionsDocument
    from replica_cli.supervisor.control import StreamControl

_POSITIONS_SECONDS = 2.0
_BURST_SECONDS = 4.0
# How many run at the same time.
_QUESTIONS = 4
_PAUSES = 4


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the server.

    Attributes:
        settings: returns the settings that are in use at the moment.
        secondaries: those that this process works on.
        questions: asks the servers.
        positions: the answer of `position show`, asked for every two seconds at most.
        control: the running stream, None for a transfer.
        metrics: returns the metrics and their content type.
        stop: set when the process ends; it ends every wait.
        threads: for questions to servers, which may be slow.
        pausing: for pause and resume, so that slow questions do not keep them out.
        steering: for what the supervisor answers, for the same reason.
        changes: the limit of requests that change something.
        wrong_tokens: the limit of requests with a wrong token.
    """

    settings: Callable[[], Settings]
    secondaries: tuple[Server, ...]
    board: Board
    events: EventLog
    questions: Questions
    jobs: Jobs
    plans: Plans
    metrics: Callable[[], tuple[bytes, str]]
    control: StreamControl | None = None
    stop: StopToken = field(default_factory=StopToken)
    threads: Threads = field(default_factory=lambda: Threads(_QUESTIONS))
    pausing: Threads = field(default_factory=lambda: Threads(_PAUSES))
    steering: Threads = field(default_factory=lambda: Threads(1))
    positions: Remembered[PositionsDocument] = field(init=False)
    changes: TokenBucket = field(init=False)
    wrong_tokens: TokenBucket = field(init=False)

    def __post_init__(self) -> None:
        positions = Remembered(self.threads, self.questions.positions, _POSITIONS_SECONDS)
        object.__setattr__(self, "positions", positions)
        rate = self.settings().http.requests_per_second
        for name, share in (("changes", 0.1), ("wrong_tokens", 0.05)):
            object.__setattr__(self, name, TokenBucket(rate * share, rate * share * _BURST_SECONDS))

    def secondary(self, name: str) -> Server:
        """Return a secondary. Raises NotKnown if this process does not work on one of this name."""
        for server in self.secondaries:
            if server.name == name:
                return server
        known = ", ".join(s.name for s in self.secondaries)
        raise NotKnown("there is no such secondary", hint=f"the secondaries are: {known}")

    def picked(self, names: list[str]) -> tuple[Server, ...]:
        """Return the secondaries with these names, in the order of the settings. Raises NotKnown."""
        for name in names:
            self.secondary(name)
        return tuple(s for s in self.secondaries if s.name in names)


def context_of(request: Request) -> Context:
    """Return the context of the application that answers a request."""
    return cast("Context", request.app.state.context)


InContext = Annotated[Context, Depends(context_of)]
