"""What limits a stream: each part is named under a real fault, and nothing is while the lag is within its limit."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.command import Replica, Running
    from tests.support.proxy import Proxy

_ROW = "INSERT INTO t (v) VALUES (REPEAT(UUID(), 100))"


@pytest.fixture
def impatient(replica: Replica) -> Replica:
    """Give a command for which a lag of a second is too much, with a table that is copied."""
    replica.settings["REPLICA_MAX_LAG"] = "1s"
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)", _ROW)
    replica.run("transfer")
    return replica


def snapshot(replica: Replica) -> dict[str, Any]:
    ((text,),) = replica.state("SELECT snapshot FROM stream_status WHERE instance = 'db1'")
    found: dict[str, Any] = json.loads(text)
    return found


def shown(stream: Running) -> list[str | None]:
    """Return what the status lines have named so far, each change once."""
    named = [line["limiting_part"] for line in stream.lines if line["type"] == "status"]
    return [part for at, part in enumerate(named) if at == 0 or part != named[at - 1]]


def end_equal(replica: Replica, stream: Running, part: str) -> None:
    """Let the stream catch up: then nothing limits it any more. End it, and compare the servers."""
    replica.wait_until_applied(stream)
    wait_until(lambda: snapshot(replica)["phase"] == "caught_up", "the stream to catch up")
    wait_until(lambda: snapshot(replica)["limiting_part"] == "", "a stream that nothing limits")
    wait_until(lambda: shown(stream) == [None, part, None], "the status lines")
    assert stream.stderr.count("limited by") == 1  # the log has it once
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()


def test_a_slow_link_to_the_primary_is_named(impatient: Replica, proxy: Callable[[int], Proxy]) -> None:
    link = proxy(impatient.primary.port)
    impatient.settings["MARIA_PRIMARY_PORT"] = str(link.port)
    stream = impatient.stream("--json")
    impatient.wait_until_applied(stream)
    # Slower than a busy machine writes these 2 MB: the lag only grows, and does not go up and down around its limit.
    link.throttle(25_000)
    impatient.on_primary(*[_ROW] * 600)
    wait_until(lambda: "link" in shown(stream), "a status line that names the link")
    position = impatient.run("position", "show", "--json").document["secondaries"][0]
    assert position["limiting_part"] == "link"
    assert "limit    the link to the primary: " in impatient.run("position", "show").stdout
    assert "limited by the link to the primary: run replica nearer" in stream.stderr
    (lag,) = [c for c in impatient.start("health", "--json").end().document["checks"] if c["name"] == "lag"]
    assert "limited by the link to the primary" in lag["message"]
    assert lag["hint"].startswith("run replica nearer to the primary")
    link.throttle(0)
    end_equal(impatient, stream, "link")


def test_a_secondary_that_is_busy_or_locked_is_named(impatient: Replica) -> None:
    stream = impatient.stream("--json")
    impatient.wait_until_applied(stream)
    with impatient.secondaries["db1"].session(database=impatient.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        impatient.on_primary("UPDATE t SET v = 'changed' WHERE id = 1")
        wait_until(lambda: "secondary" in shown(stream), "a status line that names the secondary")
        session.rollback()
    end_equal(impatient, stream, "secondary")


@pytest.mark.servers("mariadb")  # only this flavour can block commits and nothing else
def test_slow_commits_are_named(impatient: Replica) -> None:
    stream = impatient.stream("--json")
    impatient.wait_until_applied(stream)
    with impatient.secondaries["db1"].session() as session:
        impatient.on_primary(*[_ROW] * 3)
        while "commit" not in shown(stream):
            for stage in ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"):
                session.execute(f"BACKUP STAGE {stage}")
            impatient.on_primary(*[_ROW] * 3)
            session.row("SELECT SLEEP(2)")
            session.execute("BACKUP STAGE END")
            assert stream.is_running
    end_equal(impatient, stream, "commit")
