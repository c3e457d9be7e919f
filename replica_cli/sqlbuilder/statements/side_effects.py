"""Read from a statement's tokens which effects it has, beyond the tables that it changes.

The applier decides with these functions what to do with a statement (applier/ddl/statement_effects.py).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.statements.statement import StatementKind
from replica_cli.sqlbuilder.storage_engines import is_known_to_keep_nothing
from replica_cli.sqlbuilder.tokens import Kind, Token, string_value, unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

# The server's own tables, of all releases of both flavours. They have no triggers (the server refuses them), and none
# of them is a view of a user's table.
_SERVER_TABLES = frozenset({
    "columns_priv", "column_stats", "component", "db", "default_roles", "engine_cost", "event", "func",
    "general_log", "global_grants", "global_priv", "gtid_executed", "gtid_slave_pos", "help_category",
    "help_keyword", "help_relation", "help_topic", "host", "index_stats", "innodb_index_stats",
    "innodb_table_stats", "ndb_binlog_index", "password_history", "plugin", "proc", "procs_priv",
    "proxies_priv", "replication_asynchronous_connection_failover", "role_edges", "roles_mapping",
    "server_cost", "servers", "slave_master_info", "slave_relay_log_info", "slave_worker_info", "slow_log",
    "table_stats", "tables_priv", "time_zone", "time_zone_leap_second", "time_zone_name",
    "time_zone_transition", "time_zone_transition_type", "transaction_registry", "user",
})  # fmt: skip
# Amazon RDS keeps its heartbeat and its settings in tables with this prefix. Its users may not make tables in `mysql`.
_SERVICE_PREFIX = "rds_"
# Words before a parenthesis that are no stored function. A call of any other name may change any table.
_HARMLESS_BEFORE_PARENTHESIS = frozenset({
    "VALUES", "VALUE", "ROW", "IN", "AND", "OR", "NOT", "WHERE", "SET", "ON", "UPDATE", "INTO", "KEY", "ABS",
    "CAST", "COALESCE", "CONCAT", "CONVERT", "CURRENT_DATE", "CURRENT_TIMESTAMP", "FROM_UNIXTIME", "HEX", "IF",
    "IFNULL", "LAST_INSERT_ID", "LEFT", "LOWER", "MD5", "NOW", "NULLIF", "PASSWORD", "REPLACE", "SHA1", "SHA2",
    "SUBSTRING", "SYSDATE", "TRIM", "UNHEX", "UNIX_TIMESTAMP", "UPPER", "UTC_TIMESTAMP",
})  # fmt: skip


def is_made_of_query(parsed: ParsedStatement) -> bool:
    """Return True for a CREATE TABLE … SELECT, TABLE or VALUES, whose rows are not in the log.

    In row format a server logs the definition and the rows instead of such a statement.
    """
    if parsed.kind is not StatementKind.CREATE_TABLE:
        return False
    words = unwrapped(parsed.tokens)
    start = next((i for i, t in enumerate(words) if t.is_word("TABLE")), 0) + 1
    for token, after in itertools.pairwise([*words[start:], Token(Kind.SYMBOL, ";")]):
        if token.is_word("SELECT", "TABLE"):
            return True
        # `PARTITION … VALUES LESS THAN (…)`, `VALUES IN (…)` and `VALUES HISTORY` belong to a definition.
        if token.is_word("VALUES") and (after.is_symbol("(") or after.is_word("ROW")):
            return True
    return False


def makes_new_table(parsed: ParsedStatement) -> bool:
    """Return True for a CREATE TABLE or SEQUENCE that made a new table, or replaced one, on the primary.

    With IF NOT EXISTS the result is False, because such a statement is also logged if the table exists.
    """
    words = unwrapped(parsed.tokens)
    if parsed.kind not in (StatementKind.CREATE_TABLE, StatementKind.SEQUENCE) or not words[0].is_word("CREATE"):
        return False
    start = next((i for i, t in enumerate(words) if t.is_word("TABLE", "SEQUENCE")), 0) + 1
    return parsed.is_or_replace or not any(t.is_word("IF") for t in words[start : start + 1])


def new_names(parsed: ParsedStatement) -> tuple[TableName, ...]:
    """Return the names that tables have after a rename and that no table of the statement had before it."""
    if parsed.kind is StatementKind.RENAME_TABLE:
        before = frozenset(parsed.tables[::2])
        return tuple(name for name in parsed.tables[1::2] if name not in before)
    is_renamed = parsed.kind is StatementKind.ALTER_TABLE and parsed.tables[0] in parsed.lost_names
    return tuple(name for name in parsed.tables[1:] if name != parsed.tables[0]) if is_renamed else ()


def changes_references(parsed: ParsedStatement) -> bool:
    """Return True if foreign keys may refer to other tables after a statement than before it.

    The result is also True for a statement that only drops a key, although then nothing has to be read again.
    """
    return parsed.kind is StatementKind.RENAME_TABLE or any(
        t.is_word("REFERENCES", "FOREIGN", "RENAME") for t in parsed.tokens
    )


def is_of_tablespace(parsed: ParsedStatement, verb: str) -> bool:
    """Return True for ALTER TABLE … DISCARD (or IMPORT) [PARTITION …] TABLESPACE. `verb` is in upper case."""
    words = unwrapped(parsed.tokens)
    return (
        parsed.kind is StatementKind.ALTER_TABLE
        and any(t.is_word(verb) for t in words)
        and any(t.is_word("TABLESPACE") for t in words)
    )


def refused_engine(parsed: ParsedStatement) -> str | None:
    """Return the engine that a definition names if it is known to keep no rows of its own, or None."""
    for name in _values_of(parsed, "ENGINE"):
        if is_known_to_keep_nothing(name):
            return name
    return None


def touches_only_server_tables(parsed: ParsedStatement, default_schema: str) -> bool:
    """Return True if a statement can change only rows of one of the server's own tables (`mysql`.user …).

    It must be an INSERT, REPLACE, UPDATE or DELETE of one such table, without a query and without a call of an unknown
    function. A name outside the selection is not enough: it may be a view of a selected table, or have a trigger.
    """
    words = unwrapped(parsed.tokens)
    if len(words) < 3 or not words[0].is_word("INSERT", "REPLACE", "UPDATE", "DELETE"):
        return False
    at = 1
    while at < len(words) and words[at].is_word("LOW_PRIORITY", "IGNORE", "QUICK", "DELAYED", "INTO", "FROM"):
        at += 1
    name, after = _table_at(words, at, default_schema)
    if name is None or name.schema.lower() != "mysql":
        return False
    is_servers = name.table.lower() in _SERVER_TABLES or name.table.lower().startswith(_SERVICE_PREFIX)
    # Further tables, aliases and partitions are not known to be harmless.
    rest = words[after:]
    if rest and not (rest[0].is_word("SET", "WHERE", "VALUES", "VALUE") or rest[0].is_symbol("(")):
        return False
    return is_servers and _has_only_harmless_calls(rest)


def _has_only_harmless_calls(words: Sequence[Token]) -> bool:
    for before, token in itertools.pairwise([Token(Kind.SYMBOL, ","), *words]):
        if token.is_word("SELECT", "WITH", "TABLE", "CALL", "USING", "JOIN") or token.is_symbol(".", ";"):
            return False
        is_call = token.is_symbol("(") and before.kind in (Kind.WORD, Kind.NAME, Kind.STRING)
        if is_call and not before.is_word(*_HARMLESS_BEFORE_PARENTHESIS):
            return False
    return True


def _values_of(parsed: ParsedStatement, option: str) -> list[str]:
    words = unwrapped(parsed.tokens)
    values = []
    for index, token in enumerate(words):
        if not token.is_word(option):
            continue
        value = next((t for t in words[index + 1 : index + 3] if not t.is_symbol("=")), None)
        if value is not None and value.kind in (Kind.NAME, Kind.WORD):
            values.append(value.name)
        elif value is not None and value.kind is Kind.STRING:
            values.append(string_value(value.text))
    return values


def _table_at(words: Sequence[Token], at: int, default_schema: str) -> tuple[TableName | None, int]:
    """Return the table whose name begins at index `at`, or None, and the index after the name."""
    if at >= len(words) or words[at].kind not in (Kind.NAME, Kind.WORD):
        return None, at
    after = words[at + 1 : at + 3]
    if len(after) == 2 and after[0].is_symbol(".") and after[1].kind in (Kind.NAME, Kind.WORD, Kind.NUMBER):
        return TableName(words[at].name, after[1].name), at + 3
    return TableName(default_schema, words[at].name), at + 1
