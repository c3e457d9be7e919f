"""The states of tables have one writer: no other module makes a record, or writes SQL for its table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import replica_cli

ROOT = Path(replica_cli.__file__).parent
FILES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}
WRITES = re.compile(r"(INSERT|REPLACE|UPDATE|DELETE|TRUNCATE)\b[^;]*\btable_state\b")


def test_only_the_transitions_make_records() -> None:
    makers = {
        path
        for path, text in FILES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "TableRecord"
    }
    assert makers == {"checkpoint/table_records.py"}


def test_only_the_life_cycle_writes_the_table() -> None:
    named = {path for path, text in FILES.items() if re.search(r"\.table_state\b", text)}
    # The migration fills it before any process can write, and `StatusReader` reads it together with the heartbeat.
    assert named == {"checkpoint/table_lifecycle.py", "checkpoint/migration_3.py", "checkpoint/status_reader.py"}
    assert not WRITES.search(FILES["checkpoint/status_reader.py"])
