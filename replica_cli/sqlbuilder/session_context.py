"""Build the SET statements for a session of the applier: its own settings, and those of a logged statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.sql_modes import SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.core.events import SessionContext

# Bits of flags2, the same in both flavours (OPTION_AUTO_IS_NULL and the like in the servers' query_options).
_AUTO_IS_NULL = 1 << 14
_NO_FOREIGN_KEY_CHECKS = 1 << 26
_RELAXED_UNIQUE_CHECKS = 1 << 27
# Bits of flags2 that only MariaDB has.
EXPLICIT_DEFAULTS_FOR_TIMESTAMP = 1 << 24
IF_EXISTS = 1 << 28
# Bits of sql_mode that are the same in both flavours.
ANSI_QUOTES = 0x4
NO_AUTO_VALUE_ON_ZERO = 0x80000
NO_BACKSLASH_ESCAPES = 1 << 20
# Bits of sql_mode that have the same meaning in both flavours: REAL_AS_FLOAT to IGNORE_SPACE, NO_UNSIGNED_SUBTRACTION,
# NO_AUTO_VALUE_ON_ZERO to ERROR_FOR_DIVISION_BY_ZERO, HIGH_NOT_PRECEDENCE to PAD_CHAR_TO_FULL_LENGTH.
_COMMON_MODES = 0xF | 1 << 6 | 0xFF << 19 | 0b111 << 29
# TIME_TRUNCATE_FRACTIONAL and TIME_ROUND_FRACTIONAL: by default MySQL rounds fractions of a second, MariaDB cuts them.
_MYSQL_CUTS, _MARIADB_ROUNDS = 1 << 32, 1 << 34

# The settings of the applier's sessions. Literals go as bytes into columns of any charset; nothing commits by itself.
APPLY_SESSION = (
    "SET SESSION autocommit=0, "
    f"sql_mode='{SQL_MODE}', time_zone='+00:00', "
    "timestamp=DEFAULT, lc_time_names=0, foreign_key_checks=1, unique_checks=1, sql_auto_is_null=0, "
    "character_set_client=binary, collation_connection=binary, character_set_results=utf8mb4, collation_server=DEFAULT"
)


def context_statement(
    context: SessionContext,
    timestamp: int,
    collations: Mapping[int, tuple[str, str]],
    *,
    more: Iterable[str] = (),
) -> str:
    """Return one SET that gives a session the settings of a logged statement.

    Args:
        context: the settings in the event. sql_mode and time_zone must already be those of the secondary.
        timestamp: the time of the statement, in seconds since 1970.
        collations: the secondary's (collation, charset) by id. A setting with another id is not changed.
        more: assignments of variables that only one flavour or version has.
    """
    flags = context.flags2 or 0
    parts = [
        # The statement commits by itself, as on the primary. With autocommit off, ALTER … EXCHANGE PARTITION waits for
        # a lock that its own session holds.
        f"SET SESSION autocommit=1, timestamp={timestamp}.{context.microseconds:06d}",
        f"foreign_key_checks={int(not flags & _NO_FOREIGN_KEY_CHECKS)}",
        f"unique_checks={int(not flags & _RELAXED_UNIQUE_CHECKS)}",
        f"sql_auto_is_null={int(bool(flags & _AUTO_IS_NULL))}",
        # If it is not in the event, it is English, which has the number 0.
        f"lc_time_names={context.lc_time_names or 0}",
    ]
    if context.sql_mode is not None:
        parts.append(f"sql_mode={context.sql_mode}")
    client = collations.get(context.character_set_client or 0)
    connection = collations.get(context.collation_connection or 0)
    server = collations.get(context.collation_server or 0)
    if client:
        parts.append(f"character_set_client={client[1]}")
    if connection:
        parts.append(f"collation_connection={connection[0]}")
    if server:
        parts.append(f"collation_server={server[0]}")
    if context.time_zone:
        parts.append(f"time_zone='{context.time_zone}'" if _is_plain(context.time_zone) else "time_zone='+00:00'")
    return ", ".join((*parts, *more))


def crossed_mode(sql_mode: int, *, to_mariadb: bool) -> int:
    """Return a sql_mode in the bits of the other flavour: the common modes, and if fractions of a second are cut."""
    cuts = not sql_mode & _MARIADB_ROUNDS if not to_mariadb else sql_mode & _MYSQL_CUTS
    common = sql_mode & _COMMON_MODES
    if to_mariadb:
        return common if cuts else common | _MARIADB_ROUNDS
    return common | _MYSQL_CUTS if cuts else common


def _is_plain(zone: str) -> bool:
    return all(c.isalnum() or c in "+-:/_" for c in zone)
