"""The page of the health checks lists the names that the code gives, and no others."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.docs.documents import DOCS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = ("health/*.py", "service/health.py", "worker/health_monitor.py", "mysql/preflight/*.py")
_MAKERS = {"HealthCheck", "Finding", "finding", "_connections", "_hourly"}
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


def strings(node: ast.expr) -> Iterator[str]:
    """Yield the string that an expression is; of an f-string with a side one string for each side."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        text = ast.unparse(node)[2:-1]
        yield from {text.replace("{side}", side) for side in ("primary", "secondary")}


def named(tree: ast.Module) -> Iterator[str]:
    """Yield the names of checks: arguments of what makes a check, and values of variables that are called `name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _MAKERS:
            for argument in node.args[:1] if ast.unparse(node.func) in {"HealthCheck", "Finding"} else node.args:
                yield from strings(argument)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
            for target, value in pairs:
                if ast.unparse(target).lower().lstrip("_") == "name":
                    yield from strings(value)


def test_every_health_check_has_a_row_and_no_other() -> None:
    files = [path for pattern in _FILES for path in (ROOT / "replica_cli").glob(pattern)]
    names = {n for path in files for n in named(ast.parse(path.read_text())) if _NAME.fullmatch(n)}
    rows = re.findall(r"^\| `([a-z-]+)` ", (DOCS / "operations" / "health.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(names)
