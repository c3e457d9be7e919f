"""Set each session variable that could change what a session reads or writes.

A session begins with the global values of its server and with the effects of `init_connect`. One SET statement replaces
them, on both servers and in every session. A session that needs another value sets it after that. Variables that do not
influence results, limits and transactions are listed in tests/engine/test_session_settings.py. That test fails for a
variable that is in neither list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import (
    ER_READ_ONLY_VARIABLE,
    ER_SPECIFIC_ACCESS_DENIED,
    ER_UNKNOWN_SYSTEM_VARIABLE,
    ServerError,
)
from replica_cli.sqlbuilder.sql_modes import SQL_MODE

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# With these settings a value is the same on both servers.
VALUES = {"sql_mode": f"'{SQL_MODE}'", "time_zone": "'+00:00'"}

# How long a statement waits for a lock of a table and of a row, in seconds. A DDL statement has its own limits
# (applier/ddl/lock_waits.py).
LOCK_WAITS = (("lock_wait_timeout", "86400"), ("innodb_lock_wait_timeout", "50"))

_UNLIMITED = "18446744073709551615"
# The order matters. `autocommit` is set twice: switching it on ends a transaction that `init_connect` left open.
_COMMON = (
    ("autocommit", "0"),
    ("autocommit", "1"),
    *VALUES.items(),
    ("completion_type", "0"),
    ("sql_select_limit", _UNLIMITED),
    ("max_join_size", _UNLIMITED),
    ("sql_big_selects", "1"),
    ("sql_safe_updates", "0"),
    ("sql_auto_is_null", "0"),
    ("sql_quote_show_create", "1"),
    # Notes must be counted like warnings: by their number a LOAD DATA reports that it changed a row.
    ("sql_notes", "1"),
    ("foreign_key_checks", "1"),
    ("unique_checks", "1"),
    # A sort compares only this many bytes of a value. A key has 3072 bytes at most.
    ("max_sort_length", "8192"),
    # The connection of a snapshot is idle while the other server writes. These are the servers' own defaults, or
    # longer.
    ("wait_timeout", "28800"),
    ("net_read_timeout", "600"),
    ("net_write_timeout", "600"),
    *LOCK_WAITS,
)
_ISOLATION = "'REPEATABLE-READ'"
# The first release of the flavour that has the variable, the variable and its value. A session may set it without a
# privilege.
_MARIADB = (
    ((10, 0, 0), "max_statement_time", "0"),
    ((10, 0, 0), "query_cache_type", "0"),
    ((10, 2, 0), "check_constraint_checks", "1"),
    ((10, 3, 0), "idle_transaction_timeout", "0"),
    ((10, 3, 0), "idle_readonly_transaction_timeout", "0"),
    ((10, 3, 0), "idle_write_transaction_timeout", "0"),
    ((10, 3, 0), "alter_algorithm", "'DEFAULT'"),
    ((10, 5, 0), "max_session_mem_used", "9223372036854775807"),
    ((10, 6, 1), "old_mode", "'UTF8_IS_UTF8MB3'"),
    # With an empty map a definition that names only a charset gets the collation that it got before the map existed.
    ((11, 3, 0), "character_set_collations", "''"),
)
_MYSQL = (
    ((5, 7, 8), "max_execution_time", "0"),
    # With another value row counts are up to a day old, or NULL for a table whose counts were never read.
    ((8, 0, 0), "information_schema_stats_expiry", "0"),
    ((8, 0, 18), "show_create_table_skip_secondary_engine", "1"),
    # A definition must show a generated invisible primary key, because row events contain it.
    ((8, 0, 30), "show_gipk_in_create_table_and_information_schema", "1"),
    ((5, 7, 22), "show_create_table_verbosity", "0"),
)
# What a session that makes tables sets in addition: the value that the server must show, and the value to set as SQL.
# Some variables need a privilege, or are read-only in older releases. If a variable keeps the server's value, the
# server refuses the CREATE TABLE, or the difference shows in the table that was made.
_MAKING = {
    "explicit_defaults_for_timestamp": ("ON", "1"),
    "sql_generate_invisible_primary_key": ("OFF", "0"),
    "sql_require_primary_key": ("OFF", "0"),
    "restrict_fk_on_non_standard_key": ("OFF", "0"),
    "enforce_storage_engine": ("", "NULL"),
}
_NOT_TO_BE_SET = frozenset({ER_UNKNOWN_SYSTEM_VARIABLE, ER_SPECIFIC_ACCESS_DENIED, ER_READ_ONLY_VARIABLE})
_MARIADB_RENAMED = (11, 1, 1)  # tx_isolation and tx_read_only

# The settings that a server accepted, by its version. For a server that no longer knows a variable, each setting is
# tried alone, once.
_taken: dict[str, tuple[tuple[str, str], ...]] = {}


def settings_for(version_text: str) -> tuple[tuple[str, str], ...]:
    """Return the variables that a server of this version has, with their values as SQL, in the order to set them."""
    if version_text in _taken:
        return _taken[version_text]
    is_mariadb = "mariadb" in version_text.lower()
    # "5.5.5-10.11.18-MariaDB": before MariaDB 11 the greeting begins with the version of a much older server.
    text = version_text.removeprefix("5.5.5-") if is_mariadb else version_text
    version = tuple(int(n) for n in re.findall(r"\d+", text)[:3])
    prefix = "tx" if is_mariadb and version < _MARIADB_RENAMED else "transaction"
    transaction = ((f"{prefix}_isolation", _ISOLATION), (f"{prefix}_read_only", "0"))
    flavour_settings = _MARIADB if is_mariadb else _MYSQL
    return (*_COMMON, *transaction, *((name, value) for since, name, value in flavour_settings if version >= since))


def assignments(settings: tuple[tuple[str, str], ...]) -> str:
    """Return one SET statement for all of the settings."""
    return "SET SESSION " + ", ".join(f"{name}={value}" for name, value in settings)


def introduction(settings: tuple[tuple[str, str], ...]) -> str:
    """Return the SET statement of a new session: the charset of the connection, and its variables."""
    return assignments(settings).replace("SET SESSION", "SET NAMES utf8mb4, SESSION", 1)


def apply_settings(session: Session) -> None:
    """Set all variables of a new session, in one packet. Raises ServerError.

    If the server does not know one of them, each is set alone, and those that it knows are kept for its version.
    """
    settings = settings_for(session.version_text)
    try:
        session.execute(introduction(settings))
    except ServerError as error:
        if error.errno != ER_UNKNOWN_SYSTEM_VARIABLE:
            raise
        session.execute("SET NAMES utf8mb4")
        _taken[session.version_text] = tuple(s for s in settings if _is_known(session, s))


def _is_known(session: Session, setting: tuple[str, str]) -> bool:
    try:
        session.execute(assignments((setting,)))
    except ServerError as error:
        if error.errno != ER_UNKNOWN_SYSTEM_VARIABLE:
            raise
        return False
    return True


def prepare_to_make_tables(session: Session) -> None:
    """Set what makes a CREATE TABLE create exactly what it says. Raises ServerError.

    A variable that our account may not set keeps the server's value.
    """
    names = ", ".join(f"'{name}'" for name in _MAKING)
    for name, value in session.rows(f"SHOW SESSION VARIABLES WHERE variable_name IN ({names})"):
        wanted, text = _MAKING[str(name).lower()]
        if str(value) != wanted:
            try:
                session.execute(f"SET SESSION {name} = {text}")
            except ServerError as error:
                if error.errno not in _NOT_TO_BE_SET:
                    raise
