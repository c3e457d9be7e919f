"""Which tables are replicated, and under which schema they stand on the secondary."""

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
    """The filters: schemas (with routes), tables to take and tables to leave.

    `schemas` maps the primary's schema to the secondary's; `takes_all_schemas` stands for `*`.
    Patterns are `schema.table` of the primary, with `*` and `?`.
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
        return _any_of(self.tables or ("*",))

    @cached_property
    def _unwanted(self) -> re.Pattern[str] | None:
        return _any_of(self.excluded_tables) if self.excluded_tables else None

    @property
    def routes(self) -> bool:
        """Say whether any schema has another name on the secondary."""
        return any(source != target for source, target in self.schemas)

    def schema_target(self, schema: str) -> str | None:
        """Return the secondary's name of the primary's schema, None where it is not replicated.

        A schema all of whose tables are excluded is not: it would be made, altered and dropped without a table.
        """
        if self._leaves_out(schema):
            return None
        if schema in self._routes:
            return self._routes[schema]
        if self.takes_all_schemas and schema not in SYSTEM_SCHEMAS and schema != self.state_schema:
            return schema
        return None

    def _leaves_out(self, schema: str) -> bool:
        # A pattern with a star at its end that matches a name of no characters matches every longer one too.
        return self._unwanted_wholes is not None and self._unwanted_wholes.match(f"{schema}.") is not None

    @cached_property
    def _unwanted_wholes(self) -> re.Pattern[str] | None:
        patterns = tuple(p for p in self.excluded_tables if p.endswith("*"))
        return _any_of(patterns) if patterns else None

    @property
    def target_schemas(self) -> tuple[str, ...] | None:
        """Return the secondary's schemas that may hold replicated tables, None where they are not known by name."""
        return None if self.takes_all_schemas else tuple(dict.fromkeys(self._routes.values()))

    def is_target_schema(self, schema: str) -> bool:
        """Say whether a schema of the secondary may hold replicated tables."""
        return schema in self._routes.values() or (self.takes_all_schemas and schema not in SYSTEM_SCHEMAS)

    def source(self, target: TableName) -> TableName | None:
        """Return the primary's name of the secondary's table, None where the filters copy nothing to that name."""
        name = TableName(self._sources.get(target.schema, target.schema), target.table)
        return name if self.target(name) == target else None

    def target(self, name: TableName) -> TableName | None:
        """Return the secondary's name of the primary's table, None where it is not replicated."""
        try:
            return self._decided[name]
        except KeyError:
            self._decided[name] = found = self._decide(name)
            return found

    def _decide(self, name: TableName) -> TableName | None:
        schema = self.schema_target(name.schema)
        if schema is None or not self._wanted.match(str(name)):
            return None
        if self._unwanted is not None and self._unwanted.match(str(name)):
            return None
        return TableName(schema, name.table)

    def is_within(self, other: Selection) -> bool:
        """Say whether this selects nothing that the other does not, and routes the rest alike.

        Patterns are compared as they stand: a narrower pattern that is not one of the other's counts as wider.
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
        """Return a short hash that changes whenever the filters select or route otherwise."""
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


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # fnmatch knows [seq] as well; a bracket in a table's name is a bracket here.
    escaped = (p.replace("[", "[[]") for p in patterns)
    return re.compile("|".join(fnmatch.translate(p) for p in escaped))
