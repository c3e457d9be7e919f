"""Chromium without a window, driven by selenium: what its console says, and what a page looks like."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pictures import small_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement


class Browser:
    """One tab."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = 1280, height: int = 900, is_dark: bool = False) -> None:
        """Load a page in a window of a size, in light or dark."""
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get(url)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that are shown."""
        return [each for each in self.driver.find_elements("css selector", selector) if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """Return the only element that is shown."""
        (found,) = self.all(selector)
        return found

    def text(self, selector: str) -> str:
        """Return the text of an element, empty if it is not shown."""
        return " ".join(each.text for each in self.all(selector))

    def run(self, script: str) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script)

    def console(self) -> list[str]:
        """Return the errors and warnings that the console got since the last call."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        size = self._tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self._tell("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(small_png(base64.b64decode(answer["data"])))

    def _tell(self, command: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, values)


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("there is no chromium with its chromedriver (Debian: apt-get install chromium chromium-driver)")
    from selenium.webdriver import Chrome, ChromeOptions  # noqa: PLC0415 - slow to load, and most tests need no browser
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415 - as above

    options = ChromeOptions()
    options.binary_location = chromium
    for option in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With its path given, selenium looks for no driver and loads none.
    driver = Chrome(options=options, service=Service(executable_path=chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def browser(_driver: Chrome) -> Browser:
    """Give a browser. The test is skipped if this machine has none."""
    made = Browser(_driver)
    made.open("about:blank")
    made.console()
    return made
