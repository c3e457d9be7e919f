"""A full disk of a server is waited for, whichever file has no space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.sandbox.binaries import Flavour, ServerBinary
from replica_cli.sandbox.sandbox import Sandbox
from tests.torture.disk import make_small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.torture.disk import SmallDisk

TABLES = (
    "CREATE DATABASE d",
    "USE d",
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)",
    "INSERT INTO t (b) VALUES (REPEAT('x', 100000))",
)
WITHOUT_SPACE = (
    "CREATE TABLE another (id INT PRIMARY KEY)",
    "CREATE TABLE alike LIKE t",
    "ALTER TABLE t MODIFY b MEDIUMBLOB NOT NULL",
    "ALTER TABLE t ADD KEY (b(10))",
    "ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5 FIRST, ALGORITHM = COPY",
    "TRUNCATE TABLE t",
)


@pytest.fixture
def small(server_binary: ServerBinary) -> Iterator[tuple[Session, SmallDisk]]:
    """Give a session on a server, and its small disk."""
    with Sandbox() as sandbox:
        server = sandbox.add(server_binary, options={"skip-log-bin": None})
        disk = make_small_disk(server.folder, 512 if server_binary.flavour is Flavour.MYSQL else 320)
        if disk is None:
            pytest.skip("no small disk can be mounted here")
        try:
            server.start()
            with server.session() as session:
                for statement in TABLES:
                    session.execute(statement)
                yield session, disk
        finally:
            server.remove()
            disk.close()


def test_definitions_that_find_no_space_are_waited_for(small: tuple[Session, SmallDisk]) -> None:
    session, disk = small
    for statement in WITHOUT_SPACE:
        # Each time: the server may have deleted a file of its own, such as one of the redo log.
        disk.fill()
        with pytest.raises(ServerError) as refused:
            session.execute(statement)
        assert refused.value.remedy is Remedy.WAIT, f"{statement}: {refused.value}"
