"""The status page of a real stream: it shows faults when they are made, and steers the stream."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until
from tests.support.http import LISTEN, TOKEN, Client, with_token

if TYPE_CHECKING:
    from tests.support.browser import Browser
    from tests.support.command import Replica, Running


@pytest.fixture
def stream(replica: Replica) -> Running:
    with_token(replica)
    replica.settings |= {"REPLICA_HEARTBEAT": "500ms", "REPLICA_READ_TIMEOUT": "3s", "REPLICA_MAX_LAG": "2s"}
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    replica.run("transfer")
    running = replica.stream(*LISTEN)
    replica.wait_until_applied(running)
    return running


def lag(browser: Browser) -> float:
    """Return the lag that the page shows, in seconds."""
    text = browser.text(".lag strong")
    minutes = re.search(r"(\d+) min", text)
    seconds = re.search(r"([\d.]+) s", text)
    return 60 * int(minutes[1] if minutes else 0) + float(seconds[1] if seconds else 0)


def highest(browser: Browser) -> int:
    """Return how high the curve's last point is, in percent of the chart."""
    points = browser.run("return document.querySelector('.chart .line').getAttribute('d')")
    return 96 - round(float(points.rpartition(",")[2])) if points else 0


def test_a_lag_that_a_locked_row_causes_is_seen_to_grow(browser: Browser, replica: Replica, stream: Running) -> None:
    browser.open(Client(stream).url)
    wait_until(lambda: "caught up" in browser.text("article"), "the page to show the stream")
    with replica.secondaries["db1"].session(database=replica.schema) as session:
        session.begin()
        session.rows("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        replica.on_primary("UPDATE t SET v = 2 WHERE id = 1")
        wait_until(lambda: lag(browser) > 3, "a lag that grows")
        wait_until(lambda: "streaming, behind" in browser.text("article .pill"), "the alarm")
        wait_until(lambda: "a row lock" in browser.text("article .note"), "what it waits for")
        wait_until(lambda: highest(browser) > 30, "the curve to rise")
        session.rollback()
    wait_until(lambda: lag(browser) < 2, "the lag to be small again")
    assert browser.console() == []
    assert stream.end(signal.SIGTERM).code == 0


def test_a_secondary_that_is_frozen_is_not_shown_as_good(browser: Browser, replica: Replica, stream: Running) -> None:
    browser.open(Client(stream).url)
    wait_until(lambda: "caught up" in browser.text("article"), "the page to show the stream")
    pid = replica.secondaries["db1"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        replica.on_primary("UPDATE t SET v = 3 WHERE id = 1")
        wait_until(lambda: browser.text("article .pill") not in {"caught up", "streaming"}, "the fault to be shown")
        wait_until(lambda: lag(browser) > 2 or "no lag" in browser.text(".lag span"), "a lag that grows or is unknown")
    finally:
        os.kill(pid, signal.SIGCONT)
    replica.wait_until_applied(stream)
    wait_until(lambda: "caught up" in browser.text("article .pill"), "the stream to be well again", 90)
    assert browser.console() == []
    replica.assert_equal()


def test_pause_and_resume_work(browser: Browser, replica: Replica, stream: Running) -> None:
    browser.open(Client(stream).url)
    wait_until(lambda: "caught up" in browser.text("article"), "the page to show the stream")
    browser.one("#token summary").click()
    browser.one("#token-field").send_keys(TOKEN)
    browser.one("#token-form button[type=submit]").click()
    wait_until(lambda: browser.text("article button") == "Pause", "the button")
    browser.one("article button").click()
    wait_until(lambda: browser.text("article .pill") == "paused", "the pause")
    wait_until(lambda: browser.text("#said") == "db1: paused", "the answer")
    # Only the answer says that the pause is in the state schema: the page knows a new phase before the heartbeat does.
    assert replica.run("position", "show", "--json").document["secondaries"][0]["phase"] == "paused"
    wait_until(lambda: browser.text("article button:enabled") == "Resume", "the other button")
    browser.one("article button").click()
    wait_until(lambda: browser.text("article .pill") in {"streaming", "caught up"}, "the stream to go on")
    replica.wait_until_applied(stream)
    assert browser.console() == []
    assert stream.end(signal.SIGTERM).code == 0
