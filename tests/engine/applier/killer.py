"""A process that dies around a statement of data definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replica_cli.applier.ddl import execution as execution_module
from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    import pytest

    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness

ORIGINAL = execution_module.DdlExecution._run


class KilledError(ReplicaError):
    """The process died here."""


@dataclass
class Killer:
    """Ends the process, as it were, around the nth statement of data definition."""

    place: str
    left: int = 1

    def arm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(applier: execution_module.DdlExecution, *args: Any) -> None:
            self.run(applier, *args)

        monkeypatch.setattr(execution_module.DdlExecution, "_run", run)

    def run(self, applier: execution_module.DdlExecution, *args: Any) -> None:
        self.left -= 1
        if self.left == 0 and self.place == "before":
            raise KilledError("killed before")
        ORIGINAL(applier, *args)
        if self.left == 0 and self.place == "behind":
            raise KilledError("killed behind")


def die_behind(session: Session, harness: Harness, statement: str, *, before_its_answer: bool = False) -> None:
    """Let a session's connection be killed as soon as a statement with this text has run in it."""
    execute, execute_one = session.execute, session.execute_one

    def die(sql: str | bytes) -> None:
        if statement.encode() in (sql if isinstance(sql, bytes) else sql.encode()):
            harness.other.execute(f"KILL {session.connection_id}")
            if before_its_answer:
                execute("DO 0")

    def dying(sql: str | bytes, *args: Any) -> int:
        found = execute(sql, *args)
        die(sql)
        return found

    def dying_one(sql: str | bytes) -> int:
        found = execute_one(sql)
        die(sql)
        return found

    session.execute = dying  # type: ignore[method-assign]  # for this one session
    session.execute_one = dying_one  # type: ignore[method-assign]
