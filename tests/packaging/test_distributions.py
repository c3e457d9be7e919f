"""The sdist and the wheel of a release: what they hold, and that `replica` runs where nothing else is installed.

They are built from a copy of the tree, in environments of their own. pip gets setuptools and the dependencies from the
package index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import replica_cli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "replica_cli"
VERSION = replica_cli.__version__
_IMPORT_ALL = """
import importlib, pkgutil, replica_cli
names = [m.name for m in pkgutil.walk_packages(replica_cli.__path__, "replica_cli.")]
for name in names:
    importlib.import_module(name)
print(len(names), replica_cli.__file__)
"""


def run(*words: str | Path, folder: Path) -> str:
    """Return what a command prints. It does not see the tree: neither as its folder nor by PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # noqa: TID251 - passed on
    ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def build(source: Path, folder: Path, *options: str) -> list[Path]:
    run(sys.executable, "-m", "build", *options, "--outdir", folder, source, folder=source)
    return sorted(folder.iterdir())


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree: setuptools writes into the folder that it builds from."""
    pytest.importorskip("build", reason="`bash tests/run.sh` installs it")
    folder = tmp_path_factory.mktemp("packaging")
    # Without the index pip can neither build nor install, and that says nothing about the project.
    probe = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "setuptools>=77"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("the package index cannot be reached")
    skipped = shutil.ignore_patterns(
        ".git", ".*_cache", ".venv", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist"
    )
    return Path(shutil.copytree(ROOT, folder / "source", ignore=skipped))


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    (built,) = build(source, source.parent / "wheel", "--wheel")
    return built


def test_the_sdist_builds_the_wheel_of_the_tree(source: Path, wheel: Path, tmp_path: Path) -> None:
    # Without options the wheel is built from the sdist, and not from the tree.
    from_sdist, sdist = build(source, tmp_path / "release")
    assert wheel.name == from_sdist.name == f"replica_cli-{VERSION}-py3-none-any.whl"
    assert contents(wheel) == contents(from_sdist)

    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    expected = {p.relative_to(ROOT).as_posix(): p.read_bytes() for p in files}
    assert "replica_cli/py.typed" in expected
    packed = contents(wheel)
    assert {name: body for name, body in packed.items() if name.startswith("replica_cli/")} == expected
    info = f"replica_cli-{VERSION}.dist-info"
    assert {name.split("/")[0] for name in packed} == {"replica_cli", info}
    assert packed[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "LICENSE", "example.env", "examples/setup.sh", "tests/run.sh", "tests/constraints.txt"}
    assert wanted - names == set()


def test_the_wheel_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", folder=tmp_path)
    python, replica = tmp_path / "env/bin/python", tmp_path / "env/bin/replica"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-compile", "-c", ROOT / "tests/constraints.txt", wheel, folder=tmp_path)
    run(*pip, "check", folder=tmp_path)

    assert run(replica, "--version", folder=tmp_path).split() == ["replica", VERSION]
    assert "stream" in run(replica, "--help", folder=tmp_path)
    # A command imports most of its modules when it runs. All of them need no more than the wheel's own dependencies.
    count, file = run(python, "-c", _IMPORT_ALL, folder=tmp_path).split()
    assert int(count) > 300
    assert Path(file).is_relative_to(tmp_path / "env")


def test_the_oldest_python_is_the_same_everywhere() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(settings["project"]["classifiers"]))
    assert settings["project"]["requires-python"] == f">={named[0]}"
    assert settings["tool"]["ruff"]["target-version"] == "py" + named[0].replace(".", "")
    # The set-up scripts look for each Python that the classifiers name.
    assert set(named) <= set(re.findall(r"\bpython(3\.\d+)", (ROOT / "examples" / "setup.sh").read_text()))
