"""Files and functions stay small enough to be read."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest

import replica_cli

ROOT = Path(replica_cli.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.filterwarnings("default")
def test_a_file_longer_than_400_lines_is_named() -> None:
    # A warning, not a failure: one idea is not split in two to please a line count.
    assert FILES
    for path in FILES:
        if (count := len(path.read_text().splitlines())) > 400:
            warnings.warn(f"{path.relative_to(ROOT)} has {count} lines: does it hold one idea?", stacklevel=1)


def test_no_function_is_longer_than_80_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 80
    ]
    assert not long


@pytest.mark.parametrize("package", ["applier", "transfer", "service", "supervisor", "worker", "resync", "runtime"])
def test_what_works_for_one_secondary_says_which_in_its_log(package: str) -> None:
    # `log` takes the instance; a record without one tells nothing where two secondaries are copied side by side.
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        if path.relative_to(ROOT).parts[0] == package
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
        and node.func.attr in {"info", "warning", "error", "exception", "critical"}
    ]
    assert not bare
