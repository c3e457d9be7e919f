"""Record whole binary logs of real servers, for the tests in this folder.

`python -m tests.unit.reader.capture` starts the servers that it finds and writes captured/<server>.json:
scene -> files -> events in base64, header and all.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import find_binaries
from replica_cli.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

FOLDER = Path(__file__).parent / "captured"
_SERVERS = ("mariadb:10.11", "mysql:9.7")
_LONG = "CONCAT(REPEAT('abc', 300), 'end')"
_LIFE = (
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    "START TRANSACTION",
    "UPDATE t SET v = 'ONE' WHERE id = 1",
    "SAVEPOINT s",
    "DELETE FROM t WHERE id = 2",
    "ROLLBACK TO s",
    "INSERT INTO u VALUES (7)",
    "COMMIT",
    "ALTER TABLE t ADD COLUMN w INT",
    "INSERT INTO my VALUES (5)",
    "INSERT INTO nothing.x VALUES (3)",
    "CREATE TABLE made AS SELECT id FROM t",
    "DROP TABLE made",
)
_SCENES: dict[str, tuple[str, ...]] = {
    "life": _LIFE,
    "xa": (
        "XA START 'a', 'b', 3",
        "INSERT INTO nothing.x VALUES (8)",
        "XA END 'a', 'b', 3",
        "XA PREPARE 'a', 'b', 3",
        "XA COMMIT 'a', 'b', 3",
        "XA START 'c'",
        "INSERT INTO t VALUES (9, 'x')",
        "XA END 'c'",
        "XA COMMIT 'c' ONE PHASE",
    ),
    "xa rows": (
        "XA START 'a'",
        "INSERT INTO t VALUES (10, 'x')",
        "XA END 'a'",
        "XA PREPARE 'a'",
        "XA ROLLBACK 'a'",
    ),
    "statement": ("SET SESSION binlog_format = STATEMENT", "INSERT INTO t (id, v) VALUES (20, 'x')"),
}
_FLAVOURED: dict[str, dict[str, tuple[str, ...]]] = {
    "mariadb": {
        "compressed": (
            "SET GLOBAL log_bin_compress = 1",
            "SET GLOBAL log_bin_compress_min_len = 10",
            "RECONNECT",
            f"INSERT INTO t VALUES (30, {_LONG})",
            f"UPDATE t SET v = CONCAT('z', {_LONG}) WHERE id = 30",
            "DELETE FROM t WHERE id = 30",
            "CREATE TABLE c (a INT COMMENT 'a long comment, a long comment, a long comment, a long comment')",
            "SET GLOBAL log_bin_compress = 0",
        ),
        "two phases": ("SET SESSION binlog_alter_two_phase = 1", "ALTER TABLE t ADD COLUMN z INT"),
    },
    "mysql": {
        "compressed": (
            "SET SESSION binlog_transaction_compression = ON",
            f"INSERT INTO t VALUES (30, {_LONG})",
            "START TRANSACTION",
            f"UPDATE t SET v = CONCAT('z', {_LONG}) WHERE id = 30",
            "DELETE FROM t WHERE id = 30",
            "COMMIT",
        ),
    },
}


def main() -> None:
    """Capture from every server that is found."""
    FOLDER.mkdir(exist_ok=True)
    with Sandbox() as sandbox:
        for binary in find_binaries():
            name = f"{binary.flavour}:{'.'.join(binary.version.split('.')[:2])}"
            if name in _SERVERS:
                server = sandbox.start(binary)
                scenes = {**_SCENES, **_FLAVOURED[str(binary.flavour)]}
                found = {scene: _capture(server, statements) for scene, statements in scenes.items()}
                found["no checksum"] = _capture(server, ("SET GLOBAL binlog_checksum = NONE", *_LIFE[:1]))
                (FOLDER / f"{name.replace(':', '-')}.json").write_text(json.dumps(found, indent=0) + "\n")
                print(name, {scene: sum(map(len, files.values())) for scene, files in found.items()})


def _capture(server: SandboxServer, statements: tuple[str, ...]) -> dict[str, list[str]]:
    session = _prepared(server)
    first = _files(session)[-1]
    for statement in statements:
        if statement == "RECONNECT":
            session.close()
            session = server.session("shop")
            continue
        session.execute(statement)
    names = _files(session)
    session.execute("FLUSH BINARY LOGS")
    session.execute("DROP DATABASE shop")
    session.execute("DROP DATABASE nothing")
    session.close()
    wanted = names[names.index(first) :]
    return {name: [base64.b64encode(e).decode() for e in _events(server, name)] for name in wanted}


def _prepared(server: SandboxServer) -> Session:
    session = server.session()
    for name in ("shop", "nothing"):
        session.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    session.execute("USE shop")
    session.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    session.execute("CREATE TABLE u (id INT PRIMARY KEY)")
    session.execute("CREATE TABLE my (id INT) ENGINE=MyISAM")
    session.execute("CREATE TABLE nothing.x (id INT PRIMARY KEY)")
    session.execute("FLUSH BINARY LOGS")
    return session


def _files(session: Session) -> list[str]:
    return [str(row[0]) for row in session.rows("SHOW BINARY LOGS")]


def _events(server: SandboxServer, name: str) -> list[bytes]:
    log = (server.data_path / name).read_bytes()
    events, at = [], 4
    while at < len(log):
        size = int.from_bytes(log[at + 9 : at + 13], "little")
        events.append(log[at : at + size])
        at += size
    return events


if __name__ == "__main__":
    main()
