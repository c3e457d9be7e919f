from __future__ import annotations

import pytest
from typer.testing import CliRunner

from replica_cli.cli.app import app
from tests.docs.documents import PAGES, README, ROOT, fault, mentions, shell_lines, words_of

LINES = sorted({line for document in (README, *PAGES) for line in shell_lines(document)})
TEXTS = [
    README, *PAGES,
    *sorted((ROOT / "examples").rglob("*.*")), *sorted((ROOT / "replica_cli").rglob("*.py")),
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_every_shown_command_line_is_understood(line: str) -> None:
    result = CliRunner().invoke(app, [*words_of(line), "--help"])
    assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.parametrize("line", LINES)
def test_no_shown_command_line_is_refused_before_it_connects(
    line: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of(line)
    if words[0] in ("demo", "config", "--version", "--install-completion"):
        return
    # Nothing listens there: what is wrong with the options themselves comes first, with code 2.
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))
    settings = {
        "MARIA_PRIMARY_HOST": "127.0.0.1", "MARIA_PRIMARY_PORT": "1", "MARIA_SECONDARY_HOSTS": "127.0.0.1",
        "MARIA_SECONDARY_PORTS": "2", "MARIA_SECONDARY_NAMES": "db2", "REPLICA_CONNECT_TIMEOUT": "1s",
        "REPLICA_RECONNECT_ATTEMPTS": "1", "REPLICA_SCHEMAS": "shop",
    }  # fmt: skip
    if words[0] == "stream":
        return  # its workers are processes: see tests/flow
    words = [w for w in words if not w.startswith("/etc/")]
    words = [w for w in words if w != "--env-file"]
    if "--watch" in words:
        words += ["--count", "1"]  # it has no end of its own
    result = CliRunner().invoke(app, words, env=settings)
    assert result.exit_code in ((2, 3) if words[0] == "health" else (12, 13)), f"{line}\n{result.output}"


def test_commands_that_texts_and_hints_mention_exist() -> None:
    found = [(path, mention, fault(mention)) for path in TEXTS for mention in mentions(path.read_text())]
    assert len(found) > 50
    wrong = [f"{path.relative_to(ROOT)}: `{mention}`: {reason}" for path, mention, reason in found if reason]
    assert wrong == []
