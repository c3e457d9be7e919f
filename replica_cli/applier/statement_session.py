"""The secondary's session for a logged statement: what the primary's session had, in words that this server knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.applier.time_zones import TimeZones
from replica_cli.applier.window import TableChangedInWindow
from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused
from replica_cli.mysql.collations import codec_of, has_one_byte, is_ambiguous
from replica_cli.sqlbuilder.alteration import doubts
from replica_cli.sqlbuilder.charsets import (
    asks_for_default_charset,
    bare_charsets,
    named_collations,
    names_table_charset,
    with_collations,
    with_names,
    with_table_collation,
    with_utf8_as_utf8mb4,
)
from replica_cli.sqlbuilder.context import (
    ANSI_QUOTES,
    APPLY_SESSION,
    EXPLICIT_DEFAULTS_FOR_TIMESTAMP,
    IF_EXISTS,
    NO_AUTO_VALUE_ON_ZERO,
    NO_BACKSLASH_ESCAPES,
    context_statement,
    crossed_mode,
)
from replica_cli.sqlbuilder.definition import schema_statement
from replica_cli.sqlbuilder.definition_crossing import Crossing, bytewise_default
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.session_variables import UNTOLD, assignment, wanted_value
from replica_cli.sqlbuilder.statement import StatementKind
from replica_cli.sqlbuilder.tokens import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.applier.time_zones import Ask
    from replica_cli.core.events import SessionContext, Statement
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.sqlbuilder.alteration import Doubt
    from replica_cli.sqlbuilder.statement import ParsedStatement

# MariaDB's charsets with a collation of their own since 11.5; its session says so in the log only where it differs.
_UNICODE = ("utf8mb3", "ucs2", "utf8mb4", "utf16", "utf32")
_UCA1400_SINCE = (11, 5, 0)
# Before, explicit_defaults_for_timestamp was no session's own and not in the log.
_LOGS_TIMESTAMP_DEFAULTS = (10, 10, 0)
# Before, `utf8` was utf8mb3 always, and old_mode had no word for it.
_UTF8_IS_A_CHOICE = (10, 6, 1)
_MAP = "character_set_collations"
_STEPS = ("auto_increment_increment", "auto_increment_offset")
_EXPLICIT = "explicit_defaults_for_timestamp"
_UTF8MB4 = "default_collation_for_utf8mb4"
_MYSQLS_CHOICE = ("utf8mb4_0900_ai_ci", "utf8mb4_general_ci")
_MYSQLS_DEFAULT = 255
# By charset, and in it by strength; those of a language are behind.
_UCA1400 = {
    2048 + 256 * number + strength: f"{charset}_uca1400_{name}"
    for number, charset in enumerate(("utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"))
    for strength, name in enumerate(
        ("ai_ci", "ai_cs", "as_ci", "as_cs", "nopad_ai_ci", "nopad_ai_cs", "nopad_as_ci", "nopad_as_cs")
    )
}
_MYSQLS_NAMES = {45: "utf8mb4_general_ci", 255: "utf8mb4_0900_ai_ci"}
_PLAIN = "utf8mb3_general_ci"
_SCHEMA_DEFAULT = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
_SCHEMA = (
    "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
)
_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)
_NATIONAL = ("NCHAR", "NVARCHAR", "NATIONAL")


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """What is run for a statement, in this order.

    `enter` makes the session that of the statement, `leave` makes it the applier's again. `differing` are the variables
    in which the secondary's session is another one, and of which some need a privilege.
    """

    parsed: ParsedStatement
    enter: str
    leave: str
    differing: tuple[str, ...]


class StatementSession:
    """Knows both servers.

    `collations` are the secondary's, by id: (collation, charset); `own` are the variables of the session in which
    statements run. The questions go to other sessions.
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
        found = self._collations.get(statement.context.character_set_client or 0)
        return codec_of(found[1]) if found else "utf-8"

    def is_ambiguous(self, statement: Statement, text: str) -> bool:
        """Say whether the servers may read a decoded text in another way than we do."""
        found = self._collations.get(statement.context.character_set_client or 0)
        return found is not None and is_ambiguous(text, found[1])

    def dialect(self, statement: Statement) -> Dialect:
        """Return how the primary read a statement's text, and how the secondary reads it in the session of `of`."""
        mode = statement.context.sql_mode or 0
        found = self._collations.get(statement.context.character_set_client or 0)
        return Dialect(
            is_mariadb=self._primary.is_mariadb,
            has_ansi_quotes=bool(mode & ANSI_QUOTES),
            has_backslash_escapes=not mode & NO_BACKSLASH_ESCAPES,
            is_one_byte=found is not None and has_one_byte(found[1]),
            folds_names=self._primary.lower_case_table_names > 0,
        )

    def doubts(self, statement: Statement, parsed: ParsedStatement, before: TableDefinition) -> list[Doubt]:
        """Return why an ALTER TABLE may leave other rows here than on the primary; `before` is the table as it is."""
        return doubts(
            parsed,
            before,
            schema=statement.schema,
            from_mariadb=self._primary.is_mariadb,
            to_mariadb=self._secondary.is_mariadb,
            keeps_zeros=bool((statement.context.sql_mode or 0) & NO_AUTO_VALUE_ON_ZERO),
        )

    def of(self, statement: Statement, parsed: ParsedStatement, targets: Sequence[TableName]) -> StatementPlan:
        """Return how to run a statement; `targets` is what the secondary calls its tables.

        Raises ApplyRefused where it means a collation that the secondary does not have, TableChangedInWindow where it
        depends on a time zone or a schema's default that the secondary does not have.
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
        # Set only where it has to be: some need a privilege, or are no session's own in old versions.
        differing = [n for n, value in wanted.items() if n in self._own and not _is_alike(self._own[n], value)]
        more = [assignment(name, wanted[name]) for name in differing]
        enter = context_statement(context, statement.timestamp, self._collations, more=more)
        leave = ", ".join((APPLY_SESSION, *(assignment(name, self._own[name]) for name in differing)))
        return StatementPlan(parsed, enter, leave, tuple(differing))

    def schema_statement(self, source: str, target: str, *, is_new: bool = True) -> str:
        """Return what gives the secondary a schema of the primary with its default of now, as a copy does.

        A schema that the primary has dropped by now is dropped here later.
        """
        found = self._ask_primary(_SCHEMA, source)
        if not found:
            return f"CREATE DATABASE IF NOT EXISTS {quote(target)}"
        charset, collation = map(str, found[0])
        crossing = Crossing(self._primary.is_mariadb, self._secondary.is_mariadb)
        charset, collation = crossing.schema_default(charset, self._here(collation) or collation)
        if (collation, charset) not in self._collations.values():
            is_known = any(charset == known for _, known in self._collations.values())
            charset, collation = bytewise_default(charset if is_known else "")
        return schema_statement(target, charset, collation, is_new=is_new)

    def _logged(
        self, context: SessionContext, parsed: ParsedStatement, *, is_same: bool
    ) -> tuple[ParsedStatement, dict[str, str]]:
        """Return what the event says in variables that not every server has, or in the statement's own text."""
        found = {}
        is_explicit = self._is_explicit(context)
        if is_explicit is not None:
            found[_EXPLICIT] = "ON" if is_explicit else "OFF"
        for name, wanted in zip(_STEPS, context.auto_increment or (1, 1), strict=True):
            found[name] = str(wanted)
        defaults = self._defaults(context)
        if _MAP in self._own:
            found[_MAP] = ",".join(f"{charset}={collation}" for charset, collation in defaults.items() if collation)
        elif is_same and _UTF8MB4 in self._own and defaults["utf8mb4"] in _MYSQLS_CHOICE:
            found[_UTF8MB4] = defaults["utf8mb4"]
        else:
            parsed = _collated(parsed, defaults, self._utf8)
        if "sql_if_exists" in self._own:
            found["sql_if_exists"] = "ON" if self._primary.is_mariadb and (context.flags2 or 0) & IF_EXISTS else "OFF"
        return parsed, found

    def _unlogged(self, parsed: ParsedStatement) -> dict[str, str]:
        is_creating = parsed.kind is StatementKind.CREATE_TABLE
        return {
            name: wanted_value(name, self._variables, self._own[name])
            for name, rule in UNTOLD.items()
            if name in self._own and not rule.only_allows and (is_creating or not rule.only_creating)
        }

    def _with_schema_default(self, parsed: ParsedStatement, target: TableName) -> ParsedStatement:
        """Write the collation of the primary's schema where a table gets it unsaid, and the secondary's has another.

        No event tells it, and neither server takes it from a session.
        """
        defaulted = asks_for_default_charset(parsed)
        is_unsaid = parsed.kind is StatementKind.CREATE_TABLE and not names_table_charset(parsed)
        if not defaulted and not is_unsaid:
            return parsed
        ours = self._ask_primary(_SCHEMA_DEFAULT, parsed.tables[0].schema)
        theirs = self._ask_secondary(_SCHEMA_DEFAULT, target.schema)
        if not ours or not theirs:
            return parsed
        meant = self._here(str(ours[0][0]))
        if meant in ("", str(theirs[0][0])):
            return parsed
        if defaulted:
            # Which collation the word means is another one in each version of MariaDB; MySQL does not have it here.
            reason = f"{parsed.kind} with CHARACTER SET DEFAULT, which the secondary's schema has another one for"
            raise TableChangedInWindow(parsed.tables, reason)
        return with_table_collation(parsed, meant)

    def _zone(self, statement: Statement, parsed: ParsedStatement) -> str | None:
        logged = statement.context.time_zone
        if not logged:
            return None
        found = self._zones.here(logged)
        if found is None and parsed.kind in _DEFINING and parsed.tables:
            raise TableChangedInWindow(
                parsed.tables,
                f"{parsed.kind} in the time zone {logged}, which the secondary does not know with the primary's rules",
            )
        return found or "+00:00"

    @property
    def _utf8(self) -> str:
        is_short = not self._primary.is_mariadb or "UTF8_IS_UTF8MB3" in self._variables.get("old_mode", "")
        return "utf8mb3" if is_short else "utf8mb4"

    def _is_explicit(self, context: SessionContext) -> bool | None:
        """Return explicit_defaults_for_timestamp: MySQL says it where a statement depends on it."""
        if not self._primary.is_mariadb:
            return context.explicit_defaults_for_timestamp
        if self._primary.version < _LOGS_TIMESTAMP_DEFAULTS:
            return self._primary.is_on(_EXPLICIT)
        return bool((context.flags2 or 0) & EXPLICIT_DEFAULTS_FOR_TIMESTAMP)

    def _defaults(self, context: SessionContext) -> dict[str, str]:
        """Return the collation that charsets had in the statement's session, "" where this server has no such one."""
        if not self._primary.is_mariadb:
            meant = _MYSQLS_NAMES.get(context.default_collation_for_utf8mb4 or _MYSQLS_DEFAULT, "")
            return {"utf8mb4": self._here(meant)}
        if context.charset_collations is None and self._primary.version >= _UCA1400_SINCE:
            return {charset: self._here(f"{charset}_uca1400_ai_ci") for charset in _UNICODE}
        found = {charset: f"{charset}_general_ci" for charset in _UNICODE}
        for own, instead in context.charset_collations or ():
            charset = self._collations.get(own, ("", ""))[1]
            found[charset] = self._name(instead)
        return found

    def _here(self, name: str) -> str:
        """Return what the secondary calls a collation of the primary, "" where it has none that compares alike."""
        names = {known for known, _ in self._collations.values()}
        if not name or name in names:
            return name
        return Crossing(self._primary.is_mariadb, self._secondary.is_mariadb).collation(name) or ""

    def _crossed(self, parsed: ParsedStatement) -> ParsedStatement:
        """Write the secondary's name of each collation that only the primary has; another it refuses by itself."""
        if self._utf8 == "utf8mb4":
            parsed = with_utf8_as_utf8mb4(parsed)
        written = {}
        for place, name in named_collations(parsed):
            if here := self._here(name):
                written[place] = here
        return with_names(parsed, written)

    def _name(self, collation_id: int) -> str:
        # The flavours number alike what they had in common; MariaDB's newer ones are its own.
        return self._collations.get(collation_id, ("", ""))[0] or self._here(_UCA1400.get(collation_id, ""))


def _is_alike(shown: str, wanted: str) -> bool:
    return shown.upper() == wanted.upper()


def _collated(parsed: ParsedStatement, defaults: Mapping[str, str], utf8: str) -> ParsedStatement:
    """Write out the collation of each charset that is named without one; `utf8` is the charset that this name means."""
    written = {}
    for place, named in bare_charsets(parsed).items():
        charset = utf8 if named == "utf8" else named
        collation = defaults.get(charset)
        if collation == "":
            raise _refused(parsed, named)
        if collation:
            written[place] = collation
    # NCHAR and the like name utf8mb3 without a place for its collation.
    if defaults.get("utf8mb3", _PLAIN) != _PLAIN and any(t.is_word(*_NATIONAL) for t in parsed.tokens):
        raise _refused(parsed, "utf8mb3")
    return with_collations(parsed, written)


def _refused(parsed: ParsedStatement, charset: str) -> ApplyRefused:
    return ApplyRefused(
        f"a definition with CHARACTER SET {charset} means a collation that the secondary cannot be told",
        hint=f"name a collation that both servers have (CHARACTER SET {charset} COLLATE …), then `replica transfer "
        f"{table_options(parsed.tables[:1])}` copies it again",
        table=parsed.tables[0] if parsed.tables else None,
    )
