"""A real Prometheus that scrapes commands each half second, with the alerts of the examples made quick."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml

from replica_cli.sandbox.process import free_port
from tests.docs.documents import ROOT
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_RULES = ROOT / "examples" / "prometheus" / "alerts.yml"
_CONFIGURATION = ROOT / "examples" / "prometheus" / "prometheus.yml"
_PATIENCE_SECONDS = 90.0

Quicker = tuple[str, str]


def needs(program: str) -> pytest.MarkDecorator:
    """Return the mark of tests that need a program of Debian's packages."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed (Debian: {program})")


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self._port = port

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire."""
        alerts: list[dict[str, Any]] = self._get("/api/v1/alerts")["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]

    def firing(self, **labels: str) -> set[str]:
        """Return the names of the alerts that fire with these labels."""
        return {a["labels"]["alertname"] for a in self.alerts() if labels.items() <= a["labels"].items()}

    def wait_for(self, alert: str, **labels: str) -> dict[str, Any]:
        """Wait until an alert fires, and return it."""
        self._wait(lambda: alert in self.firing(**labels), f"{alert} {labels}")
        return next(
            a for a in self.alerts() if a["labels"]["alertname"] == alert and labels.items() <= a["labels"].items()
        )

    def wait_until_quiet(self, *, except_for: Sequence[str] = ()) -> None:
        """Wait until no alert fires but those that are named."""
        self._wait(lambda: not self.firing() - {*except_for}, "no alert")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, what, _PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; these fire: {self.firing()}") from None

    def value(self, query: str) -> float | None:
        """Return the value of a query with one result, None if there is none."""
        result = self._get(f"/api/v1/query?query={quote(query)}")["result"]
        return float(result[0]["value"][1]) if result else None

    def names(self) -> set[str]:
        """Return the names of all metrics that were scraped."""
        return set(self._get("/api/v1/label/__name__/values"))

    def wait_for_value(self, query: str) -> float:
        """Wait until a query has a result."""
        wait_until(lambda: self.value(query) is not None, query)
        return self.value(query) or 0.0

    def _get(self, path: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())["data"]
        finally:
            connection.close()


def quick_rules(quicker: Mapping[str, Sequence[Quicker]]) -> dict[str, Any]:
    """Return the alerts of the examples without their waits, and with texts of their expressions replaced.

    Args:
        quicker: by alert, pairs of a text in its expression and what it becomes: shorter times and smaller limits, so
            that a fault of seconds is enough.

    """
    rules: dict[str, Any] = yaml.safe_load(_RULES.read_text())
    known = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    for rule in known.values():
        rule["for"] = "0s"
    for alert, pairs in quicker.items():
        for old, new in pairs:
            assert old in known[alert]["expr"], (alert, old)
            known[alert]["expr"] = known[alert]["expr"].replace(old, new)
    return rules


@contextmanager
def scraping(
    folder: Path, targets: Mapping[str, int], quicker: Mapping[str, Sequence[Quicker]] | None = None
) -> Iterator[Prometheus]:
    """Give a Prometheus with the configuration of the examples, which scrapes other ports.

    Args:
        folder: an empty folder.
        targets: by job of the configuration, the port on loopback. Other jobs are left out.
        quicker: see `quick_rules`.

    """
    configuration = yaml.safe_load(_CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms", "scrape_timeout": "500ms"}
    configuration["scrape_configs"] = [
        job | {"static_configs": [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]}
        for job in configuration["scrape_configs"]
        if job["job_name"] in targets
    ]
    assert len(configuration["scrape_configs"]) == len(targets)
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    (folder / "alerts.yml").write_text(yaml.safe_dump(quick_rules(quicker or {})))
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        prometheus = Prometheus(port)
        wait_until(lambda: _is_ready(port, process), "Prometheus")
        yield prometheus
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(folder / 'log').read_text()[-2000:]}") from None
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def node_exporter(folder: Path) -> Iterator[int]:
    """Give the port of a node exporter that reads text files of a folder."""
    port = free_port()
    process = subprocess.Popen(
        ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
         f"--collector.textfile.directory={folder}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"Prometheus ended with {process.returncode}"
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        time.sleep(0.1)  # noqa: TID251 - a test's own loop
        return False
    finally:
        connection.close()
