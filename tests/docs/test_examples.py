from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.config.catalogue import names
from replica_cli.config.loading import load_settings
from replica_cli.core.errors import ExitCode
from tests.docs.documents import DOCS, ROOT, fault

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = ROOT / "examples"
UNITS = sorted((EXAMPLES / "systemd").iterdir())
NAMES = names()
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def yaml_documents(path: Path) -> list[Any]:
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all(path.read_text()))


def test_the_unit_leaves_alone_what_a_restart_cannot_mend() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EXAMPLES / "systemd" / "replica.service")
    service = unit["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == [
        str(int(code))
        for code in (
            ExitCode.USAGE, ExitCode.CONFIGURATION, ExitCode.POSITION, ExitCode.REFUSED, ExitCode.LOCKED,
        )
    ]  # fmt: skip
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")  # what supervisor/service_manager.py needs
    assert int(service["WatchdogSec"]) >= 30
    assert service["LimitCORE"] == "0"
    # What a reload reads has to be a file.
    assert "EnvironmentFile" not in service
    assert "--env-file" in service["ExecStart"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    # The program need not be installed where the unit wants it.
    for each in UNITS:
        (tmp_path / each.name).write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", each.read_text()))
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_systemd_counts_the_unit_as_little_exposed(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    # The threshold is in tenths: the exposure is below 3 of 10.
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=29", str(unit)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if "unrecognized option" in result.stderr:
        pytest.skip("systemd-analyze security cannot read a file: it is older than systemd 250")
    assert result.returncode == 0, result.stdout.splitlines()[-1] + result.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_document_that_a_unit_names_exists(unit: Path) -> None:
    (name,) = re.findall(r"^Documentation=file:///opt/replica/(.+)$", unit.read_text(), re.MULTILINE)
    assert (ROOT / name).is_file()


def test_units_and_cron_run_commands_that_exist() -> None:
    texts = [path.read_text() for path in (*UNITS, EXAMPLES / "cron" / "replica-health")]
    lines = [line for text in texts for line in re.findall(r"/bin/(replica .*)", text)]
    assert len(lines) == 4
    assert [fault(line) for line in lines] == [None] * 4


def test_the_cron_line_has_a_schedule_a_user_and_a_command() -> None:
    text = (EXAMPLES / "cron" / "replica-health").read_text()
    (line,) = [line for line in text.splitlines() if re.match(r"[*\d]", line)]
    assert re.fullmatch(r"(\S+ ){5}\w+ .*\breplica health --quiet\b.*", line)
    assert "%" not in line  # cron takes it for the end of the line
    assert text.endswith("\n")


def test_the_compose_file_describes_a_primary_two_secondaries_and_the_stream() -> None:
    (compose,) = yaml_documents(EXAMPLES / "docker" / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"primary", "secondary1", "secondary2", "replica"}
    assert "environment" not in services["replica"]  # a reload could not change it
    assert services["replica"]["volumes"] == ["./replica.env:/var/lib/replica/.env:ro"]
    assert "WORKDIR /var/lib/replica" in (EXAMPLES / "docker" / "Dockerfile").read_text()
    password = {"MARIA_PASS_FILE": str(EXAMPLES / "docker" / "password.txt")}
    settings = load_settings(None, password, EXAMPLES / "docker" / "replica.env")
    assert [settings.primary.host, *(s.host for s in settings.secondaries)] == ["primary", "secondary1", "secondary2"]
    assert f"'{settings.primary.password.reveal()}'" in (EXAMPLES / "docker" / "primary.sql").read_text()
    for name in ("primary", "secondary1", "secondary2"):
        for volume in services[name]["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (EXAMPLES / "docker" / source).is_file()
    build = services["replica"]["build"]
    assert (EXAMPLES / "docker" / build["context"] / build["dockerfile"]).is_file()


def test_the_kubernetes_settings_are_a_configuration(tmp_path: Path) -> None:
    documents = yaml_documents(EXAMPLES / "kubernetes" / "replica.yaml")
    by_kind = {d["kind"]: d for d in documents}
    assert list(by_kind) == ["Secret", "ConfigMap", "Deployment"]
    file = tmp_path / ".env"
    file.write_text(by_kind["ConfigMap"]["data"][".env"])
    password = tmp_path / "password"
    password.write_text(by_kind["Secret"]["stringData"]["password"])
    given = {"MARIA_PASS_FILE": str(password), "REPLICA_PROGRESS_FOLDER": str(tmp_path)}
    assert len(load_settings(None, given, file).secondaries) == 2
    pod = by_kind["Deployment"]["spec"]
    assert (pod["replicas"], pod["strategy"]["type"]) == (1, "Recreate")
    (container,) = pod["template"]["spec"]["containers"]
    # Where a command looks for its `.env`; a folder of a ConfigMap is brought up to date, a single file is not.
    assert container["workingDir"] in [m["mountPath"] for m in container["volumeMounts"] if "subPath" not in m]
    assert "envFrom" not in container


def test_the_image_is_built_from_files_that_exist() -> None:
    text = (EXAMPLES / "docker" / "Dockerfile").read_text()
    copied = [w for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for w in line.split()]
    assert copied
    assert [w for w in copied if not (ROOT / w).exists()] == []
    allowed = (EXAMPLES / "docker" / "Dockerfile.dockerignore").read_text().split()
    assert [w for w in copied if f"!{w}" not in allowed] == []


def test_the_grants_of_the_image_are_those_of_the_page() -> None:
    page = (DOCS / "accounts.md").read_text()
    for name in ("primary.sql", "secondary.sql"):
        grants = [s for s in (EXAMPLES / "docker" / name).read_text().splitlines() if s.startswith("GRANT")]
        assert grants
        assert [g for g in grants if g not in page] == []
