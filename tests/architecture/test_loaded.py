"""A running stream imports nothing: the package may be replaced under it, and the new modules would not fit the old."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import replica_cli

ROOT = Path(replica_cli.__file__).parent
_CODE = "import sys, replica_cli.worker.process, replica_cli.worker.preload; print(*sys.modules)"


def _imports_in_functions(path: Path) -> set[str]:
    """Return the modules that functions import when they are called."""
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    found = set()
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_a_worker_gets_values_and_loads_no_library_of_the_command() -> None:
    # The first worker is forked from the process of the command, after it has imported `service.stream`.
    code = f"import replica_cli.service.stream, replica_cli.__main__; {_CODE}"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {"pydantic", "pydantic_settings", "yaml", "dotenv", "typer", "rich", "prometheus_client"}
    assert not packages & {"fastapi", "starlette", "uvicorn", "anyio"}


def _loaded() -> set[str]:
    command = [sys.executable, "-c", _CODE]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_worker_loads_no_library_for_metrics() -> None:
    assert not {
        name for name in _loaded() if name.startswith(("prometheus_client", "replica_cli.api", "replica_cli.cli"))
    }


def test_a_worker_has_loaded_what_its_functions_import() -> None:
    loaded = _loaded()
    ours = [
        path
        for path in ROOT.rglob("*.py")
        if ".".join(("replica_cli", *path.relative_to(ROOT).with_suffix("").parts)) in loaded
    ]
    assert len(ours) > 150
    late = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in ours
        for name in _imports_in_functions(path)
        if name not in loaded
    }
    assert not loaded & {"fastapi", "starlette", "uvicorn", "pydantic", "replica_cli.api"}
    # The logs are set up before anything is connected.
    assert late == {"logs/setup.py: replica_cli.logs.graylog"}
