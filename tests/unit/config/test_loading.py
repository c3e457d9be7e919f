from __future__ import annotations

from pathlib import Path

import pytest

from replica_cli.config.loading import load_settings, read_configuration
from replica_cli.config.overrides import Overrides
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.settings import (
    Apply,
    Batching,
    EngineChoice,
    Logging,
    Network,
    Retry,
    Secret,
    Settings,
    TlsMode,
    TransferSettings,
)

NOWHERE = Path("no such folder/.env")
BASE = {"MARIA_SECONDARY_HOSTS": "db2,db3"}


def load(environ: dict[str, str], dotenv: Path = NOWHERE, overrides: Overrides | None = None) -> Settings:
    return load_settings(overrides, {**BASE, **environ}, dotenv)


def problems(environ: dict[str, str], dotenv: Path = NOWHERE) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, environ, dotenv)
    return caught.value.problems


def test_defaults_are_those_of_core() -> None:
    settings = load({})
    assert (settings.primary.name, settings.primary.host, settings.primary.port) == (
        "mariadb-primary", "mariadb-primary", 3306,
    )  # fmt: skip
    assert [(s.name, s.port, s.user, s.password) for s in settings.secondaries] == [
        ("db2:3306", 3306, "replica", Secret("replica")),
        ("db3:3306", 3306, "replica", Secret("replica")),
    ]
    assert (settings.server_id, settings.state_schema, settings.max_lag_seconds) == (100, "replica_state", 60.0)
    assert settings.selection.schemas == (("replica", "replica"),)
    parts = (settings.logging, settings.network, settings.retry, settings.batching, settings.transfer, settings.apply)
    # Two secondaries share the workers over a long link.
    assert parts == (Logging(), Network(), Retry(), Batching(), TransferSettings(far_workers=8), Apply())
    assert load({"MARIA_SECONDARY_HOSTS": "db2"}).transfer == TransferSettings(far_workers=16)
    assert load({"REPLICA_TRANSFER_WORKERS": "4"}).transfer == TransferSettings()


def test_the_environment_wins_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("MARIA_SERVER_ID=7\nTRANSFER_BATCH_SIZE=5\nREPLICA_ENGINE=sql\nMARIA_PASS='a$b${c}'\n")
    settings = load({"TRANSFER_BATCH_SIZE": "6"}, dotenv, Overrides(engine="row-image", workers="9"))
    assert (settings.server_id, settings.transfer.chunk_rows, settings.transfer.workers) == (7, 6, 9)
    assert settings.apply.engine is EngineChoice.ROW_IMAGE
    assert settings.primary.password.reveal() == "a$b${c}"


def test_all_problems_come_at_once_and_name_their_variables() -> None:
    found = problems(
        {
            "MARIA_PRIMARY_PORT": "99999",
            "MARIA_SECONDARY_HOSTS": "a,,b",
            "REPLICA_RETRY_DELAY": "soon",
            "REPLICA_DDL": "maybe",
            "REPLICA_SCHEMAS": "mysql,replica_state,x:y,z:y",
            "REPLICA_TABLES": "orders",
            "GRAYLOG_ENDPOINT": "nowhere",
            "REPLICA_HEARTBEAT": "20s",
        }
    )
    named = [p.partition(":")[0] for p in found]
    assert named.count("REPLICA_SCHEMAS") == 3
    assert set(named) == {
        "MARIA_PRIMARY_PORT", "MARIA_SECONDARY_HOSTS", "REPLICA_RETRY_DELAY", "REPLICA_DDL", "REPLICA_SCHEMAS",
        "REPLICA_TABLES", "GRAYLOG_ENDPOINT", "REPLICA_HEARTBEAT",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MARIA_SECONDARY_HOSTS": ""}, "MARIA_SECONDARY_HOSTS: is not set"),
        ({**BASE, "MARIA_SECONDARY_PORTS": "3306"}, "MARIA_SECONDARY_PORTS: has 1 item, MARIA_SECONDARY_HOSTS has 2"),
        ({**BASE, "MARIA_SECONDARY_NAMES": "x,x"}, "names must be unique"),
        ({**BASE, "MARIA_SECONDARY_NAMES": "a/b,c"}, "cannot be part of a file name"),
        ({"MARIA_SECONDARY_HOSTS": "db2:3307"}, "'db2:3307' contains a port"),
        ({"MARIA_SECONDARY_HOSTS": "mariadb-primary"}, "mariadb-primary:3306 is the primary"),
        ({"MARIA_SECONDARY_HOSTS": "a,a", "MARIA_SECONDARY_NAMES": "x,y"}, "a:3306 is named 2 times"),
        ({**BASE, "MARIA_SERVER_ID": "4294967295"}, "from 1 to 4294967292"),
        ({**BASE, "MARIA_SERVER_ID": "0"}, "MARIA_SERVER_ID: '0' is not a whole number"),
        ({**BASE, "REPLICA_TABLES": "shop.orders"}, "in none of the schemas of REPLICA_SCHEMAS"),
        ({**BASE, "MARIA_PASS": "x", "MARIA_PASS_FILE": "/y"}, "MARIA_PASS_FILE: MARIA_PASS is set as well"),
        ({**BASE, "MARIA_PASS_FILE": "/no/such"}, "MARIA_PASS_FILE: /no/such: No such file or directory"),
        ({**BASE, "MARIA_PRIMARY_TLS_KEY": "/no/such"}, "MARIA_PRIMARY_TLS_KEY"),
        ({**BASE, "REPLICA_QUEUE_BYTES": "1"}, "REPLICA_QUEUE_BYTES: '1' is not a size from 256KiB"),
        ({**BASE, "REPLICA_BATCH_BYTES": "1"}, "REPLICA_BATCH_BYTES: '1' is not a size from 4KiB"),
        ({**BASE, "REPLICA_BATCH_AGE": "100h"}, "REPLICA_BATCH_AGE: '100h' is longer than 60s"),
        ({**BASE, "REPLICA_STATE_SCHEMA": "a`b"}, "REPLICA_STATE_SCHEMA: 'a`b' has a backtick"),
        ({**BASE, "REPLICA_STATE_SCHEMA": "a\tb"}, "has a backtick, a control character"),
        ({"MARIA_SECONDARY_HOST": "db2"}, "unknown variable, did you mean MARIA_SECONDARY_HOSTS"),
    ],
)
def test_each_mistake_is_said_plainly(environ: dict[str, str], expected: str) -> None:
    assert any(expected in p for p in problems(environ)), problems(environ)


def test_no_password_gets_into_a_problem() -> None:
    found = problems({**BASE, "MARIA_PASS": "geheim-1", "MARIA_SECONDARY_PASSWORDS": "geheim-2,geheim-3,geheim-4"})
    assert found == ("MARIA_SECONDARY_PASSWORDS: has 3 items, MARIA_SECONDARY_HOSTS has 2",)


def test_passwords_from_files_keep_commas_and_blanks(tmp_path: Path) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    one.write_text("primary's\n")
    many.write_text(" a,b \n\n")
    settings = load({"MARIA_PASS_FILE": str(one), "MARIA_SECONDARY_PASSWORDS": "x, "})
    assert settings.primary.password.reveal() == "primary's"
    assert [s.password.reveal() for s in settings.secondaries] == ["x", "primary's"]
    many.write_text(" a,b \nc\n")
    settings = load({"MARIA_SECONDARY_PASSWORDS_FILE": str(many)})
    assert [s.password.reveal() for s in settings.secondaries] == [" a,b ", "c"]


def test_schemas_routes_and_patterns() -> None:
    selection = load({"REPLICA_SCHEMAS": "*, a:b", "REPLICA_EXCLUDE_TABLES": "*.tmp_*"}).selection
    assert selection.takes_all_schemas
    assert selection.schemas == (("a", "b"),)
    assert selection.excluded_tables == ("*.tmp_*",)


def test_naming_an_authority_asks_for_it_to_be_checked(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    settings = load({"MARIA_PRIMARY_TLS_CA": str(authority), "MARIA_SECONDARY_TLS": "REQUIRED"})
    assert settings.primary.tls.mode is TlsMode.VERIFY_CA
    assert settings.secondaries[0].tls.mode is TlsMode.REQUIRED


def test_an_authority_that_is_not_used_is_a_warning(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    environ = {**BASE, "MARIA_PRIMARY_TLS_CA": str(authority), "MARIA_PRIMARY_TLS": "required"}
    (warning,) = read_configuration(None, environ, NOWHERE).warnings
    assert warning == "MARIA_PRIMARY_TLS_CA: is not used, because MARIA_PRIMARY_TLS=required checks no certificate"


def test_misspelt_variables_are_warned_about() -> None:
    environ = {**BASE, "REPLICA_SCHEMA": "x", "REPLICA_FOO": "z", "PATH": "y"}
    assert sorted(read_configuration(None, environ, NOWHERE).warnings) == [
        "REPLICA_FOO: unknown variable",
        "REPLICA_SCHEMA: unknown variable, did you mean REPLICA_SCHEMAS",
    ]


def test_a_wrong_number_of_ports_is_one_problem() -> None:
    environ = {"MARIA_SECONDARY_HOSTS": "127.0.0.1,127.0.0.1", "MARIA_SECONDARY_PORTS": "1"}
    with pytest.raises(ConfigurationError) as raised:
        read_configuration(None, environ, NOWHERE)
    assert raised.value.problems == ("MARIA_SECONDARY_PORTS: has 1 item, MARIA_SECONDARY_HOSTS has 2",)


def test_a_password_file_holds_one_password(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for text, expected in ((b"", "is empty"), (b"\n", "is empty"), (b"geheim\nand more\n", "2 lines"),
                           (b"g\xffeheim", "is not UTF-8 text"), (b"g\0eheim", "holds a NUL")):  # fmt: skip
        file.write_bytes(text)
        found = problems({**BASE, "MARIA_PASS_FILE": str(file)})
        assert len(found) == 1, text
        assert expected in found[0]
        assert "eheim" not in found[0]
    assert "Is a directory" in problems({**BASE, "MARIA_PASS_FILE": str(tmp_path)})[0]
    file.write_bytes("\ufeffpassword\r\n".encode())
    assert load({"MARIA_PASS_FILE": str(file)}).primary.password.reveal() == "password"


def test_filters_that_can_select_nothing_are_refused() -> None:
    for name, text, expected in (
        ("REPLICA_SCHEMAS", "`shop`", "is in quotes"),
        ("REPLICA_SCHEMAS", '"shop"', "is in quotes"),
        ("REPLICA_SCHEMAS", "shop_*", "patterns belong in REPLICA_TABLES"),
        ("REPLICA_SCHEMAS", "shop,", "item 2 of 2 is empty"),
        ("REPLICA_TABLES", "replica.", "is not schema.table"),
        ("REPLICA_TABLES", ".orders", "is not schema.table"),
        ("REPLICA_EXCLUDE_TABLES", "`replica`.`secret`", "is in quotes"),
        ("REPLICA_EXCLUDE_TABLES", "shop.secret", "is in none of the schemas"),
        ("REPLICA_EXCLUDE_TABLES", '"replica.secret"', "is in quotes"),
    ):
        assert any(p.startswith(name) and expected in p for p in problems({**BASE, name: text})), (name, text)


def test_a_pattern_that_is_named_twice_is_a_warning() -> None:
    environ = {**BASE, "REPLICA_EXCLUDE_TABLES": "replica.x,replica.x"}
    (warning,) = read_configuration(None, environ, NOWHERE).warnings
    assert warning == "REPLICA_EXCLUDE_TABLES: 'replica.x' is named 2 times"


def test_accepted_drift_is_patterns_of_table_aspect_and_name() -> None:
    found = load(
        {"REPLICA_ACCEPTED_DRIFT": "shop.orders:index:by_report*, *.audit:missing column,shop.*"}
    ).accepted_drift
    assert list(map(str, found)) == ["shop.orders:index:by_report*", "*.audit:missing-column:*", "shop.*:*:*"]
    for text, said in (
        ("orders:index", "'orders:index' is not schema.table:aspect:name"),
        ("shop.orders:indexes", "'indexes' in 'shop.orders:indexes' is not one of missing-table, "),
        ("shop.orders,,", "item 2 of 3 is empty"),
    ):
        assert said in " ".join(problems({**BASE, "REPLICA_ACCEPTED_DRIFT": text}))


def test_a_file_that_does_not_exist_is_named_if_a_setting_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = f"there is no {tmp_path / '.env'}: "
    with pytest.raises(ConfigurationError, match="MARIA_SECONDARY_HOSTS") as caught:
        load_settings(None, {})
    assert str(caught.value.hint).startswith(said)
    (tmp_path / ".env").write_text("MARIA_SERVER_ID=7\n")
    with pytest.raises(ConfigurationError, match="MARIA_SECONDARY_HOSTS") as caught:
        load_settings(None, {})
    assert "there is no" not in str(caught.value.hint)
    # With all that is needed in the environment there is nothing to say.
    assert load_settings(None, BASE).server_id == 7
