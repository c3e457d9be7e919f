"""Files and functions stay small enough to be read."""

from __future__ import annotations

import ast
from pathlib import Path

import replica_cli

ROOT = Path(replica_cli.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def test_no_file_is_longer_than_400_lines() -> None:
    assert FILES
    long = {str(path.relative_to(ROOT)): count for path in FILES if (count := len(path.read_text().splitlines())) > 400}
    assert not long


def test_no_function_is_longer_than_80_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 80
    ]
    assert not long
