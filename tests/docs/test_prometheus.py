"""The samples for Prometheus and Grafana: they are accepted by promtool, and name metrics and pages that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from replica_cli.api import declared
from replica_cli.api.declared import METRICS, SHARED_LABELS
from replica_cli.api.textfile import textfile_table
from tests.docs.documents import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMETHEUS = ROOT / "examples" / "prometheus"
DASHBOARD = json.loads((ROOT / "examples" / "grafana" / "replica.json").read_text())
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
NAMES = {m.name for m in METRICS} | {declared.MEMORY, declared.DROPPED, declared.BUILD}
NAMES |= set(re.findall(r"`(replica_health_\w+)`", textfile_table()))
_TOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(_TOOL is None, reason="promtool is not installed (Debian: prometheus)")


def promtool(*words: str | Path, folder: Path = PROMETHEUS) -> str:
    assert _TOOL is not None
    ended = subprocess.run([_TOOL, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def metrics_in(expression: str) -> set[str]:
    names = set(re.findall(r"\breplica_\w+", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in NAMES else name for name in names}


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_alerts() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")


@needs_promtool
def test_the_alerts_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tested = (PROMETHEUS / "alerts_test.yml").read_text()
    assert [rule["alert"] for rule in RULES if f"alertname: {rule['alert']}" not in tested] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_names_metrics_a_command_and_a_page(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= NAMES
    annotations = rule["annotations"]
    page, _, heading = annotations["runbook_url"].removeprefix("file:///opt/replica/docs/").partition("#")
    text = (DOCS / page).read_text()
    headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in text.splitlines()}
    assert not heading or heading in headings
    assert annotations["summary"]
    assert annotations["command"]


def test_the_dashboard_asks_for_metrics_and_labels_that_exist() -> None:
    asked = [metrics_in(query) for query in queries()]
    assert len(asked) > 25
    assert set().union(*asked) <= NAMES
    labels = {*SHARED_LABELS, "le", "process", *(label for m in METRICS for label in m.labels)}
    for query in queries():
        for name in re.findall(r"(\w+)=~?\"", query):
            assert name in labels, query


@needs_promtool
def test_prometheus_can_read_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    # A query is checked as the expression of a rule. Grafana puts the interval in.
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert "SUCCESS" in promtool("check", "rules", "queries.yml", folder=tmp_path)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
