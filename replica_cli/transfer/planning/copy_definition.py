"""Read a table of the primary at one moment, and what makes it on the secondary."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.attempts import DEFINITION_ATTEMPTS
from replica_cli.core.column_types import MARIADB_SINCE, MYSQL_SINCE
from replica_cli.core.errors import ApplyRefused
from replica_cli.mysql.catalog.table_definitions import read_table, show_create, show_create_sequence, show_creates
from replica_cli.mysql.errnos import ER_BAD_DB, ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.definitions.create_statements import (
    CreateStatements,
    column_kinds,
    create_statements,
    without_counter,
)
from replica_cli.sqlbuilder.definitions.crossing import Crossing
from replica_cli.sqlbuilder.definitions.sequences import TYPED_SINCE, is_sequence, sequence_statement
from replica_cli.sqlbuilder.rows.chunks import PagingKey, as_written, paging_key, value_expression
from replica_cli.sqlbuilder.statements.determinism import why_computed_values_differ
from replica_cli.sqlbuilder.statements.system_versioning import (
    INSERTS_HISTORY_SINCE,
    LAST_MOMENTS,
    last_year,
    why_history_differs,
)
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of
from replica_cli.transfer.errors import TableAltered
from replica_cli.transfer.rows.documents import JsonHandling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class Origin:
    """What decides how a definition is translated: the filters, and flavour and version of both servers."""

    selection: Selection
    from_mariadb: bool
    to_mariadb: bool
    cascades_are_logged: bool = False
    to_version: tuple[int, int, int] = (99, 0, 0)
    from_version: tuple[int, int, int] = (99, 0, 0)
    shared_checks: frozenset[str] = frozenset()

    @property
    def crossing(self) -> Crossing:
        """Return the translation from the primary's flavour to the secondary's."""
        return Crossing(self.from_mariadb, self.to_mariadb, self.shared_checks)

    def route(self, name: TableName) -> TableName | None:
        """Return the secondary's name of a table, None if the table is not replicated."""
        return self.selection.target(name)

    @property
    def last_moment(self) -> str:
        """Return where current row versions end on the secondary, "" if that is the same moment as on the primary."""
        year = last_year(self.to_version)
        return LAST_MOMENTS[year] if year != last_year(self.from_version) else ""


@dataclass(frozen=True, slots=True)
class CopyDefinition:
    """What a table is on the primary, and what makes it on the secondary.

    Attributes:
        primary: the table as the primary has it.
        target: its name on the secondary.
        statements: what makes it on the secondary.
        fingerprint: changes when the definition changes, except for the AUTO_INCREMENT counter.
        key: the key along which the rows are read, None if the table cannot be paged.
        needs_lock: no snapshot keeps its rows unchanged while they are read, so the table is locked.
    """

    primary: TableDefinition
    target: TableName
    statements: CreateStatements
    fingerprint: str
    key: PagingKey | None
    needs_lock: bool
    json_handling: JsonHandling = JsonHandling.NONE

    @property
    def name(self) -> TableName:
        """Return the name on the primary."""
        return self.primary.name


def read_definition(
    primary: Session, origin: Origin, definition: TableDefinition, create_text: str | None = None
) -> CopyDefinition:
    """Read what makes a table on the secondary.

    `create_text` is the result of `show_create` for it, None to read that.

    Raises:
        ApplyRefused: the table cannot be copied exactly.
        TableAltered: the table has other columns at this moment than the definition has.
        ServerError: the primary refuses a query or does not answer.
    """
    if definition.is_sequence:
        return _read_sequence(primary, origin, definition)
    _check_kind(origin, definition)
    for column in definition.written_columns:
        value_expression(column)
        since = (MARIADB_SINCE if origin.to_mariadb else MYSQL_SINCE).get(column.data_type)
        if since is not None and since > origin.to_version and origin.from_mariadb == origin.to_mariadb:
            raise ApplyRefused(f"column {column.name}: the secondary's release has no type {column.column_type}")
    if difference := why_computed_values_differ(
        definition, from_mariadb=origin.from_mariadb, to_mariadb=origin.to_mariadb
    ):
        raise ApplyRefused(f"{definition.name}: {difference[0]} is computed when a row is written, and {difference[1]}")
    text = show_create(primary, definition.name) if create_text is None else create_text
    needs_lock = kind_of(definition.engine) is EngineKind.CONVERTED
    target = origin.route(definition.name) or definition.name
    statements = create_statements(text, target, source=definition.name, route=origin.route, crossing=origin.crossing)
    if statements.columns != {c.name for c in definition.columns}:
        raise TableAltered(f"{definition.name}: the table was altered on the primary")
    key = None if needs_lock or definition.is_versioned else paging_key(definition)
    if definition.is_versioned:
        # An index that is added later would not contain the end of the row versions.
        statements = replace(statements, deferred_keys=())
    definition = definition.with_history(origin.last_moment)
    if origin.crossing.is_needed:
        definition = _as_made(definition, statements)
    _check_parents(origin, definition)
    fingerprint = _fingerprint(text, origin)
    return CopyDefinition(
        definition, target, statements, fingerprint, key, needs_lock, _json_handling(definition, origin)
    )


def _check_kind(origin: Origin, definition: TableDefinition) -> None:
    if not definition.is_versioned:
        if definition.kind != "BASE TABLE":
            raise ApplyRefused(f"a table of kind {definition.kind} cannot be copied exactly")
        return
    if not origin.to_mariadb:
        raise ApplyRefused("MySQL has no system-versioned tables", hint=f"exclude {definition.name}")
    if origin.to_version < INSERTS_HISTORY_SINCE:
        raise ApplyRefused(
            "the secondary's release does not accept row versions with their original times",
            hint=f"use MariaDB 10.11 or later, or exclude {definition.name}",
        )
    if reason := why_history_differs(definition):
        raise ApplyRefused(reason, hint=f"exclude {definition.name}")


def _read_sequence(primary: Session, origin: Origin, definition: TableDefinition) -> CopyDefinition:
    """Read what makes a sequence.

    No snapshot keeps its row unchanged, and none is needed: a row event sets all of it, so the stream corrects any
    later state.
    """
    if not origin.to_mariadb:
        raise ApplyRefused("MySQL has no sequences", hint=f"exclude {definition.name}")
    name, target = definition.name, origin.route(definition.name) or definition.name
    text = show_create_sequence(primary, name)
    create, notes = sequence_statement(text, target, source=name, knows_types=origin.to_version >= TYPED_SINCE)
    statements = CreateStatements(create, notes=notes)
    return CopyDefinition(definition, target, statements, _fingerprint(text, origin), None, needs_lock=False)


def _as_made(definition: TableDefinition, statements: CreateStatements) -> TableDefinition:
    """Return the definition with the types for which values must be written, if the secondary has other types."""
    kinds = column_kinds(statements.create)
    columns = tuple(as_written(c, kinds.get(c.name, "")) for c in definition.columns)
    return replace(definition, columns=columns) if columns != definition.columns else definition


def _json_handling(definition: TableDefinition, origin: Origin) -> JsonHandling:
    # MySQL's documents go to MariaDB as the text that MySQL shows: MariaDB stores no more than that.
    if origin.to_mariadb or all(c.data_type != "json" for c in definition.written_columns):
        return JsonHandling.NONE
    return JsonHandling.CHECKED if origin.from_mariadb else JsonHandling.TYPED


def _check_parents(origin: Origin, definition: TableDefinition) -> None:
    if origin.cascades_are_logged:
        return
    for key in definition.foreign_keys:
        if key.acts and origin.selection.target(key.parent) is None:
            raise ApplyRefused(
                f"foreign key {key.name} changes its rows when {key.parent} changes: the log does not show that, and "
                f"{key.parent} is not replicated",
                hint=f"replicate {key.parent} too, or exclude {definition.name}",
            )


def reread_definition(primary: Session, origin: Origin, name: TableName) -> CopyDefinition | None:
    """Read a table as it is at this moment, None if it is gone.

    Its columns and its CREATE statement come from two queries. If the table is altered between them, it is read again.

    Raises:
        TableAltered: it was altered between the queries each time.
        ApplyRefused: the table cannot be copied exactly.
        ServerError: the primary refuses a query or does not answer.
    """
    for _ in range(DEFINITION_ATTEMPTS):
        try:
            table = read_table(primary, name)
            definition = read_definition(primary, origin, table) if table else None
        except TableAltered:
            continue
        except ServerError as error:
            if error.errno in (ER_NO_SUCH_TABLE, ER_BAD_DB):
                return None
            raise
        if definition is None or read_table(primary, name) == table:
            return definition
    raise TableAltered(f"{name}: altered again and again on the primary", hint="copy it when its DDL is over")


def unaltered(primary: Session, origin: Origin, definitions: Sequence[CopyDefinition]) -> set[TableName]:
    """Return which tables still have the same definition, in few round trips. Raises ServerError.

    Any other table may be gone or altered, or could not be shown: `current_fingerprint` tells which.
    """
    texts = show_creates(primary, [definition.name for definition in definitions])
    return {
        definition.name
        for definition in definitions
        if (text := texts.get(definition.name)) is not None and _fingerprint(text, origin) == definition.fingerprint
    }


def current_fingerprint(primary: Session, origin: Origin, name: TableName) -> str | None:
    """Return the fingerprint of the table's current definition, None if the table is gone."""
    try:
        text = show_create(primary, name)
        return _fingerprint(show_create_sequence(primary, name) if is_sequence(text) else text, origin)
    except ServerError as error:
        if error.errno in (ER_NO_SUCH_TABLE, ER_BAD_DB):
            return None
        raise


def _fingerprint(text: str, origin: Origin) -> str:
    return hashlib.sha256(f"{origin.selection.fingerprint}\0{without_counter(text)}".encode()).hexdigest()
