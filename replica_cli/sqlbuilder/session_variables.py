"""Session variables that change what a definition becomes and that the event of a statement does not tell.

The others are either in the event (`TOLD`) or change nothing that a secondary holds; a test has the names of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Rule:
    """What the session of a statement has in a variable, as SHOW VARIABLES writes it.

    `value` None: the primary's global one, or `absent` where the primary has no such variable, or the secondary's own
    where that is None too. `only_allows`: the value makes the server accept more and changes nothing else, so it is set
    once for all statements, and a user who may not set it loses nothing silently. `only_creating`: it matters to CREATE
    TABLE alone.
    """

    value: str | None = None
    absent: str | None = None
    only_allows: bool = False
    only_creating: bool = False


TOLD = frozenset(
    {
        "auto_increment_increment", "auto_increment_offset", "character_set_client", "character_set_collations",
        "character_set_connection", "character_set_server", "collation_connection", "collation_server",
        "default_collation_for_utf8mb4", "explicit_defaults_for_timestamp", "foreign_key_checks", "lc_time_names",
        "sql_auto_is_null", "sql_if_exists", "sql_mode", "time_zone", "timestamp", "unique_checks",
    }
)  # fmt: skip

UNTOLD: Mapping[str, Rule] = {
    # What `utf8` means, and what TIME becomes as a DATETIME.
    "old_mode": Rule(absent="UTF8_IS_UTF8MB3"),
    # Digits of a division, the first day of WEEK(), the cipher of AES_ENCRYPT, the flags of REGEXP: values of generated
    # columns that an ALTER computes; MySQL writes the week's mode into the definition.
    "div_precision_increment": Rule(),
    "default_week_format": Rule(),
    "block_encryption_mode": Rule(absent="aes-128-ecb"),
    "default_regex_flags": Rule(absent=""),
    # The engine where none is named, and the one that takes the place of the named one.
    "default_storage_engine": Rule(only_creating=True),
    "enforce_storage_engine": Rule(absent=""),
    # Options of a table, or of an index, that are not written.
    "innodb_compression_default": Rule(absent="OFF"),
    "mhnsw_default_distance": Rule(),
    "mhnsw_default_m": Rule(),
    # What the primary accepted is accepted, with the same adjustments.
    "innodb_strict_mode": Rule("OFF", only_allows=True),
    "check_constraint_checks": Rule("OFF", only_allows=True),
    "system_versioning_alter_history": Rule("KEEP", only_allows=True),
    "alter_algorithm": Rule("DEFAULT", only_allows=True),
    "sql_require_primary_key": Rule("OFF", only_allows=True),
    "restrict_fk_on_non_standard_key": Rule("OFF", only_allows=True),
    # A primary that makes such a key writes it into its log.
    "sql_generate_invisible_primary_key": Rule("OFF", only_creating=True),
}

# Of old_mode what changes a definition or a value; other flags are not known to every version.
_OLD_MODES = ("UTF8_IS_UTF8MB3", "ZERO_DATE_TIME_CAST")
# Engines that a secondary has for certain; a table in one without transactions is converted behind its statement.
_ENGINES = ("INNODB", "MYISAM", "MEMORY")


def wanted_value(name: str, primary: Mapping[str, str], own: str) -> str:
    """Return what a variable has to be for a statement; `own` is what the secondary's session has."""
    rule = UNTOLD[name]
    value = rule.value if rule.value is not None else primary.get(name, rule.absent)
    if value is None:
        return own
    if name == "old_mode":
        return ",".join(flag for flag in _OLD_MODES if flag in value.upper().split(","))
    if name == "default_storage_engine" and value.upper() not in _ENGINES:
        return "InnoDB"
    return value


def allowing_statements(variables: Collection[str]) -> list[str]:
    """Return a SET for each variable that lets a server accept more; `variables` are those that it has."""
    return [
        f"SET SESSION {assignment(name, rule.value)}"
        for name, rule in UNTOLD.items()
        if rule.only_allows and rule.value is not None and name in variables
    ]


def assignment(name: str, value: str) -> str:
    """Return a variable's assignment from its text in SHOW VARIABLES."""
    if not value and name == "enforce_storage_engine":
        return f"{name}=NULL"
    quoted = value.replace("'", "''")
    return f"{name}={value}" if value.isdecimal() else f"{name}='{quoted}'"
