"""The configuration file: what it may have, how it goes together with variables, and what its problems say."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import jsonschema
import pytest

from replica_cli.config.documents import json_schema
from replica_cli.config.loading import Configuration, read_configuration
from replica_cli.config.overrides import Overrides
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.names import TableName
from replica_cli.core.settings import DdlPolicy, EngineChoice, Secret, TlsMode

NOWHERE = Path("no such folder/.env")
LEAST = "secondaries: [{host: db2}]\n"


def read(
    folder: Path, text: str, environ: dict[str, str] | None = None, *, overrides: Overrides | None = None,
    dotenv: Path = NOWHERE,
) -> Configuration:  # fmt: skip
    path = folder / "replica.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return read_configuration(overrides, environ or {}, dotenv, path)


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, environ)
    return [p.replace(f"{folder}/", "") for p in caught.value.problems]


WHOLE = """\
primary: {host: db1, port: 3307, user: repl, password: "no", tls: {mode: required}}
server_id: 0007
secondaries:
  - host: db2
    name: a
    user: other
    password: geheim
    tls: {mode: "off"}
  - host: db3
    batch: {age: 1s}
    apply: {engine: sql}
    health: {max_lag: 5m}
secondary_tls: {mode: preferred}
schemas: [shop, "crm:copy"]
exclude_tables: shop.tmp_*, shop.x
rules:
  - tables: [shop.audit_*]
    ddl: quarantine
    on_table_failure: stop
  - tables: ["*.*"]
    ddl: stop
batch: {transactions: 10, queue_bytes: 1MiB}
logging: {level: warn, graylog: {enabled: yes, endpoint: "[::1]:12201"}}
"""


def test_a_whole_file(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE).settings
    primary, (db2, db3) = settings.primary, settings.secondaries
    assert (primary.host, primary.port, primary.user, primary.password) == ("db1", 3307, "repl", Secret("no"))
    assert (db2.name, db2.user, db2.password, db2.tls.mode) == ("a", "other", Secret("geheim"), TlsMode.OFF)
    assert (db3.name, db3.user, db3.password, db3.tls.mode) == ("db3:3306", "repl", Secret("no"), TlsMode.PREFERRED)
    assert (settings.server_id, primary.tls.mode) == (7, TlsMode.REQUIRED)
    assert settings.selection.schemas == (("shop", "shop"), ("crm", "copy"))
    assert settings.selection.excluded_tables == ("shop.tmp_*", "shop.x")
    assert (settings.logging.level, settings.logging.graylog.is_enabled) == ("WARNING", True)
    assert settings.logging.graylog.host == "::1"


def test_what_a_secondary_has_of_its_own(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE).settings
    assert settings.of("a") == settings
    own = settings.of("db3:3306")
    assert (own.batching.age_seconds, own.batching.transactions) == (1.0, 10)
    assert (own.apply.engine, own.max_lag_seconds) == (EngineChoice.SQL, 300.0)
    assert (settings.apply.engine, settings.max_lag_seconds) == (EngineChoice.AUTO, 60.0)
    assert own.apply.rules == settings.apply.rules


def test_an_option_is_for_every_secondary(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE, overrides=Overrides(engine="row-image", max_lag="7s")).settings
    assert settings.of("db3:3306").apply.engine is EngineChoice.ROW_IMAGE
    assert settings.of("db3:3306").max_lag_seconds == 7.0
    assert settings.of("db3:3306").batching.age_seconds == 1.0


def test_a_secondary_may_have_a_progress_folder_of_its_own(tmp_path: Path) -> None:
    text = "secondaries: [{host: a, transfer: {progress_folder: /a}}, {host: b, transfer: {workers: 2}}]\n"
    settings = read(tmp_path, text + "transfer: {progress_folder: /all}\n").settings
    assert [str(settings.of(s.name).progress_folder) for s in settings.secondaries] == ["/a", "/all"]


def test_the_first_rule_that_gives_a_value_counts(tmp_path: Path) -> None:
    apply = read(tmp_path, WHOLE).settings.apply
    audit, orders = TableName("shop", "audit_1"), TableName("shop", "orders")
    assert apply.ddl_for([audit]) is DdlPolicy.QUARANTINE
    assert apply.ddl_for([audit, orders]) is DdlPolicy.STOP
    assert apply.ddl_for([]) is DdlPolicy.APPLY
    assert [apply.stops_for(name) for name in (audit, orders, None)] == [True, False, False]
    assert apply.engine_for(audit) is EngineChoice.AUTO


def test_json_means_the_same(tmp_path: Path) -> None:
    document = {"primary": {"port": 3307}, "secondaries": [{"host": "db2", "batch": {"age": 0.5}}],
                "apply": {"compact": False}, "schemas": ["a"]}  # fmt: skip
    settings = read(tmp_path, json.dumps(document)).settings
    assert (settings.primary.port, settings.apply.compacts) == (3307, False)
    assert settings.of("db2:3306").batching.age_seconds == 0.5


def test_options_then_the_environment_then_dotenv_then_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("REPLICA_BATCH_AGE=3s\nREPLICA_LEASE=30s\nMARIA_USER=c\n")
    text = (
        LEAST + "batch: {age: 4s}\nnetwork: {lease: 40s, read_timeout: 44s}\nprimary: {user: d}\napply: {engine: sql}"
    )
    read_all = read(
        tmp_path, text, {"REPLICA_BATCH_AGE": "2s", "MARIA_USER": ""}, dotenv=dotenv,
        overrides=Overrides(engine="row-image"),
    )  # fmt: skip
    settings = read_all.settings
    assert (settings.batching.age_seconds, settings.network.lease, settings.network.read_timeout) == (2.0, 30.0, 44.0)
    assert (settings.primary.user, settings.apply.engine) == ("c", EngineChoice.ROW_IMAGE)
    origins = {".".join(map(str, p)): g.origin for p in read_all.layers.paths() if (g := read_all.layers.given(p))}
    assert {name: (o.source.value, o.name.replace(f"{tmp_path}/", "")) for name, o in origins.items()} == {
        "apply.engine": ("option", "--engine"),
        "batch.age": ("environment", "REPLICA_BATCH_AGE"),
        "network.lease": (".env", "REPLICA_LEASE"),
        "primary.user": (".env", "MARIA_USER"),
        "secondaries.0.host": ("file", "replica.yaml:1"),
        "network.read_timeout": ("file", "replica.yaml:3"),
    }  # fmt: skip


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(LEAST)
    (tmp_path / ".env").write_text(f"REPLICA_CONFIG={tmp_path}/other.yaml\n")
    found = read_configuration(None, {}, tmp_path / ".env")
    assert (found.file, found.settings.secondaries[0].host) == (tmp_path / "other.yaml", "db2")


def test_references_are_replaced_in_values(tmp_path: Path) -> None:
    text = (
        "primary: {host: '${HOST}', user: '${NO_USER:-fallback}', name: 'a${HOST}b${EMPTY:-}', password: '$${HOST}'}\n"
        "secondaries: [{host: '${FROM_FILE}'}]\n"
    )
    (tmp_path / ".env").write_text("FROM_FILE=db7\nHOST=loses\n")
    settings = read(tmp_path, text, {"HOST": "db1", "EMPTY": ""}, dotenv=tmp_path / ".env").settings
    assert (settings.primary.host, settings.primary.user, settings.primary.name) == ("db1", "fallback", "adb1b")
    assert settings.primary.password == Secret("${HOST}")
    assert settings.secondaries[0].host == "db7"


def test_secrets_come_from_files_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" a b \n")
    (tmp_path / "secret").chmod(0o600)
    found = read(tmp_path, "primary: {password: file:secret}\n" + LEAST)
    assert found.settings.primary.password == Secret(" a b ")
    assert found.warnings == ()
    (tmp_path / "secret").write_text("a\nb\n")
    (said,) = problems(tmp_path, "primary: {password: file:secret}\n" + LEAST)
    assert said == "replica.yaml:1: primary.password: has 2 lines: a secret is one line"
    assert "nowhere: No such file" in problems(tmp_path, "primary: {password: file:nowhere}\n" + LEAST)[0]


def test_a_plain_password_that_all_may_read_is_a_warning() -> None:
    for text, count in (("primary: {password: plain}\n", 1), ("primary: {password: '${P:-x}'}\n", 0)):
        # The parents of `tmp_path` are closed to others.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "replica.yaml")
            path.write_text(text + LEAST)
            path.chmod(0o644)
            path.parent.chmod(0o755)
            warnings = read_configuration(None, {}, NOWHERE, path).warnings
        assert len(warnings) == count, text
        assert all("every user of this machine can read it" in w for w in warnings)


def test_variables_complete_the_secondaries_of_the_file(tmp_path: Path) -> None:
    text = "secondaries: [{host: a, port: 1}, {host: b}]\n"
    settings = read(tmp_path, text, {"MARIA_SECONDARY_PASSWORDS": "x,y", "MARIA_SECONDARY_PORTS": ",7"}).settings
    assert [(s.host, s.port, s.password.reveal()) for s in settings.secondaries] == [("a", 1, "x"), ("b", 7, "y")]
    (said,) = problems(tmp_path, text, {"MARIA_SECONDARY_PASSWORDS": "x"})
    assert said == "MARIA_SECONDARY_PASSWORDS: has 1 item, the configuration file has 2"
    found = read(tmp_path, text, {"MARIA_SECONDARY_HOSTS": "c"})
    assert [s.host for s in found.settings.secondaries] == ["c"]
    assert found.warnings == ("MARIA_SECONDARY_HOSTS: replaces the secondaries of the configuration file",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "MARIA_SECONDARY_HOSTS: is not set"),
        ("- a\n", "replica.yaml:1: is not an object of settings"),
        ("a: [", "replica.yaml:1: cannot be read as YAML or JSON: "),
        ("primary: {password: geheim, password: geheim}\n" + LEAST, "replica.yaml:1: primary.password: is named twice"),
        (LEAST + "network:\n  hearbeat: 1s\n", "yaml:3: network.hearbeat: unknown setting, did you mean heartbeat"),
        (LEAST + "nonsense_at_all: {a: 1}\n", "replica.yaml:2: nonsense_at_all: unknown setting"),
        (LEAST + "network:\n  heartbeat: 20s\n", "yaml:3: network.heartbeat: must be shorter than REPLICA_READ"),
        (LEAST + "network: {heartbeat: 9s, read_timeout: 8s}\n", "must be shorter than network.read_timeout"),
        (LEAST + "network: {heartbeat: {a: b}}\n", "network.heartbeat: has parts of its own, and must be one value"),
        (LEAST + "network: 7\n", "replica.yaml:2: network: "),
        (LEAST + "schemas: {a: b}\n", "schemas: must be a list of texts"),
        (LEAST + "batch: {bytes: 1}\n", "replica.yaml:2: batch.bytes: '1' is not a size from 4KiB to 1GiB"),
        (LEAST + "primary: {host: '${NOWHERE}'}\n", "replica.yaml:2: primary.host: the variable NOWHERE is not set"),
        (LEAST + "primary: {host: '${a b}'}\n", "`${` begins no reference"),
        (LEAST + "primary: {host: !!python/name:os.system x}\n", "has a tag: quote a value that begins with `!`"),
        ("secondaries: [{name: a}]\n", "replica.yaml:1: secondaries[0].host: is not set"),
        ("secondaries: [{host: a, port: 0}]\n", "replica.yaml:1: secondaries[0].port: '0' is not a whole number"),
        ("secondaries: [{host: a}, {host: a}]\n", "a:3306 is named 2 times"),
        ("secondaries: [{host: a, retry: {delay: 2m}}]\n", "secondaries[0].retry.delay: is longer than"),
        (LEAST + "rules: [{ddl: stop}]\n", "rules[0].tables: is not set: name the tables of the rule"),
        (LEAST + "rules: [{tables: replica.a}]\n", "rules[0]: has no effect"),
        (LEAST + "rules: [{tables: shop.a, ddl: stop}]\n", "rules[0].tables: 'shop.a' is in none of the schemas of"),
        (LEAST + "rules: [{tables: replica.a, engine: row-image}]\n", "rules[0].engine: 'row-image' is not one of"),
    ],
)  # fmt: skip
def test_each_mistake_names_its_line(text: str, expected: str, tmp_path: Path) -> None:
    said = problems(tmp_path, text)
    assert any(expected in p for p in said), said
    assert not any("geheim" in p for p in said)


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "batch: {bytes: 1}\nsecondaries: [{host: a}]\nretry: {attempts: x}\nrules: [{ddl: stop}]\n"
    assert [p.partition(": ")[0] for p in problems(tmp_path, text)] == [f"replica.yaml:{n}" for n in (1, 3, 4)]


def test_a_file_that_would_grow_without_end_is_refused(tmp_path: Path) -> None:
    lines = ["retry: &a0 {attempts: 1}"] + [
        f"retry{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9)
    ]
    said = problems(tmp_path, "\n".join([*lines, "batch: *a8"]))
    assert any("too many values, or references to itself" in p for p in said)
    assert any("references to itself" in p for p in problems(tmp_path, "batch: &a\n  <<: *a\n"))
    assert any("a: unknown setting" in p for p in problems(tmp_path, "a: &a\n  b: *a\n"))


def test_what_one_object_merges_from_another(tmp_path: Path) -> None:
    text = "secondaries:\n  - &one {host: a, user: u}\n  - {<<: *one, host: b}\n"
    settings = read(tmp_path, text).settings
    assert [(s.host, s.user) for s in settings.secondaries] == [("a", "u"), ("b", "u")]


def test_the_schema_accepts_a_good_file_and_refuses_a_name_that_no_setting_has(tmp_path: Path) -> None:
    import yaml  # noqa: PLC0415 - only this test parses YAML as an editor does

    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    assert list(validator.iter_errors(yaml.safe_load(WHOLE.replace("warn", "WARNING")))) == []
    errors = list(validator.iter_errors({"secondaries": [{"hos": "a"}], "network": {"lease": []}}))
    assert len(errors) == 2
    assert "x-replica" not in json.dumps(json_schema())
    assert read(tmp_path, WHOLE).settings.secondaries
