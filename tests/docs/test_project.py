"""The documents about the project agree with its files."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import README, ROOT, fault, mentions

DOCUMENTS = [ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/release.md")]
_LINK = re.compile(r"\]\((?!http)([^)#]+)\)")
_PATH = re.compile(r"(?:^bash |`|, )((?:replica_cli|tests|examples|docs|\.ci)/[\w./-]*\w)", re.MULTILINE)


def test_the_files_that_they_name_exist() -> None:
    named = [(d, d.parent / name) for d in DOCUMENTS for name in _LINK.findall(d.read_text())]
    named += [(d, ROOT / name) for d in DOCUMENTS for name in _PATH.findall(d.read_text())]
    assert len(named) > 20
    assert [f"{d.name}: {path.relative_to(ROOT)}" for d, path in named if not path.exists()] == []


def test_the_commands_that_they_mention_exist() -> None:
    wrong = [(d.name, m, reason) for d in DOCUMENTS for m in mentions(d.read_text()) if (reason := fault(m))]
    assert wrong == []


def test_the_readme_links_them() -> None:
    links = set(_LINK.findall(README.read_text()))
    assert {str(d.relative_to(ROOT)) for d in DOCUMENTS} <= links


def test_each_package_has_its_row_where_things_go() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things go")[2].partition("## How to add")[0]
    assert "docs/development.md#architecture" in guide
    text = (ROOT / "docs" / "development.md").read_text().partition("## Architecture")[2].partition("```text")[2]
    rows = text.partition("```")[0].splitlines()
    packages = {path.parent.name for path in (ROOT / "replica_cli").glob("*/__init__.py")}
    assert packages
    assert sorted(p for p in packages if not any(re.search(rf"(^| ){p}/ ", row) for row in rows)) == []


def test_the_hooks_run_what_ci_runs() -> None:
    yaml = pytest.importorskip("yaml")
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    script = (ROOT / "tests" / "run.sh").read_text()
    steps = re.findall(r"^ *step (\.venv/bin/(?!python -m pytest).*)$", script, re.MULTILINE)
    assert steps
    assert sorted(hook["entry"] for hook in repository["hooks"]) == sorted(steps)
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert [entry for entry in released if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", entry)] == []
