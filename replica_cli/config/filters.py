"""Which schemas and tables: the filters, refused where they select nothing or two things into one place."""

from __future__ import annotations

import fnmatch
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


def read_selection(sources: Sources) -> Selection:
    """Return the filters."""
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
    if not takes_all:
        for pattern in tables:
            # Such a pattern selects nothing, and nothing would say so.
            if not any(fnmatch.fnmatchcase(source, pattern.rpartition(".")[0]) for source, _ in routes):
                sources.complain("REPLICA_TABLES", f"{pattern!r} is in none of the schemas of REPLICA_SCHEMAS")
    return Selection(tuple(routes), takes_all, tables, excluded, state_schema)


def _schema_name(text: str) -> str:
    if text.lower() in SYSTEM_SCHEMAS:
        raise ValueError(f"{text!r} is the server's own")
    if len(text) > 64:
        raise ValueError(f"{text!r} is longer than 64 characters")
    return text


def _problems(routes: list[tuple[str, str]], state_schema: str) -> list[str]:
    found: list[str] = []
    for source, target in routes:
        if not source or not target:
            found.append(f"'{source}:{target}' needs a name on both sides of the colon")
        for name in dict.fromkeys((source, target)):
            if name.lower() in SYSTEM_SCHEMAS:
                found.append(f"{name!r} is the server's own and not replicated")
            if name == state_schema:
                found.append(f"{name!r} is REPLICA_STATE_SCHEMA and not replicated")
    sources, targets = Counter(s for s, _ in routes), Counter(t for _, t in routes)
    found.extend(f"{name!r} is named {times} times" for name, times in sources.items() if times > 1)
    found.extend(
        f"{times} schemas go into {name!r}"
        for name, times in targets.items()
        if times > 1 and len({s for s, t in routes if t == name}) > 1
    )
    return found


def _patterns(default_word: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        if text.lower() == default_word:
            return ()
        found = full_items(text)
        for pattern in found:
            if "." not in pattern.strip("."):
                raise ValueError(f"{pattern!r} is not schema.table")
        return found

    return parse
