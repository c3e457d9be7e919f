"""State schemas as an older release left them: read from files, and made again on servers of a test.

A file has parts, each begun by a line `-- part: NAME`: what was run on the primary before the release was stopped
(`primary`), the secondary's tables then (`secondary`), the state schema then (`state`), and what happens on the primary
afterwards (`later`). Positions depend on the server, so the dumps hold names for them: `@p3.file@`, `@p3.pos@` and
`@p3.gtid@` are the position after the statement with the number 3 of `primary`, and `@t3.gtid@` is the GTID of its
transaction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

FOLDER = Path(__file__).parent
# The filters of the dumps name the schema, so it is always the same.
SCHEMA, STATE_SCHEMA = "upgraded", "upgraded_state"
INSTANCE = "db1"
_FIRST_TIME = 1_767_225_600
# A transaction that has ended and is not prepared allows no other statement.
_WITHOUT_TIME = ("XA PREPARE 'x1'", "XA COMMIT 'x1'")
PARTS = ("primary", "secondary", "state", "later")


@dataclass
class Dump:
    """One dump. `points` are the positions after each statement on the primary, once `run_on_primary` has run."""

    parts: dict[str, list[str]]
    points: list[Position]

    @classmethod
    def read(cls, name: str) -> Dump:
        """Read a file of this folder."""
        texts = re.split(r"^-- part: (\w+)\n", (FOLDER / f"{name}.sql").read_text(), flags=re.MULTILINE)[1:]
        parts = dict(zip(texts[::2], map(_statements, texts[1::2]), strict=True))
        assert tuple(parts) == PARTS
        return cls(parts, [])

    def run_on_primary(self, server: SandboxServer) -> Session:
        """Run what the release had seen; return the session, which may hold an XA transaction."""
        with server.session() as session:
            session.execute(f"CREATE DATABASE {SCHEMA}")
        session = server.session(SCHEMA)
        self.points = run_noting_points(session, server, self.parts["primary"])
        return session

    def run_on_secondary(self, primary: SandboxServer, secondary: SandboxServer) -> None:
        """Make the tables and the state schema that the release left."""
        with primary.session() as session:
            identity = read_facts(session).identity
        with secondary.session() as session:
            session.execute("SET SESSION foreign_key_checks=0")
            for schema, part in ((SCHEMA, "secondary"), (STATE_SCHEMA, "state")):
                session.execute(f"DROP DATABASE IF EXISTS {schema}")
                session.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
                session.execute(f"USE {schema}")
                for statement in self.parts[part]:
                    session.execute(self._filled(statement).replace("@identity@", identity))

    def transaction_gtid(self, number: int) -> str:
        """Return the GTID of a statement's own transaction. The set may hold more: those of other domains."""
        before, after = (set(self.points[n].gtid.split(",")) for n in (number - 1, number))
        (gtid,) = after - before
        return gtid

    def _filled(self, text: str) -> str:
        text = re.sub(r"@t(\d+)\.gtid@", lambda m: self.transaction_gtid(int(m[1])), text)
        return re.sub(r"@p(\d+)\.(\w+)@", lambda m: str(getattr(self.points[int(m[1])], m[2])), text)


def run_noting_points(
    session: Session, server: SandboxServer, statements: list[str], *, first: int = 1
) -> list[Position]:
    """Run statements on the primary; return the position before the first one and after each of them.

    Each has a time of its own, given by its number, of which `first` is the first one's: a saved position knows the
    time of its transaction.
    """
    with server.session() as other:
        facts = read_facts(other)
        points = [current_position(other, facts)]
        for number, statement in enumerate(statements, first):
            if statement not in _WITHOUT_TIME:
                session.execute(f"SET timestamp = {_FIRST_TIME + number}")
            session.execute(statement)
            points.append(current_position(other, facts))
    return points


def _statements(text: str) -> list[str]:
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
