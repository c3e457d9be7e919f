"""The checks of settings together, with what holds for each secondary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.config.loading import read_configuration
from replica_cli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from replica_cli.core.settings import Settings

NOWHERE = Path("no such folder/.env")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "x.pem"
    path.touch()
    return path


def read(folder: Path, text: str) -> tuple[Settings, tuple[str, ...]]:
    path = folder / "replica.yaml"
    path.write_text(text)
    configuration = read_configuration(None, {}, NOWHERE, path)
    return configuration.settings, configuration.warnings


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    return [problem.removeprefix(f"{folder}/replica.yaml:") for problem in caught.value.problems]


def test_what_a_secondary_gives_is_checked_with_what_holds_for_all(tmp_path: Path, pem: Path) -> None:
    settings, _ = read(
        tmp_path,
        f"""
secondaries:
- {{host: a, retry: {{delay: 2m}}, tls: {{key: {pem}}}}}
retry: {{delay_limit: 10m}}
secondary_tls: {{cert: {pem}}}
""",
    )
    assert settings.of("a:3306").retry.delay == 120
    assert settings.secondaries[0].tls.cert == pem


def test_a_limit_of_one_secondary_may_be_below_the_delay_of_all(tmp_path: Path) -> None:
    text = "secondaries:\n- {host: a, retry: {delay_limit: 10s}}\nretry: {delay: 30s}\n"
    assert problems(tmp_path, text) == ["3: retry.delay: is longer than secondaries[0].retry.delay_limit"]


def test_what_is_wrong_for_all_is_said_once(tmp_path: Path) -> None:
    text = "secondaries:\n- {host: a, retry: {attempts: 2}}\nretry: {delay: 2m}\n"
    assert problems(tmp_path, text) == ["3: retry.delay: is longer than REPLICA_RETRY_DELAY_LIMIT"]


def test_an_authority_of_one_secondary_that_is_not_used_is_a_warning(tmp_path: Path, pem: Path) -> None:
    _, warnings = read(
        tmp_path, f"secondaries:\n- {{host: a, tls: {{ca: {pem}}}}}\nsecondary_tls: {{mode: required}}\n"
    )
    assert len(warnings) == 1
    assert "secondaries[0].tls.ca: is not used, because secondary_tls.mode=required" in warnings[0]


def test_an_address_that_is_there_twice_is_named_at_its_second_place(tmp_path: Path) -> None:
    text = "secondaries:\n- {host: a}\n- {host: b, name: x}\n- {host: B, name: y}\n- {host: b, name: z}\n"
    assert problems(tmp_path, text) == ["4: secondaries[2].host: B:3306 is named 3 times"]


def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    text = "secondaries:\n- {host: a, tls: {ca: gone.pem}}\n- {host: b}\nprimary: {tls: {ca: also.pem}}\n"
    assert problems(tmp_path, text) == [
        f"2: secondaries[0].tls.ca: {tmp_path}/gone.pem: No such file or directory",
        f"4: primary.tls.ca: {tmp_path}/also.pem: No such file or directory",
    ]


def test_connections_are_counted_with_the_workers_of_each_secondary(tmp_path: Path) -> None:
    settings, _ = read(tmp_path, "secondaries: [{host: a, transfer: {workers: 32}}, {host: b}]\ntransfer: {workers: 4}")
    assert settings.primary_sessions.most == 2 * 6 + 2 * (32 + 4)
    # The worker of one secondary counts the same.
    assert settings.of("a:3306").primary_sessions == settings.of("b:3306").primary_sessions == settings.primary_sessions
    assert settings.of("a:3306").secondary_sessions.most == 9 + 3 * 32
    assert settings.primary_sessions.workers_for(12 + 4 * 10) == 10


def test_a_rule_may_give_row_images_back_to_a_table(tmp_path: Path) -> None:
    text = "secondaries: [{host: a}]\napply: {engine: sql}\n"
    assert read(tmp_path, text)[0].apply.is_sql_only
    assert not read(tmp_path, text + "rules: [{tables: replica.t, engine: auto}]\n")[0].apply.is_sql_only
