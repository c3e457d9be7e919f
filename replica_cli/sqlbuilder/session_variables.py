"""List the session variables that change the result of a definition and that the event of a statement does not have.

All other variables are in the event (`LOGGED_VARIABLES`) or change nothing that a secondary stores. A test lists the
latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Rule:
    """Which value a variable has in the session that runs a statement.

    Attributes:
        value: the value as SHOW VARIABLES writes it, or None for the primary's global value.
        absent: the value if `value` is None and the primary has no such variable. None leaves the secondary's value.
        only_allows: the value makes the server accept more and changes nothing else. It is set once for all statements.
            Without the privilege to set it, a statement can only fail with an error.
        only_creating: the variable matters only to CREATE TABLE.
    """

    value: str | None = None
    absent: str | None = None
    only_allows: bool = False
    only_creating: bool = False


LOGGED_VARIABLES = frozenset(
    {
        "auto_increment_increment", "auto_increment_offset", "character_set_client", "character_set_collations",
        "character_set_connection", "character_set_server", "collation_connection", "collation_server",
        "default_collation_for_utf8mb4", "explicit_defaults_for_timestamp", "foreign_key_checks", "lc_time_names",
        "sql_auto_is_null", "sql_if_exists", "sql_mode", "time_zone", "timestamp", "unique_checks",
    }
)  # fmt: skip

UNLOGGED_VARIABLES: Mapping[str, Rule] = {
    # The meaning of `utf8`, and the conversion of TIME to DATETIME.
    "old_mode": Rule(absent="UTF8_IS_UTF8MB3"),
    # The digits of a division, the first day of WEEK(), the cipher of AES_ENCRYPT and the flags of REGEXP change the
    # values of generated columns that an ALTER computes. MySQL writes the mode of WEEK() into the definition.
    "div_precision_increment": Rule(),
    "default_week_format": Rule(),
    "block_encryption_mode": Rule(absent="aes-128-ecb"),
    "default_regex_flags": Rule(absent=""),
    # The engine of a definition that names none, and the engine that replaces the named one.
    "default_storage_engine": Rule(only_creating=True),
    "enforce_storage_engine": Rule(absent=""),
    # Options of a table or an index that the definition does not name.
    "innodb_compression_default": Rule(absent="OFF"),
    "mhnsw_default_distance": Rule(),
    "mhnsw_default_m": Rule(),
    # The secondary accepts what the primary accepted, with the same adjustments.
    "innodb_strict_mode": Rule("OFF", only_allows=True),
    "check_constraint_checks": Rule("OFF", only_allows=True),
    "system_versioning_alter_history": Rule("KEEP", only_allows=True),
    "alter_algorithm": Rule("DEFAULT", only_allows=True),
    "sql_require_primary_key": Rule("OFF", only_allows=True),
    "restrict_fk_on_non_standard_key": Rule("OFF", only_allows=True),
    # A primary that makes such a key writes it into the logged statement.
    "sql_generate_invisible_primary_key": Rule("OFF", only_creating=True),
}

# The flags of old_mode that change a definition or a value. Some versions do not know the other flags.
_OLD_MODES = ("UTF8_IS_UTF8MB3", "ZERO_DATE_TIME_CAST")
# Engines that every secondary has. A table in one without transactions is converted to InnoDB after its statement.
_ENGINES = ("INNODB", "MYISAM", "MEMORY")


def wanted_value(name: str, primary: Mapping[str, str], own: str) -> str:
    """Return the value that a variable must have for a statement.

    Args:
        name: one of `UNLOGGED_VARIABLES`.
        primary: the global variables of the primary.
        own: the value in the session on the secondary.
    """
    rule = UNLOGGED_VARIABLES[name]
    value = rule.value if rule.value is not None else primary.get(name, rule.absent)
    if value is None:
        return own
    if name == "old_mode":
        return ",".join(flag for flag in _OLD_MODES if flag in value.upper().split(","))
    if name == "default_storage_engine" and value.upper() not in _ENGINES:
        return "InnoDB"
    return value


def allowing_statements(variables: Collection[str]) -> list[str]:
    """Return a SET for each variable that only lets a server accept more, if it is among the server's `variables`."""
    return [
        f"SET SESSION {assignment(name, rule.value)}"
        for name, rule in UNLOGGED_VARIABLES.items()
        if rule.only_allows and rule.value is not None and name in variables
    ]


def assignment(name: str, value: str) -> str:
    """Return the assignment of a value that is written as in SHOW VARIABLES."""
    if not value and name == "enforce_storage_engine":
        return f"{name}=NULL"
    quoted = value.replace("'", "''")
    return f"{name}={value}" if value.isdecimal() else f"{name}='{quoted}'"
