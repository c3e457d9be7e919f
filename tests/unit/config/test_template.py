"""The commented file of `config init`: it gives the same settings as its sources, and has no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from replica_cli.config.catalogue import all_settings
from replica_cli.config.loading import gather, load_settings
from replica_cli.config.template import template

NOWHERE = Path("no such folder/.env")


def written(environ: dict[str, str]) -> str:
    return template(gather(None, environ, NOWHERE, None).layers, environ)


@pytest.mark.parametrize(
    "environ",
    [
        {"MARIA_SECONDARY_HOSTS": "db2"},
        {
            "MARIA_SECONDARY_HOSTS": "a,b", "MARIA_SECONDARY_NAMES": "x y,*", "MARIA_SECONDARY_PORTS": "1,2",
            "MARIA_USER": "r: #${x}", "REPLICA_SCHEMAS": "*, a:b", "REPLICA_TABLES": "a.*,b.?", "GRAYLOG_ENABLED": "no",
            "REPLICA_BATCH_AGE": "1s", "LOCAL_PROJECT_NAME": "null", "REPLICA_PROGRESS_FOLDER": "/tmp",
        },
    ],
)  # fmt: skip
def test_the_file_alone_gives_the_same_settings(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "replica.yaml").write_text(written(environ))
    assert load_settings(None, {}, NOWHERE, tmp_path / "replica.yaml") == load_settings(None, environ, NOWHERE)


def test_secrets_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("geheim-1")
    environ = {"MARIA_SECONDARY_HOSTS": "a", "MARIA_PASS_FILE": str(file), "MARIA_SECONDARY_PASSWORDS": "geheim-2"}
    text = written(environ)
    assert "geheim" not in text
    assert f"password: file:{file}" in text
    (tmp_path / "replica.yaml").write_text(text)
    rest = {"MARIA_SECONDARY_PASSWORDS": "geheim-2"}
    assert load_settings(None, rest, NOWHERE, tmp_path / "replica.yaml") == load_settings(None, environ, NOWHERE)
    assert "password: ${MARIA_PASS}" in written({"MARIA_PASS": "geheim-3"})


def test_a_configuration_file_is_not_a_source_of_the_one_that_is_written(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("rules: [{tables: replica.a, ddl: stop}]\nserver_id: 7\n")
    layers = gather(None, {"REPLICA_CONFIG": str(file)}, NOWHERE, None, reads_file=False).layers
    assert "#server_id: 100" in template(layers, {})


def test_each_setting_is_in_a_file_made_from_nothing() -> None:
    text = written({})
    for setting in all_settings():
        if setting.variable:
            assert f"#{setting.path[-1]}:" in text, setting.name
    assert "#secondaries:" in text


def test_many_secondaries_keep_their_order(tmp_path: Path) -> None:
    environ = {"MARIA_SECONDARY_HOSTS": ",".join(f"h{n}" for n in range(12))}
    (tmp_path / "replica.yaml").write_text(written(environ))
    settings = load_settings(None, {}, NOWHERE, tmp_path / "replica.yaml")
    assert [s.host for s in settings.secondaries] == [f"h{n}" for n in range(12)]


@pytest.mark.parametrize("text", ["a\x7fb", "a\x85b", "a\u2028b", "a\u00a0b", "\U000e0001", "\U0001f600", "é", "\x1b"])
def test_a_character_that_cannot_be_printed_stays_the_same(text: str, tmp_path: Path) -> None:
    environ = {"MARIA_SECONDARY_HOSTS": "a", "LOCAL_PROJECT_NAME": f"<{text}>"}
    (tmp_path / "replica.yaml").write_text(written(environ))
    assert load_settings(None, {}, NOWHERE, tmp_path / "replica.yaml").logging.project == f"<{text}>"


def test_what_cannot_be_read_is_known_before_the_file_is_written(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("REPLICA_EXCLUDE_TABLES='shop.a\n")
    environ = {"LOCAL_PROJECT_NAME": "a\udcff", "MARIA_SECONDARY_HOSTS": "a,b", "MARIA_SECONDARY_PORTS": "1"}
    first, second, third = gather(None, environ, dotenv, None).unreadable
    assert "REPLICA_EXCLUDE_TABLES: the quote" in first
    assert second == "LOCAL_PROJECT_NAME: is not UTF-8 text, or holds a NUL"
    assert third.startswith("MARIA_SECONDARY_PORTS: has 1 item")
    assert gather(None, {}, NOWHERE, None).unreadable == ()
