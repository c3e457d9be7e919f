"""Read from SHOW GRANTS what an account may do, in the forms of both flavours, including its active roles.

`SHOW GRANTS` without an account also lists the roles that are active in this session: MariaDB as further lines, MySQL
merged into the account's own lines. So the result is exactly what this session may do.
Sources: https://mariadb.com/kb/en/show-grants/ and https://dev.mysql.com/doc/refman/en/show-grants.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.identifiers import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.mysql.session import Session

_NAME = r"(`(?:[^`]|``)*`|\*|[^\s.`]+)"
# Lines of roles ("GRANT `r` TO …") and of PROXY have nothing after ON, or text of another form, and match neither.
_GRANT = re.compile(
    rf"^GRANT (?P<what>.+?) ON (?:TABLE )?(?P<schema>{_NAME})\.(?P<table>{_NAME}) TO (?P<to>\S+)", re.DOTALL
)
_REVOKE = re.compile(rf"^REVOKE (?P<what>.+?) ON (?P<schema>{_NAME})\.(?P<table>{_NAME}) FROM ", re.DOTALL)
_ALL = "ALL"
# ALL PRIVILEGES does not include these.
_NOT_IN_ALL = frozenset({"GRANT OPTION", "PROXY"})


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of SHOW GRANTS: privileges on everything, on a schema or on a table.

    `schema` is a LIKE pattern. An empty `schema` or `table` means all of them.
    """

    privileges: frozenset[str]
    schema: str
    table: str
    is_revoke: bool = False


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that the account of a session may do.

    `account` is quoted, as in GRANT … TO. If `has_wildcards` is False, the server takes % and _ in schemas literally.
    """

    account: str
    grants: tuple[Grant, ...]
    has_wildcards: bool = True

    def allows(self, privilege: str) -> bool:
        """Return True if the account has a privilege on everything (`ON *.*`)."""
        return any(not g.schema and not g.is_revoke and _holds(g, privilege) for g in self.grants)

    def allows_on_schema(self, privilege: str, schema: str) -> bool:
        """Return True if the account has a privilege on all tables of a schema, by `*.*`, its name or a pattern."""
        if self.allows(privilege):
            return not any(g.is_revoke and g.schema == schema and _holds(g, privilege) for g in self.grants)
        wide = (g for g in self.grants if g.schema and not g.table and not g.is_revoke)
        return any(_holds(g, privilege) and self._matches(g.schema, schema) for g in wide)

    def allows_on_table(self, privilege: str, schema: str, table: str) -> bool:
        """Return True if the account has a privilege on one whole table."""
        if self.allows_on_schema(privilege, schema):
            return True
        return any((g.schema, g.table) == (schema, table) and _holds(g, privilege) for g in self.grants)

    def _matches(self, pattern: str, schema: str) -> bool:
        # With partial_revokes MySQL takes % and _, and a backslash before them, literally.
        return _like(pattern).fullmatch(schema) is not None if self.has_wildcards else pattern == schema

    def statement(self, privileges: Iterable[str], schema: str = "", table: str = "") -> str:
        """Return the GRANT statement that gives privileges to this account; without a schema it is for `*.*`."""
        target = "*.*"
        if schema and table:
            target = f"{quote(schema)}.{quote(table)}"
        elif schema:
            # Without backslashes, `shop_eu` would open shopXeu as well. If a table is named, the server takes the names
            # literally.
            name = re.sub(r"([\\%_])", r"\\\1", schema) if self.has_wildcards else schema
            target = f"{quote(name)}.*"
        return f"GRANT {', '.join(privileges)} ON {target} TO {self.account};"


def read_grants(session: Session) -> Grants:
    """Return what the account of the session may do, including its active roles."""
    rows, names = session.rows_of_each(["SHOW GRANTS", "SELECT CURRENT_USER()"])
    lines = [str(row[0]) for row in rows]
    user, _, host = str(names[0][0]).rpartition("@") if names else ("", "", "")
    account = f"{quote(user)}@{quote(host)}" if user and host else "CURRENT_USER"
    return parse_grants(lines, account=account, has_wildcards=not _has_partial_revokes(session))


def parse_grants(lines: Iterable[str], *, account: str, has_wildcards: bool = True) -> Grants:
    """Parse lines of SHOW GRANTS; lines of other kinds (roles, PROXY, default role) are left out."""
    grants = []
    for line in lines:
        match = _GRANT.match(line) or _REVOKE.match(line)
        if match is None:
            continue
        privileges = frozenset(_privileges(match["what"]))
        schema_and_table = _object_name(match["schema"]), _object_name(match["table"])
        grants.append(Grant(privileges, *schema_and_table, is_revoke=line.startswith("REVOKE ")))
    return Grants(account, tuple(grants), has_wildcards)


def _has_partial_revokes(session: Session) -> bool:
    if session.is_mariadb:
        return False
    try:
        row = session.row("SELECT @@GLOBAL.partial_revokes")
    except ServerError as error:
        if error.is_connection_lost:
            raise
        return False  # MySQL before 8.0.16 does not know the variable
    return bool(row and str(row[0]).upper() in ("1", "ON"))


def _privileges(text: str) -> Iterable[str]:
    """Yield privilege names in upper case. A privilege on some columns is not one on the table, and is left out."""
    depth = 0
    word = ""
    for char in f"{text},":
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            name = word.strip().upper()
            if "(" not in name:
                yield _ALL if name in ("ALL", "ALL PRIVILEGES") else name
            word = ""
        else:
            word += char


def _holds(grant: Grant, privilege: str) -> bool:
    return privilege in grant.privileges or (_ALL in grant.privileges and privilege not in _NOT_IN_ALL)


def _object_name(name: str) -> str:
    # Only an asterisk without quotes means all: a schema may be named `*`.
    return "" if name == "*" else unquote(name)


def _like(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join({"%": ".*", "_": "."}.get(p) or re.escape(p[-1]) for p in parts), re.DOTALL)
