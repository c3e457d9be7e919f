"""Builds the session settings and the text with which a logged statement means the same on the secondary.

The session variables of the primary's session come from the event, or from the primary's global variables if no event
logs them. What the secondary cannot take as a variable is written into the statement. The DDL part of the applier uses
it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.applier.ddl.time_zones import TimeZones
from replica_cli.core.charsets import (
    MYSQL_UTF8MB4_COLLATIONS,
    UCA1400_CHARSETS,
    UCA1400_COLLATIONS,
    codec_of,
    has_one_byte,
    is_ambiguous,
)
from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, TableChangedInWindow
from replica_cli.sqlbuilder.definitions.create_statements import schema_statement
from replica_cli.sqlbuilder.definitions.crossing import Crossing, bytewise_default
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.session_context import (
    ANSI_QUOTES,
    APPLY_SESSION,
    EXPLICIT_DEFAULTS_FOR_TIMESTAMP,
    IF_EXISTS,
    NO_AUTO_VALUE_ON_ZERO,
    NO_BACKSLASH_ESCAPES,
    context_statement,
    crossed_mode,
)
from replica_cli.sqlbuilder.session_variables import UNLOGGED_VARIABLES, assignment, wanted_value
from replica_cli.sqlbuilder.statements.doubtful_alterations import doubts
from replica_cli.sqlbuilder.statements.named_charsets import (
    asks_for_default_charset,
    bare_charsets,
    named_collations,
    names_table_charset,
    with_collations,
    with_names,
    with_table_collation,
    with_utf8_as_utf8mb4,
)
from replica_cli.sqlbuilder.statements.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.applier.ddl.time_zones import Ask
    from replica_cli.core.events import SessionContext, Statement
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.sqlbuilder.statements.doubtful_alterations import Doubt
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

# Since this release the default collation of the charsets that have a uca1400 one is that one. Events log a session's
# defaults only if they differ from the server's.
_UCA1400_SINCE = (11, 5, 0)
# Before this version explicit_defaults_for_timestamp was no session variable and was not in the log.
_LOGS_TIMESTAMP_DEFAULTS = (10, 10, 0)
# Before this version `utf8` always was utf8mb3, and old_mode had no flag for it.
_UTF8_IS_A_CHOICE = (10, 6, 1)
_MAP = "character_set_collations"
_STEPS = ("auto_increment_increment", "auto_increment_offset")
_EXPLICIT = "explicit_defaults_for_timestamp"
_UTF8MB4 = "default_collation_for_utf8mb4"
_MYSQLS_DEFAULT = 255
_PLAIN = "utf8mb3_general_ci"
_SCHEMA_DEFAULT = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
_SCHEMA = (
    "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
)
_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)
_NATIONAL = ("NCHAR", "NVARCHAR", "NATIONAL")


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """How to run a statement: `enter`, then the statement, then `leave`.

    Attributes:
        parsed: the statement, with what had to be written into its text.
        enter: the SET that gives the session the settings of the statement.
        leave: the SET that gives the session the applier's settings back.
        differing: the variables that need another value than the applier's session has; some need a privilege.

    """

    parsed: ParsedStatement
    enter: str
    leave: str
    differing: tuple[str, ...]


class StatementSession:
    """Reads and translates the statements of one primary for one secondary.

    `collations` are the secondary's, by id: (collation, charset). `own` are the variables of the session that runs the
    statements. `ask_primary` and `ask_secondary` query on other sessions.
    """

    def __init__(
        self,
        primary: ServerFacts,
        secondary: ServerFacts,
        collations: Mapping[int, tuple[str, str]],
        own: Mapping[str, str],
        *,
        ask_primary: Ask,
        ask_secondary: Ask,
    ) -> None:
        self._primary = primary
        self._secondary = secondary
        self._collations = collations
        self._own = own
        self._ask_primary = ask_primary
        self._ask_secondary = ask_secondary
        self._zones = TimeZones(ask_primary, ask_secondary)
        self._variables = dict(primary.variables)
        if primary.is_mariadb and primary.version < _UTF8_IS_A_CHOICE:
            self._variables["old_mode"] = "UTF8_IS_UTF8MB3," + primary.variables.get("old_mode", "")

    def codec(self, statement: Statement) -> str:
        """Return Python's codec for a statement's text."""
        collation = self._collations.get(statement.context.character_set_client or 0)
        return codec_of(collation[1]) if collation else "utf-8"

    def is_ambiguous(self, statement: Statement, text: str) -> bool:
        """Return True if a server may read other characters than Python has decoded."""
        collation = self._collations.get(statement.context.character_set_client or 0)
        return collation is not None and is_ambiguous(text, collation[1])

    def dialect(self, statement: Statement) -> Dialect:
        """Return how the primary read a statement's text. The secondary reads it alike with the settings of `of`."""
        mode = statement.context.sql_mode or 0
        collation = self._collations.get(statement.context.character_set_client or 0)
        return Dialect(
            is_mariadb=self._primary.is_mariadb,
            has_ansi_quotes=bool(mode & ANSI_QUOTES),
            has_backslash_escapes=not mode & NO_BACKSLASH_ESCAPES,
            is_one_byte=collation is not None and has_one_byte(collation[1]),
            folds_names=self._primary.lower_case_table_names > 0,
        )

    def doubts(self, statement: Statement, parsed: ParsedStatement, before: TableDefinition) -> list[Doubt]:
        """Return why an ALTER TABLE may leave other rows on the secondary than on the primary.

        `before` is the secondary's definition before the statement.
        """
        return doubts(
            parsed,
            before,
            schema=statement.schema,
            from_mariadb=self._primary.is_mariadb,
            to_mariadb=self._secondary.is_mariadb,
            keeps_zeros=bool((statement.context.sql_mode or 0) & NO_AUTO_VALUE_ON_ZERO),
        )

    def of(self, statement: Statement, parsed: ParsedStatement, targets: Sequence[TableName]) -> StatementPlan:
        """Return how to run a statement.

        Args:
            statement: the statement as it was logged.
            parsed: the same statement, parsed.
            targets: the secondary's names of its tables.

        Raises:
            ApplyRefused: if it means a collation that the secondary does not have.
            TableChangedInWindow: if it depends on a time zone that the secondary does not know alike, or on a schema's
                default charset that the secondary's schema does not have.

        """
        is_same = self._primary.is_mariadb == self._secondary.is_mariadb
        context = replace(statement.context, time_zone=self._zone(statement, parsed))
        if not is_same:
            parsed = self._crossed(parsed)
            if context.sql_mode is not None:
                mode = crossed_mode(context.sql_mode, to_mariadb=self._secondary.is_mariadb)
                context = replace(context, sql_mode=mode)
        if parsed.kind in _DEFINING and parsed.model is None and targets:
            parsed = self._with_schema_default(parsed, targets[0])
        parsed, logged = self._logged(context, parsed, is_same=is_same)
        wanted = {**self._unlogged(parsed), **logged}
        # Only variables that differ are set: some need a privilege, or are no session variables in old versions.
        differing = [n for n, value in wanted.items() if n in self._own and not _is_equal(self._own[n], value)]
        more = [assignment(name, wanted[name]) for name in differing]
        enter = context_statement(context, statement.timestamp, self._collations, more=more)
        leave = ", ".join((APPLY_SESSION, *(assignment(name, self._own[name]) for name in differing)))
        return StatementPlan(parsed, enter, leave, tuple(differing))

    def schema_statement(self, source: str, target: str, *, is_new: bool = True) -> str:
        """Return the statement that gives the secondary a schema with the current default charset of the primary's.

        If the primary does not have the schema any more, it is made without a charset: its DROP comes later in the log.

        Args:
            source: the schema's name on the primary.
            target: its name on the secondary.
            is_new: False for a schema that the secondary has.

        """
        rows = self._ask_primary(_SCHEMA, source)
        if not rows:
            return f"CREATE DATABASE IF NOT EXISTS {quote(target)}"
        charset, collation = map(str, rows[0])
        crossing = Crossing(self._primary.is_mariadb, self._secondary.is_mariadb)
        charset, collation = crossing.schema_default(charset, self._secondary_collation(collation) or collation)
        if (collation, charset) not in self._collations.values():
            is_known = any(charset == known for _, known in self._collations.values())
            charset, collation = bytewise_default(charset if is_known else "")
        return schema_statement(target, charset, collation, is_new=is_new)

    def _logged(
        self, context: SessionContext, parsed: ParsedStatement, *, is_same: bool
    ) -> tuple[ParsedStatement, dict[str, str]]:
        """Return the variables that the event logs and that not every server has, by name.

        What the secondary has no variable for is written into the statement, which is returned too.
        """
        variables = {}
        is_explicit = self._is_explicit(context)
        if is_explicit is not None:
            variables[_EXPLICIT] = "ON" if is_explicit else "OFF"
        for name, value in zip(_STEPS, context.auto_increment or (1, 1), strict=True):
            variables[name] = str(value)
        defaults = self._defaults(context)
        if _MAP in self._own:
            variables[_MAP] = ",".join(f"{charset}={collation}" for charset, collation in defaults.items() if collation)
        elif is_same and _UTF8MB4 in self._own and defaults["utf8mb4"] in MYSQL_UTF8MB4_COLLATIONS.values():
            variables[_UTF8MB4] = defaults["utf8mb4"]
        else:
            parsed = _collated(parsed, defaults, self._utf8)
        if "sql_if_exists" in self._own:
            variables["sql_if_exists"] = (
                "ON" if self._primary.is_mariadb and (context.flags2 or 0) & IF_EXISTS else "OFF"
            )
        return parsed, variables

    def _unlogged(self, parsed: ParsedStatement) -> dict[str, str]:
        """Return the variables that matter to a statement and that no event logs, by name."""
        is_creating = parsed.kind is StatementKind.CREATE_TABLE
        return {
            name: wanted_value(name, self._variables, self._own[name])
            for name, rule in UNLOGGED_VARIABLES.items()
            if name in self._own and not rule.only_allows and (is_creating or not rule.only_creating)
        }

    def _with_schema_default(self, parsed: ParsedStatement, target: TableName) -> ParsedStatement:
        """Return the statement with the default collation of the primary's schema, if the secondary's schema differs.

        Only for a table that gets the schema's default. No event logs this default, and neither flavour takes it from
        a session variable.
        """
        defaulted = asks_for_default_charset(parsed)
        is_unnamed = parsed.kind is StatementKind.CREATE_TABLE and not names_table_charset(parsed)
        if not defaulted and not is_unnamed:
            return parsed
        primary_rows = self._ask_primary(_SCHEMA_DEFAULT, parsed.tables[0].schema)
        secondary_rows = self._ask_secondary(_SCHEMA_DEFAULT, target.schema)
        if not primary_rows or not secondary_rows:
            return parsed
        collation = self._secondary_collation(str(primary_rows[0][0]))
        if collation in ("", str(secondary_rows[0][0])):
            return parsed
        if defaulted:
            # The word DEFAULT means another collation in each version of MariaDB, and MySQL does not accept it there.
            reason = f"{parsed.kind} with CHARACTER SET DEFAULT, and the secondary's schema has another default"
            raise TableChangedInWindow(parsed.tables, reason)
        return with_table_collation(parsed, collation)

    def _zone(self, statement: Statement, parsed: ParsedStatement) -> str | None:
        """Return the time_zone for a statement on the secondary, None if the event does not log one."""
        logged = statement.context.time_zone
        if not logged:
            return None
        zone = self._zones.secondary_zone(logged)
        if zone is None and parsed.kind in _DEFINING and parsed.tables:
            raise TableChangedInWindow(
                parsed.tables,
                f"{parsed.kind} in the time zone {logged}, for which the secondary has other rules or none",
            )
        return zone or "+00:00"

    @property
    def _utf8(self) -> str:
        """Return the charset that the name utf8 means on the primary."""
        is_utf8mb3 = not self._primary.is_mariadb or "UTF8_IS_UTF8MB3" in self._variables.get("old_mode", "")
        return "utf8mb3" if is_utf8mb3 else "utf8mb4"

    def _is_explicit(self, context: SessionContext) -> bool | None:
        """Return explicit_defaults_for_timestamp of the statement's session, None if it is unknown.

        MySQL logs it for the statements that depend on it.
        """
        if not self._primary.is_mariadb:
            return context.explicit_defaults_for_timestamp
        if self._primary.version < _LOGS_TIMESTAMP_DEFAULTS:
            return self._primary.is_on(_EXPLICIT)
        return bool((context.flags2 or 0) & EXPLICIT_DEFAULTS_FOR_TIMESTAMP)

    def _defaults(self, context: SessionContext) -> dict[str, str]:
        """Return the default collations of charsets in the statement's session, by charset.

        They have the secondary's names, "" for a collation that the secondary does not have.
        """
        if not self._primary.is_mariadb:
            name = MYSQL_UTF8MB4_COLLATIONS.get(context.default_collation_for_utf8mb4 or _MYSQLS_DEFAULT, "")
            return {"utf8mb4": self._secondary_collation(name)}
        if context.charset_collations is None and self._primary.version >= _UCA1400_SINCE:
            return {charset: self._secondary_collation(f"{charset}_uca1400_ai_ci") for charset in UCA1400_CHARSETS}
        defaults = {charset: f"{charset}_general_ci" for charset in UCA1400_CHARSETS}
        for default_id, collation_id in context.charset_collations or ():
            charset = self._collations.get(default_id, ("", ""))[1]
            defaults[charset] = self._name(collation_id)
        return defaults

    def _secondary_collation(self, name: str) -> str:
        """Return the secondary's name of a collation of the primary, "" if it has none that compares alike."""
        names = {known for known, _ in self._collations.values()}
        if not name or name in names:
            return name
        return Crossing(self._primary.is_mariadb, self._secondary.is_mariadb).collation(name) or ""

    def _crossed(self, parsed: ParsedStatement) -> ParsedStatement:
        """Return the statement with the secondary's name of each collation that is named in it.

        A collation that has no equal on the secondary stays: the secondary refuses it.
        """
        if self._utf8 == "utf8mb4":
            parsed = with_utf8_as_utf8mb4(parsed)
        names = {}
        for index, name in named_collations(parsed):
            if collation := self._secondary_collation(name):
                names[index] = collation
        return with_names(parsed, names)

    def _name(self, collation_id: int) -> str:
        # Both flavours have the same ids for their common collations. MariaDB's newer collations have ids of their own.
        return self._collations.get(collation_id, ("", ""))[0] or self._secondary_collation(
            UCA1400_COLLATIONS.get(collation_id, "")
        )


def _is_equal(value: str, wanted: str) -> bool:
    return value.upper() == wanted.upper()


def _collated(parsed: ParsedStatement, defaults: Mapping[str, str], utf8: str) -> ParsedStatement:
    """Return the statement with a collation after each charset that is named without one.

    Args:
        parsed: the statement.
        defaults: the collations, by charset.
        utf8: the charset that the name utf8 means.

    Raises:
        ApplyRefused: if the secondary does not have a collation that the statement means.

    """
    collations = {}
    for index, named in bare_charsets(parsed).items():
        charset = utf8 if named == "utf8" else named
        collation = defaults.get(charset)
        if collation == "":
            raise _refused(parsed, named)
        if collation:
            collations[index] = collation
    # NCHAR and its synonyms mean utf8mb3, and no collation can be written after them.
    if defaults.get("utf8mb3", _PLAIN) != _PLAIN and any(t.is_word(*_NATIONAL) for t in parsed.tokens):
        raise _refused(parsed, "utf8mb3")
    return with_collations(parsed, collations)


def _refused(parsed: ParsedStatement, charset: str) -> ApplyRefused:
    return ApplyRefused(
        f"a definition with CHARACTER SET {charset} means a collation that the secondary lacks or does not accept",
        hint=f"name a collation that both servers have (CHARACTER SET {charset} COLLATE …), then `replica transfer "
        f"{table_options(parsed.tables[:1])}` copies it again",
        table=parsed.tables[0] if parsed.tables else None,
    )
