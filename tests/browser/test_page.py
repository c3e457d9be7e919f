"""The status page in a real browser, with secondaries that are made up."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.api.board import Sample
from replica_cli.api.page import page
from replica_cli.core.status import (
    CopyProgress,
    CopyStatus,
    CopyStep,
    Phase,
    TableProgress,
    TableState,
    WorkerStatus,
)
from replica_cli.logs import Tag, log
from tests.docs.documents import DOCS
from tests.support.command import wait_until
from tests.unit.api.site import AT, STREAMING, TOKEN, serving_site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Browser
    from tests.unit.api.site import Site

logger = logging.getLogger("replica_cli.test")
HOSTILE = "shop.<img src=x onerror=\"document.title='hostile'\">"
WINDOWS = {"desktop": 1280, "tablet": 768, "phone": 360, "small phone": 320}

# The least contrast of the texts that are shown, by the formula of WCAG 2.
_CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgb(color) {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => [r, g, b].map((c) => linear(c / 255)).reduce(
  (sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
function background(node) {
  for (; node; node = node.parentElement) {
    const color = rgb(getComputedStyle(node).backgroundColor);
    if (color[3] === 255) return color;
  }
  return rgb("canvas");
}
let worst = [21, ""];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !node.checkVisibility() || node.disabled || node.closest("script, .unseen")) continue;
  const pair = [luminance(rgb(getComputedStyle(node).color)), luminance(background(node))].sort((a, b) => b - a);
  const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
  if (ratio < worst[0]) worst = [ratio, node.textContent.trim()];
}
return worst;
"""


def fill(site: Site) -> None:
    """Let one secondary be well, and another one have every trouble at once."""
    copying = TableProgress("shop.orders", 412_000, 1_200_000, 100, TableState.COPYING)
    indexes = TableProgress("shop.invoice", 98_000, 100_000, 100, TableState.COPYING, CopyStep.INDEXES, 3.0)
    progress = CopyProgress(
        "db3", (copying, indexes), 12.0, 34_000.0, totals=CopyStatus(7, 2, 512_000, 1_500_000, 34_000.0)
    )
    site.board.on_status(
        replace(STREAMING, position=replace(AT, pos=118_734_512), rows_per_second=948.2, transactions_per_second=211.7,
                rows_total=18_823_011)
    )  # fmt: skip
    site.board.on_status(
        WorkerStatus(
            "db3", Phase.STREAMING, replace(AT, file="binlog.000041"), 76.4, 0.1, 12_034.9, 2101.7, 8_823_011,
            quarantined=("shop.orders",), skipped_rows=1202, reconnects=2, transfer=progress,
            message="has waited for 12s with changes of shop.customers for a row lock of connection 41 (report@db7)",
        )
    )  # fmt: skip
    # After the snapshots: the server may take a sample in the middle of this, which must not be one of a start.
    now = time.time()
    for number in range(720):
        at = now - 3600 + 5 * number
        wave = 0.25 + 0.1 * math.sin(number * 1.7) + 0.06 * math.sin(number * 0.31)
        bump = 7 * math.sin((number - 240) / 50 * math.pi) if 240 < number < 290 else 0
        late = max(0.0, (number - 566) * 0.5)
        for name, lag in (("db2", wave + bump), ("db3", wave + late)):
            is_known = name == "db3" or not 430 < number < 444
            phase = Phase.STREAMING if is_known else Phase.RECONNECTING
            site.board._history[name].append(Sample(at, phase, lag if is_known else None, 900.0))
    log(logger, logging.INFO, Tag.SUCCESS, "caught up after 12.1 s", instance="db2")
    text = "the row of an UPDATE does not exist; `replica transfer --table shop.orders` copies the table again"
    log(logger, logging.ERROR, Tag.FAILURE, text, instance="db3", schema="shop", table="orders")
    log(logger, logging.WARNING, Tag.WARN, "waits with changes of shop.customers for a row lock of connection 41",
        instance="db3")  # fmt: skip


def open_page(browser: Browser, site: Site, *, width: int = 1280, is_dark: bool = False) -> None:
    browser.open(f"http://127.0.0.1:{site.port}/", width=width, is_dark=is_dark)
    wait_until(lambda: browser.text("#live") == "live", "the page to be filled")


def test_the_policy_allows_the_own_script_and_no_other(site: Site) -> None:
    html, policy = page()
    assert policy.count("sha256-") == 2
    assert site.get("/").headers["content-security-policy"] == policy
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in html
    assert "innerHTML" not in html


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_it_fits_each_window_and_can_be_read(window: str, browser: Browser, site: Site, *, is_dark: bool) -> None:
    fill(site)
    open_page(browser, site, width=WINDOWS[window], is_dark=is_dark)
    wait_until(lambda: "92 MiB" in browser.text("dd"), "the distances")
    assert browser.run("return document.documentElement.scrollWidth") <= WINDOWS[window]
    ratio, text = browser.run(_CONTRAST)
    assert ratio >= 4.5, f"{text!r} has a contrast of {ratio:.1f}"
    assert browser.console() == []


def test_each_secondary_is_a_card_with_what_is_to_be_known(browser: Browser, site: Site) -> None:
    fill(site)
    open_page(browser, site)
    good, bad = (each.text for each in browser.all("article"))
    for words in ("db2", "caught up", "0.4 s", "18,823,011", "binlog.000042:118734512"):
        assert words in good
    for words in (
        "streaming, behind", "above the limit of 1 min", "binlog.000041:1187", "row lock of connection 41",
        "Copy: 2 of 7 tables", "34 %", "indexes", "replica transfer --table shop.orders --secondary db3",
    ):  # fmt: skip
        assert words in bad
    assert "Quarantined" not in good
    labels = [each.get_attribute("aria-label") for each in browser.all(".chart svg")]
    assert labels[0] is not None
    assert labels[0].startswith("lag of db2: ")
    for each in browser.all(".chart .line"):
        assert (each.get_attribute("d") or "").count("L") > 600
    # The gap of db2: a reconnection.
    assert [(each.get_attribute("d") or "").count("M") for each in browser.all(".chart .line")] == [2, 1]
    assert "row of an UPDATE does not exist" in browser.text("#events")
    assert browser.run("return document.title") == "(1) replica"


def test_names_from_servers_are_text_and_never_markup(browser: Browser, site: Site) -> None:
    site.board.on_status(replace(STREAMING, quarantined=(HOSTILE,), message=HOSTILE))
    log(logger, logging.WARNING, Tag.WARN, "%s", HOSTILE, instance="db2")
    open_page(browser, site)
    wait_until(lambda: browser.text("#events").count(HOSTILE) == 1, "the event")
    assert browser.text("article").count("<img") == 3
    assert browser.run("return document.images.length") == 0
    assert browser.run("return document.title") == "(2) replica"
    assert browser.console() == []


def test_the_token_shows_buttons_and_pauses(browser: Browser, site: Site) -> None:
    site.board.on_status(STREAMING)
    open_page(browser, site)
    assert browser.all("article button") == []
    give_token(browser, "wrong-token-wrong-token")
    wait_until(lambda: browser.text("article button") == "Pause Pause", "the buttons")
    browser.all("article button")[0].click()
    wait_until(lambda: "token is missing or wrong" in browser.text("#said"), "the refusal")
    assert set(site.questions.asked) <= {"positions"}
    browser.console()  # the answer 401 is an error there
    give_token(browser, TOKEN)
    browser.all("article button")[0].click()
    wait_until(lambda: browser.text("#said") == "db2: paused", "the pause")
    assert [asked for asked in site.questions.asked if asked != "positions"] == ["pause db2"]
    site.board.on_status(replace(STREAMING, phase=Phase.PAUSED))
    wait_until(lambda: browser.text("article:first-child button") == "Resume", "the other button")
    # It is kept in this tab, and nowhere else.
    assert browser.run("return [sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert TOKEN not in browser.driver.current_url
    open_page(browser, site)
    wait_until(lambda: browser.text("article button") == "Resume Pause", "the buttons after loading again")
    browser.one("#token summary").click()
    browser.one("#token-forget").click()
    wait_until(lambda: browser.all("article button") == [], "the buttons to go")
    assert browser.run("return sessionStorage.length") == 0
    assert browser.console() == []


def give_token(browser: Browser, token: str) -> None:
    browser.one("#token summary").click()
    browser.one("#token-field").send_keys(token)
    browser.one("#token-form button[type=submit]").click()


def test_without_a_token_on_the_server_there_is_no_field(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    with serving_site(monkeypatch, replace(site.settings.http, token=None)) as other:
        open_page(browser, other)
        assert browser.all("#token") == []


def test_a_command_can_be_copied(browser: Browser, site: Site) -> None:
    site.board.on_status(replace(STREAMING, quarantined=("shop.orders",)))
    open_page(browser, site)
    browser.one(".command button").click()
    wait_until(lambda: browser.text("#said").startswith("The command is"), "the copy")


def test_old_data_are_marked_when_the_server_is_gone(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_site(monkeypatch) as other:
        other.board.on_status(STREAMING)
        open_page(browser, other)
    wait_until(lambda: browser.text("#live") == "stale", "the end of the server to be noticed")
    assert "The server does not answer. What is shown is from" in browser.text("#stale")
    assert "db2" in browser.text("article")


def test_pictures_of_the_page_are_small(browser: Browser, site: Site, tmp_path: Path) -> None:
    fill(site)
    is_wanted = bool(os.environ.get("REPLICA_TEST_WRITE_PICTURES"))  # noqa: TID251 - of a test
    folder = DOCS / "images" if is_wanted else tmp_path
    for name, width, is_dark in (("status-page-light", 1100, False), ("status-page-phone-dark", 360, True)):
        open_page(browser, site, width=width, is_dark=is_dark)
        wait_until(lambda: "92 MiB" in browser.text("dd"), "the distances")
        browser.picture(folder / f"{name}.png")
        assert 10_000 < (folder / f"{name}.png").stat().st_size < 80_000
