"""Decides which tables are replicated, and which schema they are in on the secondary."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property

from replica_cli.core.names import TableName

SYSTEM_SCHEMAS = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


@dataclass(frozen=True)
class Selection:
    """The filters: schemas with their names on the secondary, and patterns of tables to include and to exclude.

    Patterns are `schema.table` with the names on the primary, and with `*` and `?`.

    Attributes:
        schemas: pairs of a schema's name on the primary and its name on the secondary.
        takes_all_schemas: whether the filters contain `*`: then all other schemas are replicated under their own names.
        tables: patterns of the tables to include; empty for all.
        excluded_tables: patterns of the tables to exclude.
    """

    schemas: tuple[tuple[str, str], ...]
    takes_all_schemas: bool = False
    tables: tuple[str, ...] = ()
    excluded_tables: tuple[str, ...] = ()
    state_schema: str = "replica_state"
    _decided: dict[TableName, TableName | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def _routes(self) -> dict[str, str]:
        return dict(self.schemas)

    @cached_property
    def _sources(self) -> dict[str, str]:
        return {target: source for source, target in self.schemas}

    @cached_property
    def _wanted(self) -> re.Pattern[str]:
        return pattern_of(self.tables or ("*",))

    @cached_property
    def _unwanted(self) -> re.Pattern[str] | None:
        return pattern_of(self.excluded_tables) if self.excluded_tables else None

    def schema_target(self, schema: str) -> str | None:
        """Return the name on the secondary of a schema of the primary, None if it is not replicated.

        A schema is not replicated if all of its tables are excluded. Otherwise it would be created, altered and dropped
        on the secondary although it has no tables there.
        """
        if self._leaves_out(schema):
            return None
        if schema in self._routes:
            return self._routes[schema]
        if self.takes_all_schemas and schema not in SYSTEM_SCHEMAS and schema != self.state_schema:
            return schema
        return None

    def _leaves_out(self, schema: str) -> bool:
        # If a pattern that ends in a star matches `schema.` with an empty table name, it matches every table too.
        return self._unwanted_wholes is not None and self._unwanted_wholes.match(f"{schema}.") is not None

    @cached_property
    def _unwanted_wholes(self) -> re.Pattern[str] | None:
        patterns = tuple(p for p in self.excluded_tables if p.endswith("*"))
        return pattern_of(patterns) if patterns else None

    @property
    def target_schemas(self) -> tuple[str, ...] | None:
        """Return the secondary's schemas that may hold replicated tables, None if the filters take all schemas."""
        return None if self.takes_all_schemas else tuple(dict.fromkeys(self._routes.values()))

    def is_target_schema(self, schema: str) -> bool:
        """Return True if a schema of the secondary may contain replicated tables."""
        return schema in self._routes.values() or (self.takes_all_schemas and schema not in SYSTEM_SCHEMAS)

    def source(self, target: TableName) -> TableName | None:
        """Return the name on the primary of a table of the secondary, None if nothing is replicated to that name."""
        name = TableName(self._sources.get(target.schema, target.schema), target.table)
        return name if self.target(name) == target else None

    def target(self, name: TableName) -> TableName | None:
        """Return the name on the secondary of a table of the primary, None if it is not replicated."""
        try:
            return self._decided[name]
        except KeyError:
            self._decided[name] = target = self._decide(name)
            return target

    def _decide(self, name: TableName) -> TableName | None:
        schema = self.schema_target(name.schema)
        if schema is None or not self._wanted.match(str(name)):
            return None
        if self._unwanted is not None and self._unwanted.match(str(name)):
            return None
        return TableName(schema, name.table)

    def is_within(self, other: Selection) -> bool:
        """Return True if this selects only tables that `other` selects too, under the same names on the secondary.

        Patterns are compared as texts: a narrower pattern counts as wider if `other` does not contain the same text.
        """
        return (
            all(self.schema_target(s) in (None, other.schema_target(s)) for s, _ in self.schemas)
            and (other.takes_all_schemas or not self.takes_all_schemas)
            and (not other.tables or (bool(self.tables) and set(self.tables) <= set(other.tables)))
            and set(self.excluded_tables) >= set(other.excluded_tables)
            and self.state_schema == other.state_schema
        )

    @cached_property
    def fingerprint(self) -> str:
        """Return a short hash of the filters; it changes if one of them changes."""
        parts = (
            sorted(f"{s}:{t}" for s, t in self.schemas),
            ["*"] if self.takes_all_schemas else [],
            sorted(self.tables),
            sorted(self.excluded_tables),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        schemas = ["*"] if self.takes_all_schemas else []
        schemas += [s if s == t else f"{s}:{t}" for s, t in self.schemas]
        text = f"schemas {','.join(schemas)}; tables {','.join(self.tables) or 'all'}"
        return f"{text}; excluded {','.join(self.excluded_tables)}" if self.excluded_tables else text


def pattern_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return the expression that matches the tables of patterns with `*` and `?`."""
    # fnmatch also understands [seq]. In these patterns a bracket is only a bracket of a name, so it is escaped.
    escaped = (p.replace("[", "[[]") for p in patterns)
    return re.compile("|".join(fnmatch.translate(p) for p in escaped))
