"""Make the dumps with an older release: `python -m tests.engine.state_dumps.make FOLDER`, a folder with its source."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.mysql.facts import read_facts
from replica_cli.sandbox.sandbox import Sandbox
from tests.engine.state_dumps.dumps import FOLDER, INSTANCE, SCHEMA, STATE_SCHEMA, run_noting_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

_TWO_TABLES = [
    "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)",
    "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
    "CREATE TABLE u (id INT PRIMARY KEY, v INT NOT NULL)",
    "INSERT INTO u VALUES (1, 1), (2, 2)",
]
_LATER = ["INSERT INTO t VALUES (10, 10)", "UPDATE t SET v = v + 1 WHERE id = 1", "INSERT INTO u VALUES (10, 10)"]


class Maker:
    """Two servers, the older release between them, and what was run on the primary."""

    def __init__(self, sandbox: Sandbox, source: Path) -> None:
        self.primary, self.secondary = sandbox.start(name="primary"), sandbox.start(name="secondary")
        self.source = source
        self.application = self._session(self.primary)
        self.statements: list[str] = []
        self.points: list[Position] = []

    def _session(self, server: SandboxServer) -> Session:
        with server.session() as session:
            session.execute(f"CREATE DATABASE {SCHEMA}")
        return server.session(SCHEMA)

    def on_primary(self, *statements: str) -> None:
        first = len(self.statements) + 1
        points = run_noting_points(self.application, self.primary, list(statements), first=first)
        self.points += points[bool(self.points) :]
        self.statements += statements

    def on_secondary(self, *statements: str) -> None:
        with self.secondary.session(SCHEMA) as session:
            for statement in statements:
                session.execute(statement)

    def state(self, query: str) -> list[tuple[object, ...]]:
        with suppress(Exception), self.secondary.session(STATE_SCHEMA) as session:
            return [tuple(row) for row in session.rows(query)]
        return []

    def wait_for(self, query: str) -> None:
        deadline = time.monotonic() + 60
        while not self.state(query):
            assert time.monotonic() < deadline, query
            time.sleep(0.001)  # noqa: TID251 - a program's own loop

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of the older release."""
        address = self.primary.address()
        environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251 - passed on
            "PYTHONPATH": str(self.source),
            "MARIA_PRIMARY_HOST": "127.0.0.1",
            "MARIA_PRIMARY_PORT": str(address.port),
            "MARIA_USER": address.user,
            "MARIA_PASS": address.password.reveal(),
            "MARIA_SECONDARY_HOSTS": "127.0.0.1",
            "MARIA_SECONDARY_PORTS": str(self.secondary.port),
            "MARIA_SECONDARY_NAMES": INSTANCE,
            "REPLICA_SCHEMAS": SCHEMA,
            "REPLICA_STATE_SCHEMA": STATE_SCHEMA,
            "REPLICA_PROGRESS_FOLDER": "/tmp",
            "TRANSFER_BATCH_SIZE": "20",
            "TRANSFER_WORKERS": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "replica_cli", *words], env=environment, cwd=self.source, start_new_session=True
        )

    def run(self, *words: str, code: int = 0) -> None:
        """Run a command of the older release to its end."""
        assert self.start(*words).wait(120) == code, words

    @contextmanager
    def killing(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command, and kill it with all of its processes at the end."""
        process = self.start(*words)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        others = "FROM information_schema.processlist WHERE command <> 'Daemon' AND id <> CONNECTION_ID()"
        self.wait_for(f"SELECT 1 FROM (SELECT COUNT(*) AS n {others}) AS p WHERE n = 0")


def copied(maker: Maker) -> list[str]:
    """A first copy is done, and nothing was streamed: the tables are inside their replay windows."""
    later = mid_transfer(maker)
    # `big` must not get other rows than `_rows` can write.
    maker.on_primary(
        "UPDATE t SET v = 30 WHERE id = 3", "DELETE FROM u WHERE id = 2", "DELETE FROM big WHERE id = 5000"
    )
    maker.run("transfer", "--resume")
    return later


def streaming(maker: Maker) -> list[str]:
    """A stream has caught up, and was stopped."""
    maker.on_primary(*_TWO_TABLES)
    maker.run("transfer")
    maker.on_primary("INSERT INTO t VALUES (4, 4)", "DELETE FROM u WHERE id = 2")
    maker.run("stream", "--until-caught-up")
    return _LATER


def mid_transfer(maker: Maker) -> list[str]:
    """A first copy was killed in the middle of a table."""
    maker.on_primary(
        *_TWO_TABLES,
        "CREATE TABLE big (id INT PRIMARY KEY, v INT NOT NULL)",
        "INSERT INTO big SELECT seq, seq * 7 FROM seq_1_to_5000",
    )
    with maker.killing("transfer"):
        maker.wait_for("SELECT 1 FROM transfer_progress WHERE table_name = 'big' AND row_count > 500")
    return [*_LATER, "UPDATE big SET v = v + 1 WHERE id IN (7, 4999)", "DELETE FROM big WHERE id = 8"]


def catching_up(maker: Maker) -> list[str]:
    """A stream was killed while a table that was copied again was catching up."""
    streaming(maker)
    with maker.killing("stream"):
        maker.wait_for("SELECT 1 FROM stream_status WHERE phase = 'caught_up'")
        asking = maker.start("transfer", "--yes", "--secondary", INSTANCE, "--table", f"{SCHEMA}.t")
        maker.wait_for("SELECT 1 FROM table_status WHERE state = 'joining'")
        os.killpg(asking.pid, signal.SIGKILL)
        asking.wait()
    return _LATER


def quarantined(maker: Maker) -> list[str]:
    """A row was missing on the secondary, so that its table is quarantined."""
    streaming(maker)
    maker.on_secondary("DELETE FROM u WHERE id = 1")
    maker.on_primary("INSERT INTO t VALUES (5, 5)", "UPDATE u SET v = 9 WHERE id = 1", "INSERT INTO t VALUES (6, 6)")
    maker.run("stream", "--until-caught-up", code=3)
    return _LATER


def xa_prepared(maker: Maker) -> list[str]:
    """An XA transaction is prepared on the primary, and was streamed."""
    streaming(maker)
    maker.on_primary("XA START 'x1'", "INSERT INTO t VALUES (20, 20)", "UPDATE u SET v = 8 WHERE id = 1")
    maker.on_primary("XA END 'x1'", "XA PREPARE 'x1'")
    maker.run("stream", "--until-caught-up")
    return ["XA COMMIT 'x1'", "UPDATE t SET v = 21 WHERE id = 20"]


def statement_begun(maker: Maker) -> list[str]:
    """The stream was killed after it had noted a statement, and before the statement ran."""
    return _killed_at_a_statement(maker, runs=False)


def statement_run(maker: Maker) -> list[str]:
    """The stream was killed after a statement had run, and before the position after it was saved."""
    return _killed_at_a_statement(maker, runs=True)


def _killed_at_a_statement(maker: Maker, *, runs: bool) -> list[str]:
    streaming(maker)
    with maker.secondary.session(SCHEMA) as holding:
        holding.execute("START TRANSACTION")
        holding.rows("SELECT * FROM t")
        maker.on_primary("ALTER TABLE t ADD COLUMN w INT NOT NULL DEFAULT 5", "INSERT INTO t VALUES (7, 7, 7)")
        process = maker.start("stream")
        maker.wait_for("SELECT 1 FROM ddl_intent")
        waiting = "FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'"
        maker.wait_for(f"SELECT 1 {waiting}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not runs:
            for (number,) in maker.state(f"SELECT id {waiting}"):
                maker.on_secondary(f"KILL {number}")
            maker.wait_for(f"SELECT 1 FROM (SELECT COUNT(*) AS n {waiting}) AS w WHERE n = 0")
        holding.execute("COMMIT")
    if runs:
        maker.wait_for("SELECT 1 FROM information_schema.columns WHERE column_name = 'w' AND table_schema = 'upgraded'")
    return ["INSERT INTO t VALUES (8, 8, 8)", "INSERT INTO u VALUES (10, 10)"]


SCENES: tuple[Callable[[Maker], list[str]], ...] = (
    copied, streaming, mid_transfer, catching_up, quarantined, xa_prepared, statement_begun, statement_run
)  # fmt: skip


def _dump(maker: Maker, scene: Callable[[Maker], list[str]], release: str) -> str:
    later = scene(maker)
    parts = {
        "primary": maker.statements,
        "secondary": _tables(maker, SCHEMA),
        "state": [_named(maker, statement) for statement in _tables(maker, STATE_SCHEMA)],
        "later": later,
    }
    texts = ("".join(f"{statement};\n" for statement in statements) for statements in parts.values())
    head = f"-- {scene.__doc__}\n-- Made by replica {release}; README.md says how.\n"
    return head + "".join(f"-- part: {name}\n{text}" for name, text in zip(parts, texts, strict=True))


def _tables(maker: Maker, schema: str) -> list[str]:
    with maker.secondary.session(schema) as session:
        statements = []
        for (table,) in session.rows(f"SHOW TABLES FROM {schema}"):
            ((_, create),) = session.rows(f"SHOW CREATE TABLE {table}")
            statements.append(str(create))
            columns = [str(row[0]) for row in session.rows(f"SHOW COLUMNS FROM {table}")]
            statements += _rows(session, str(table), columns)
        return statements


def _rows(session: Session, table: str, columns: list[str]) -> list[str]:
    keys = ", ".join(columns[:3])
    rows = session.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {keys}")
    if len(rows) > 100:
        assert rows == [(n, n * 7) for n in range(1, len(rows) + 1)]
        return [f"INSERT INTO {table} SELECT seq, seq * 7 FROM seq_1_to_{len(rows)}"]
    return [
        f"INSERT INTO {table} SET "
        + ", ".join(f"{name}={_literal(value)}" for name, value in zip(columns, row, strict=True))
        for row in rows
    ]


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _named(maker: Maker, statement: str) -> str:
    """Return a row of the state with names in place of the positions, and of the primary's identity."""
    with maker.primary.session() as session:
        statement = statement.replace(f"'{read_facts(session).identity}'", "'@identity@'")
    statement = re.sub("holder='[^']*'", "holder='host:1'", statement)
    for number, point in enumerate(maker.points):
        place = re.compile(rf"(\w*)file='{re.escape(point.file)}', (\w*)pos={point.pos}\b")
        statement = place.sub(rf"\1file='@p{number}.file@', \2pos=@p{number}.pos@", statement)
        statement = re.sub(rf"gtid='{re.escape(point.gtid)}'", f"gtid='@p{number}.gtid@'", statement)
    # What names a transaction has the position where it begins and, in place of a GTID set, the transaction's own GTID.
    statement = re.sub(
        r"(pos=@p(\d+)\.pos@, \w*gtid=')@p(\d+)(?=\.gtid@)",
        lambda m: m[0] if m[2] == m[3] else f"{m[1]}@t{m[3]}",
        statement,
    )
    unnamed = re.findall(r"\w*file='[^@'][^']*'|\w*gtid='[^@'][^']*'", statement)
    assert not unnamed, (unnamed, statement, maker.points)
    return statement


def main() -> None:
    """Make all dumps, each on new servers."""
    source = Path(sys.argv[1]).resolve()
    release = sys.argv[2]
    wanted = sys.argv[3:]
    for scene in SCENES:
        if wanted and scene.__name__ not in wanted:
            continue
        with Sandbox() as sandbox:
            text = _dump(Maker(sandbox, source), scene, release)
        (FOLDER / f"{scene.__name__}.sql").write_text(text)
        print(scene.__name__)


if __name__ == "__main__":
    main()
