"""Reads the filters, and refuses those that select nothing or that send two schemas into one."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from typing import TYPE_CHECKING

from replica_cli.config.parsers import full_items
from replica_cli.core.selection import SYSTEM_SCHEMAS, Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.config.sources import Sources

DEFAULT_SCHEMAS: tuple[str, ...] = ("replica",)
EVERY_TABLE: tuple[str, ...] = ()
NO_TABLE: tuple[str, ...] = ()
_QUOTED = re.compile(r"""`.*`|'.*'|".*"|“.*”""", re.DOTALL)


def read_selection(sources: Sources) -> Selection:
    """Return the selection; problems are added to `sources`."""
    state_schema = sources.parsed("REPLICA_STATE_SCHEMA", _schema_name, "replica_state")
    parts: tuple[str, ...] = sources.parsed("REPLICA_SCHEMAS", full_items, DEFAULT_SCHEMAS)
    routes: list[tuple[str, str]] = []
    for part in parts:
        if part != "*":
            source, colon, target = part.partition(":")
            routes.append((source.strip(), target.strip() if colon else source.strip()))
    takes_all = "*" in parts
    for problem in _problems(routes, state_schema):
        sources.complain("REPLICA_SCHEMAS", problem)
    tables = sources.parsed("REPLICA_TABLES", _patterns("all"), EVERY_TABLE)
    excluded = sources.parsed("REPLICA_EXCLUDE_TABLES", _patterns("none"), NO_TABLE)
    for name, patterns in (("REPLICA_TABLES", tables), ("REPLICA_EXCLUDE_TABLES", excluded)):
        for pattern, times in Counter(patterns).items():
            if times > 1:
                sources.warnings.append(f"{name}: {pattern!r} is named {times} times")
            # Such a pattern matches nothing, so a table that the user wants to exclude would be copied.
            if not takes_all and not any(_may_be_in(source, pattern) for source, _ in routes):
                sources.complain(name, f"{pattern!r} is in none of the schemas of REPLICA_SCHEMAS")
    return Selection(tuple(routes), takes_all, tables, excluded, state_schema)


def _may_be_in(schema: str, pattern: str) -> bool:
    """Return True if a pattern can match a table of the schema; names and patterns may contain dots."""
    dots = [i for i, char in enumerate(pattern) if char == "."]
    return any(fnmatch.fnmatchcase(schema, pattern[:i]) for i in dots)


def _schema_name(text: str) -> str:
    if text.lower() in SYSTEM_SCHEMAS:
        raise ValueError(f"{text!r} is a system schema of the server")
    if len(text) > 64:
        raise ValueError(f"{text!r} is longer than 64 characters")
    if "`" in text or not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} has a backtick, a control character, or a blank at an end")
    return text


def _problems(routes: list[tuple[str, str]], state_schema: str) -> list[str]:
    problems: list[str] = []
    for source, target in routes:
        if not source or not target:
            problems.append(f"'{source}:{target}' needs a name on both sides of the colon")
        for name in dict.fromkeys((source, target)):
            if name.lower() in SYSTEM_SCHEMAS:
                problems.append(f"{name!r} is a system schema of the server, and is not replicated")
            if _QUOTED.fullmatch(name):
                problems.append(f"{name!r} is in quotes: write the name without them")
            elif "*" in name or "?" in name:
                problems.append(
                    f"{name!r} is not a schema: `*` alone means all schemas, and patterns belong in REPLICA_TABLES"
                )
            if name == state_schema:
                problems.append(f"{name!r} is REPLICA_STATE_SCHEMA, and is not replicated")
    sources, targets = Counter(s for s, _ in routes), Counter(t for _, t in routes)
    problems.extend(f"{name!r} is named {times} times" for name, times in sources.items() if times > 1)
    problems.extend(
        f"{times} schemas are copied into {name!r}"
        for name, times in targets.items()
        if times > 1 and len({s for s, t in routes if t == name}) > 1
    )
    return problems


def _patterns(default_word: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        if text.lower() == default_word:
            return ()
        patterns = full_items(text)
        for pattern in patterns:
            schema, _, table = pattern.partition(".")
            if not schema or not table:
                raise ValueError(f"{pattern!r} is not schema.table")
            if _QUOTED.fullmatch(schema) or _QUOTED.fullmatch(table) or _QUOTED.fullmatch(pattern):
                raise ValueError(f"{pattern!r} is in quotes: write the names without them")
        return patterns

    return parse
