"""What each session of ours sets when it connects: all that it inherits and that could change what it reads or writes.

A session begins with the global values of its server and with what `init_connect` did. One SET replaces them, on both
sides and in every session, whatever it is for; a session that needs another value sets it afterwards. Variables without
influence on results, limits and transactions are listed in tests/engine/test_session_settings.py, which fails for one
that is in neither list.
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

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# The session that changes no value between the servers: no silent truncation, zero dates and 0 ids as they are, UTC.
SQL_MODE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
VALUES = {"sql_mode": f"'{SQL_MODE}'", "time_zone": "'+00:00'"}

# Of rows and of tables, in seconds. A data definition statement has limits of its own (applier/lock_waits.py).
LOCK_WAITS = (("lock_wait_timeout", "86400"), ("innodb_lock_wait_timeout", "50"))

_UNLIMITED = "18446744073709551615"
# In their order. `autocommit` twice: switching it on ends a transaction that `init_connect` left open.
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
    # Warnings and notes are counted: a LOAD DATA says by them that it mended a row.
    ("sql_notes", "1"),
    ("foreign_key_checks", "1"),
    ("unique_checks", "1"),
    # A key has 3072 bytes at most; more is sorted by its beginning only.
    ("max_sort_length", "8192"),
    # A snapshot waits while the other side writes. These are the servers' own defaults, or more.
    ("wait_timeout", "28800"),
    ("net_read_timeout", "600"),
    ("net_write_timeout", "600"),
    *LOCK_WAITS,
)
_ISOLATION = "'REPEATABLE-READ'"
# From which release on a flavour has a variable that a session may set without a privilege.
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
    # A definition that names a charset alone means the collation that it had before this map came.
    ((11, 3, 0), "character_set_collations", "''"),
)
_MYSQL = (
    ((5, 7, 8), "max_execution_time", "0"),
    # Row counts are up to a day old otherwise, or NULL for a table that was not asked about yet.
    ((8, 0, 0), "information_schema_stats_expiry", "0"),
    ((8, 0, 18), "show_create_table_skip_secondary_engine", "1"),
    # A generated invisible primary key is in the row events, whatever a server prefers to show.
    ((8, 0, 30), "show_gipk_in_create_table_and_information_schema", "1"),
    ((5, 7, 22), "show_create_table_verbosity", "0"),
)
# What a session that makes tables sets besides. Some want a privilege, or are read only in older releases: what stays
# as the server has it is refused at the CREATE, or shows in what was made.
_MAKING = {
    "explicit_defaults_for_timestamp": ("ON", "1"),
    "sql_generate_invisible_primary_key": ("OFF", "0"),
    "sql_require_primary_key": ("OFF", "0"),
    "restrict_fk_on_non_standard_key": ("OFF", "0"),
    "enforce_storage_engine": ("", "NULL"),
}
_NOT_TO_BE_SET = frozenset({ER_UNKNOWN_SYSTEM_VARIABLE, ER_SPECIFIC_ACCESS_DENIED, ER_READ_ONLY_VARIABLE})
_MARIADB_RENAMED = (11, 1, 1)  # tx_isolation and tx_read_only

# What a server took, by its version: one that knows a variable no longer is asked for each of them once.
_taken: dict[str, tuple[tuple[str, str], ...]] = {}


def settings_for(version_text: str) -> tuple[tuple[str, str], ...]:
    """Return the variables that a server of this version has, with their values as SQL, in their order."""
    if version_text in _taken:
        return _taken[version_text]
    is_mariadb = "mariadb" in version_text.lower()
    # "5.5.5-10.11.18-MariaDB": before MariaDB 11 the greeting begins with the version of a server long gone.
    text = version_text.removeprefix("5.5.5-") if is_mariadb else version_text
    version = tuple(int(n) for n in re.findall(r"\d+", text)[:3])
    prefix = "tx" if is_mariadb and version < _MARIADB_RENAMED else "transaction"
    transaction = ((f"{prefix}_isolation", _ISOLATION), (f"{prefix}_read_only", "0"))
    own = _MARIADB if is_mariadb else _MYSQL
    return (*_COMMON, *transaction, *((name, value) for since, name, value in own if version >= since))


def assignments(settings: tuple[tuple[str, str], ...]) -> str:
    """Return one SET for all of them."""
    return "SET SESSION " + ", ".join(f"{name}={value}" for name, value in settings)


def introduction(settings: tuple[tuple[str, str], ...]) -> str:
    """Return the SET of a new session: in which charset it speaks, and its variables."""
    return assignments(settings).replace("SET SESSION", "SET NAMES utf8mb4, SESSION", 1)


def apply_settings(session: Session) -> None:
    """Make a new session one of ours, in one packet. Raises ServerError."""
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
    """Let a CREATE TABLE of this session make what it says, as far as our user may set that. Raises ServerError."""
    names = ", ".join(f"'{name}'" for name in _MAKING)
    for name, value in session.rows(f"SHOW SESSION VARIABLES WHERE variable_name IN ({names})"):
        wanted, text = _MAKING[str(name).lower()]
        if str(value) != wanted:
            try:
                session.execute(f"SET SESSION {name} = {text}")
            except ServerError as error:
                if error.errno not in _NOT_TO_BE_SET:
                    raise
