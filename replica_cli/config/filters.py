"""Reads the filters, and refuses those that select nothing or that send two schemas into one."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from typing import TYPE_CHECKING

from replica_cli.core.selection import SYSTEM_SCHEMAS, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.config.catalogue import Path

_QUOTED = re.compile(r"""`.*`|'.*'|".*"|“.*”""", re.DOTALL)


def schema_name(text: str) -> str:
    """Return the name of the state schema. Raises ValueError if no schema can have it."""
    if text.lower() in SYSTEM_SCHEMAS:
        raise ValueError(f"{text!r} is a system schema of the server")
    if len(text) > 64:
        raise ValueError(f"{text!r} is longer than 64 characters")
    if "`" in text or not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} has a backtick, a control character, or a blank at an end")
    return text


def routes(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of the setting of schemas: `*`, `name` or `name:other`; `selection_of` reads them.

    Raises:
        ValueError: if there is none, because nothing would be selected.
    """
    if not parts:
        raise ValueError("is empty: name at least one schema, or `*` for all")
    return tuple(parts)


def table_patterns(parts: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of tables. Raises ValueError if one is not a pattern; the word `all` alone means none."""
    return _patterns(parts, "all")


def excluded_patterns(parts: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of tables. Raises ValueError if one is not a pattern; the word `none` alone means none."""
    return _patterns(parts, "none")


def _patterns(parts: Sequence[str], default_word: str) -> tuple[str, ...]:
    if [part.lower() for part in parts] == [default_word]:
        return ()
    for pattern in parts:
        schema, _, table = pattern.partition(".")
        if not schema or not table:
            raise ValueError(f"{pattern!r} is not schema.table")
        if _QUOTED.fullmatch(schema) or _QUOTED.fullmatch(table) or _QUOTED.fullmatch(pattern):
            raise ValueError(f"{pattern!r} is in quotes: write the names without them")
    return tuple(parts)


def selection_of(
    schemas: Sequence[str], tables: tuple[str, ...], excluded: tuple[str, ...], state_schema: str
) -> Selection:
    """Return the selection that the filters make."""
    return Selection(tuple(_routes_of(schemas)), "*" in schemas, tables, excluded, state_schema)


def _routes_of(schemas: Sequence[str]) -> Iterator[tuple[str, str]]:
    for part in schemas:
        if part != "*":
            source, colon, target = part.partition(":")
            yield source.strip(), target.strip() if colon else source.strip()


def schema_problems(selection: Selection, called: Callable[[Path], str]) -> list[str]:
    """Return what is wrong with the schemas of a selection.

    Args:
        selection: the selection.
        called: returns what the user calls a setting.

    """
    problems: list[str] = []
    for source, target in selection.schemas:
        if not source or not target:
            problems.append(f"'{source}:{target}' needs a name on both sides of the colon")
        for name in dict.fromkeys((source, target)):
            if name.lower() in SYSTEM_SCHEMAS:
                problems.append(f"{name!r} is a system schema of the server, and is not replicated")
            if _QUOTED.fullmatch(name):
                problems.append(f"{name!r} is in quotes: write the name without them")
            elif "*" in name or "?" in name:
                where = called(("tables",))
                problems.append(
                    f"{name!r} is not a schema: `*` alone means all schemas, and patterns belong in {where}"
                )
            if name == selection.state_schema:
                problems.append(f"{name!r} is {called(('state_schema',))}, and is not replicated")
    sources, targets = Counter(s for s, _ in selection.schemas), Counter(t for _, t in selection.schemas)
    problems.extend(f"{name!r} is named {times} times" for name, times in sources.items() if times > 1)
    problems.extend(
        f"{times} schemas are copied into {name!r}"
        for name, times in targets.items()
        if times > 1 and len({s for s, t in selection.schemas if t == name}) > 1
    )
    return problems


def lost_patterns(selection: Selection, patterns: Sequence[str]) -> list[str]:
    """Return the patterns that can match no table of the selected schemas.

    A table that the user wants to exclude with such a pattern would be copied.
    """
    if selection.takes_all_schemas:
        return []
    return [p for p in patterns if not any(_may_be_in(source, p) for source, _ in selection.schemas)]


def repeated(patterns: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the patterns that are named more than once, with how often."""
    for pattern, times in Counter(patterns).items():
        if times > 1:
            yield pattern, times


def _may_be_in(schema: str, pattern: str) -> bool:
    """Return True if a pattern can match a table of the schema; names and patterns may contain dots."""
    dots = [i for i, char in enumerate(pattern) if char == "."]
    return any(fnmatch.fnmatchcase(schema, pattern[:i]) for i in dots)
