"""The secondary's session for a logged statement: what the primary's session had, in words that this server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused
from replica_cli.mysql.collations import codec_of, has_one_byte, is_ambiguous
from replica_cli.sqlbuilder.charsets import bare_charsets, named_collations, with_collations, with_names
from replica_cli.sqlbuilder.context import (
    ANSI_QUOTES,
    APPLY_SESSION,
    EXPLICIT_DEFAULTS_FOR_TIMESTAMP,
    IF_EXISTS,
    NO_BACKSLASH_ESCAPES,
    context_statement,
)
from replica_cli.sqlbuilder.definition_crossing import Crossing
from replica_cli.sqlbuilder.tokens import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.events import SessionContext, Statement
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.sqlbuilder.statement import ParsedStatement

# MariaDB's charsets with a collation of their own since 11.5; its session says so in the log only where it differs.
_UNICODE = ("utf8mb3", "ucs2", "utf8mb4", "utf16", "utf32")
_UCA1400_SINCE = (11, 5, 0)
# Before, explicit_defaults_for_timestamp was no session's own and not in the log.
_LOGS_TIMESTAMP_DEFAULTS = (10, 10, 0)
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
_NATIONAL = ("NCHAR", "NVARCHAR", "NATIONAL")


class StatementSession:
    """Knows both servers; `collations` are the secondary's, by id: (collation, charset)."""

    def __init__(self, primary: ServerFacts, secondary: ServerFacts, collations: Mapping[int, tuple[str, str]]) -> None:
        self._primary = primary
        self._secondary = secondary
        self._collations = collations
        restored = [f"{v}=DEFAULT" for v in (_MAP, "sql_if_exists") if v in secondary.variables]
        self._leave = ", ".join((APPLY_SESSION, *restored))

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

    def of(self, statement: Statement, parsed: ParsedStatement) -> tuple[ParsedStatement, str, str]:
        """Return the statement to run, the SET before it, and the one after it.

        Raises ApplyRefused where the statement means a collation that the secondary does not have.
        """
        context = statement.context
        more: dict[str, str] = {}
        leave = self._leave
        is_explicit = self._is_explicit(context)
        if is_explicit is not None and is_explicit != self._secondary.is_on(_EXPLICIT):
            # Set only where it has to be: MySQL wants a privilege for it, MariaDB before 10.8.2 has it global only.
            more[_EXPLICIT] = str(int(is_explicit))
            leave += f", {_EXPLICIT}=DEFAULT"
        for name, wanted in zip(_STEPS, context.auto_increment or (1, 1), strict=True):
            # Numbers that an ALTER gives to rows that are there. A privilege again.
            if self._secondary.variables.get(name, "1") != str(wanted):
                more[name] = str(wanted)
                leave += f", {name}=DEFAULT"
        is_same = self._primary.is_mariadb == self._secondary.is_mariadb
        if not is_same:
            parsed = self._crossed(parsed)
        defaults = self._defaults(context)
        if _MAP in self._secondary.variables:
            pairs = ",".join(f"{charset}={collation}" for charset, collation in defaults.items() if collation)
            more[_MAP] = f"'{pairs}'"
        elif is_same and _UTF8MB4 in self._secondary.variables and defaults["utf8mb4"] in _MYSQLS_CHOICE:
            # Set only where it has to be: that takes a privilege.
            if self._secondary.variables[_UTF8MB4] != defaults["utf8mb4"]:
                more[_UTF8MB4] = defaults["utf8mb4"]
                leave += f", {_UTF8MB4}=DEFAULT"
        else:
            parsed = _collated(parsed, defaults)
        if self._primary.is_mariadb and "sql_if_exists" in self._secondary.variables:
            more["sql_if_exists"] = str(int(bool((context.flags2 or 0) & IF_EXISTS)))
        enter = context_statement(context, statement.timestamp, self._collations, has_same_modes=is_same, more=more)
        return parsed, enter, leave

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
        written = {}
        for place, name in named_collations(parsed):
            if here := self._here(name):
                written[place] = here
        return with_names(parsed, written)

    def _name(self, collation_id: int) -> str:
        # The flavours number alike what they had in common; MariaDB's newer ones are its own.
        return self._collations.get(collation_id, ("", ""))[0] or self._here(_UCA1400.get(collation_id, ""))


def _collated(parsed: ParsedStatement, defaults: Mapping[str, str]) -> ParsedStatement:
    """Write out the collation of each charset that is named without one."""
    written = {}
    for place, named in bare_charsets(parsed).items():
        charset = "utf8mb3" if named == "utf8" else named
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
        "--table` copies the table anew",
        table=parsed.tables[0] if parsed.tables else None,
    )
