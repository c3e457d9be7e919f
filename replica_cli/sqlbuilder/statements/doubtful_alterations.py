"""Check if a logged ALTER TABLE leaves the same rows on the secondary as on the primary, from its text.

A clause is accepted only if it is known to do so. There is a doubt about a clause that is not understood. The applier
asks before it runs the statement. If a doubt concerns any row, the table is copied again instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.column_types import BYTES, INTEGERS, SYNONYMS, TEMPORALS, TEXTS
from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.statements.determinism import Setting, why_value_differs
from replica_cli.sqlbuilder.tokens import Kind, Token, closing, depths, solid, split, unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

# Clauses that do not change the values of rows, whatever else they change.
_HARMLESS = frozenset(
    {"ALGORITHM", "ALTER", "ANALYZE", "AUTOEXTEND_SIZE", "AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHARACTER", "CHARSET",
     "CHECK", "CHECKSUM", "COALESCE", "COLLATE", "COMMENT", "COMPRESSION", "CONVERT", "DATA", "DEFAULT",
     "DELAY_KEY_WRITE", "DISABLE", "ENABLE", "ENCRYPTED", "ENCRYPTION", "ENCRYPTION_KEY_ID", "ENGINE",
     "ENGINE_ATTRIBUTE", "FORCE", "INDEX", "INSERT_METHOD", "ITEF_QUOTES", "KEY_BLOCK_SIZE", "LOCK", "MAX_ROWS",
     "MIN_ROWS", "OPTIMIZE", "PACK_KEYS", "PAGE_CHECKSUM", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "PARTITION",
     "REBUILD", "REMOVE", "RENAME", "REORGANIZE", "REPAIR", "ROW_FORMAT", "SECONDARY_ENGINE",
     "SECONDARY_ENGINE_ATTRIBUTE", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES", "STORAGE",
     "TABLESPACE", "TRANSACTIONAL", "WITHOUT"}
)  # fmt: skip
# These act on the rows of a partition. A partition has the same rows on both servers if both compute it alike.
_OF_PARTITIONS = frozenset({"DROP", "EXCHANGE", "TRUNCATE", "CONVERT"})
_CONSTRAINTS = frozenset({"INDEX", "KEY", "UNIQUE", "PRIMARY", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK"})
# Words that end the default of a column.
_ATTRIBUTES = frozenset(
    {"AFTER", "AS", "AUTO_INCREMENT", "CHECK", "COLLATE", "COLUMN_FORMAT", "COMMENT", "COMPRESSED", "CONSTRAINT",
     "ENGINE_ATTRIBUTE", "FIRST", "GENERATED", "INVISIBLE", "KEY", "NOT", "NULL", "ON", "PARTITION", "PRIMARY",
     "REFERENCES", "REF_SYSTEM_ID", "REMOVE", "SECONDARY_ENGINE_ATTRIBUTE", "STORAGE", "UNIQUE", "VISIBLE", "WITH",
     "WITHOUT"}
)  # fmt: skip
_TEMPORALS = TEMPORALS | {"year"}
_NOW = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason why rows may become different on the two servers.

    Attributes:
        reason: the reason, for messages.
        condition: SQL that is true for the rows concerned, in the table as it is before the statement.
        sequences: the sequences that gave numbers to the rows. Their state after that is not in the log either.
    """

    reason: str
    condition: str = "TRUE"
    sequences: tuple[TableName, ...] = ()


def doubts(
    parsed: ParsedStatement,
    before: TableDefinition,
    *,
    schema: str,
    from_mariadb: bool,
    to_mariadb: bool,
    keeps_zeros: bool,
) -> list[Doubt]:
    """Return the reasons why an ALTER TABLE may leave different rows on the two servers.

    Args:
        parsed: the ALTER TABLE, or a CREATE INDEX or DROP INDEX, about which there is no doubt.
        before: the table on the secondary, as it is before the statement.
        schema: the default schema of the statement.
        from_mariadb: the flavour of the primary.
        to_mariadb: the flavour of the secondary.
        keeps_zeros: the statement's sql_mode has NO_AUTO_VALUE_ON_ZERO.
    """
    altered = parsed.references[0]
    head = solid(parsed.tokens[: altered.first])
    if not any(t.is_word("TABLE") for t in head):  # CREATE INDEX and DROP INDEX
        return []
    alteration = _Alteration(
        before,
        altered.name,
        schema=schema,
        from_mariadb=from_mariadb,
        to_mariadb=to_mariadb,
        keeps_zeros=keeps_zeros,
    )
    all_doubts = [d for clause in _clauses(parsed.tokens[altered.last + 1 :]) for d in alteration.doubts(clause)]
    if any(t.is_word("IGNORE") for t in head):
        all_doubts.append(Doubt("IGNORE drops rows in the order in which the primary stores them"))
    return all_doubts


def _clauses(tokens: Sequence[Token]) -> list[list[Token]]:
    # The text inside executable comments is SQL too.
    words = unwrapped(tokens)
    if words and words[0].is_word("NOWAIT"):
        words = words[1:]
    elif words and words[0].is_word("WAIT"):
        words = words[2:]
    clauses: list[list[Token]] = []
    for clause in split(words, ","):
        if clauses and _names_partition(clauses[-1], clause):
            clauses[-1] += clause
        elif clause:
            clauses.append(clause)
    return clauses


def _names_partition(before: Sequence[Token], clause: Sequence[Token]) -> bool:
    """Return True if `clause` continues the list in DROP PARTITION p0, p1 or REORGANIZE PARTITION p0, p1 INTO (…)."""
    is_of_partitions = len(before) > 2 and before[1].is_word("PARTITION") and not before[0].is_word("ADD")
    return is_of_partitions and (len(clause) == 1 or (len(clause) > 2 and clause[1].is_word("INTO")))


class _Alteration:
    def __init__(
        self,
        before: TableDefinition,
        table: TableName,
        *,
        schema: str,
        from_mariadb: bool,
        to_mariadb: bool,
        keeps_zeros: bool,
    ) -> None:
        self._table = table  # the name in the statement; `before` has the secondary's name
        self._schema = schema
        self._columns: Mapping[str, Column] = {c.name.lower(): c for c in before.columns}
        # Each server itself chooses the partition of a former row version: by its count of versions, or by time.
        self._has_versions_in_parts = before.is_versioned and "PARTITIONED" in before.create_options.upper()
        self._from_mariadb = from_mariadb
        self._is_crossing = from_mariadb != to_mariadb
        # Across flavours the sql_mode is not relied on: rows with 0 are always in doubt.
        self._keeps_zeros = keeps_zeros and not self._is_crossing
        self._is_ordered = False

    def doubts(self, clause: Sequence[Token]) -> list[Doubt]:
        first = clause[0]
        if first.is_word("ADD"):
            return self._added(clause[1:])
        if first.is_word("MODIFY", "CHANGE"):
            rest = _without(clause[1:], "COLUMN", "IF", "EXISTS")
            old, rest = _column_name(rest)
            new = _column_name(rest)[1] if first.is_word("CHANGE") else rest
            return self._changed(old, new) if old and new else _unknown(clause)
        if first.is_word("ORDER") or (self._is_ordered and len(clause) <= 2):
            # ORDER BY moves rows and changes none. Each further column of it is a clause of its own here.
            self._is_ordered = True
            return []
        return self._other(clause)

    def _other(self, clause: Sequence[Token]) -> list[Doubt]:
        first, second = clause[0], clause[1] if len(clause) > 1 else clause[0]
        if any(t.is_word("VERSIONING") for t in clause):
            # Row versions begin at the statement's time, which its event has to the microsecond.
            return [Doubt("MySQL has no row versions")] if self._is_crossing else []
        if first.is_word(*_OF_PARTITIONS) and second.is_word("PARTITION") and self._has_versions_in_parts:
            return [
                Doubt(f"{first.text.upper()} PARTITION: the log does not show which row versions a partition holds")
            ]
        if first.is_word(*_OF_PARTITIONS) and second.is_word("PARTITION") and self._is_crossing:
            return [Doubt(f"{first.text.upper()} PARTITION: the other flavour may hold other rows in this partition")]
        return [] if first.is_word(*_OF_PARTITIONS, *_HARMLESS) else _unknown(clause)

    def _added(self, tokens: Sequence[Token]) -> list[Doubt]:
        is_column = bool(tokens) and tokens[0].is_word("COLUMN")
        rest = _without(tokens, "COLUMN", "IF", "NOT", "EXISTS")
        if not rest:
            return _unknown(tokens)
        if rest[0].is_symbol("("):
            parts = split(rest[1 : closing(rest, 0)], ",")
            return [d for part in parts if part for d in self._added(part)]
        if not is_column:
            second = rest[1] if len(rest) > 1 else rest[0]
            if rest[0].is_word("SYSTEM") and second.is_word("VERSIONING"):
                return self._other(rest)
            is_period = rest[0].is_word("PERIOD") and second.is_word("FOR")
            is_vector = rest[0].is_word("VECTOR") and second.is_word("INDEX", "KEY")
            if is_period or is_vector or rest[0].is_word(*_CONSTRAINTS, "PARTITION"):
                return []
        name, definition = _column_name(rest)
        if not name or not definition:
            return _unknown(rest)
        numbering = [Doubt(f"column {name} numbers the rows in the order in which each server stores them")]
        numbering = numbering if _is_counter(definition) else []
        return numbering + self._computed(name, definition) + self._default(name, definition)

    def _default(self, name: str, definition: Sequence[Token]) -> list[Doubt]:
        default = _default(definition)
        if _is_constant(default):
            if self._is_crossing and _data_type(definition) in _TEMPORALS and any("." in t.text for t in default):
                # By default MySQL rounds the fraction of a second, and MariaDB cuts it.
                return [
                    Doubt(f"column {name} is added with a fraction of a second, which MySQL rounds and MariaDB cuts")
                ]
            return []
        # A logged statement has the clock, the time zone and the sql_mode of its session. Across flavours they are not
        # relied on.
        setting = Setting(
            self._columns, is_mariadb=self._from_mariadb, is_logged=not self._is_crossing, table=self._table
        )
        if self._is_crossing:
            setting = replace(setting, result=_data_type(definition))
        reason = why_value_differs(default, setting)
        if not reason:
            return []
        text = f"column {name} is added with DEFAULT {_text(default)}, and {reason}"
        return [Doubt(text, sequences=_sequences(default, self._schema))]

    def _changed(self, name: str, definition: Sequence[Token]) -> list[Doubt]:
        before = self._columns.get(name.lower())
        doubts = self._computed(name, definition)
        was_counter = before is not None and "AUTO_INCREMENT" in before.extra.upper()
        if _is_counter(definition) and not was_counter:
            condition = "TRUE" if before is None else f"{quote(before.name)} IS NULL"
            if before is not None and not self._keeps_zeros:
                condition += f" OR {quote(before.name)} = 0"
            reason = f"column {name} numbers the rows without a number in the order in which each server stores them"
            doubts.append(Doubt(reason, condition))
        if self._is_crossing and (before is None or not _is_converted_alike(before, definition)):
            kind = _data_type(definition)
            doubts.append(
                Doubt(f"column {name} becomes {kind}, and the two flavours may convert its values differently")
            )
        return doubts

    def _computed(self, name: str, definition: Sequence[Token]) -> list[Doubt]:
        index = next((p for p, (d, t) in enumerate(depths(definition)) if d == 0 and t.is_word("AS")), None)
        if index is None:
            return []
        if index + 1 >= len(definition) or not definition[index + 1].is_symbol("("):
            return [Doubt("MySQL has no row versions")] if self._is_crossing else []
        end = closing(definition, index + 1)
        if not any(t.is_word("STORED", "PERSISTENT") for t in definition[end:]):
            return []
        setting = Setting(
            self._columns,
            _data_type(definition),
            _fraction_digits(definition),
            is_mariadb=self._from_mariadb,
            table=self._table,
        )
        reason = why_value_differs(definition[index + 2 : end], setting)
        return [Doubt(f"column {name} is computed and stored, and {reason}")] if reason else []


def _sequences(default: Sequence[Token], schema: str) -> tuple[TableName, ...]:
    sequences = []
    for index, token in enumerate(default):
        is_call = token.is_word("NEXTVAL", "SETVAL")
        if not is_call and not (token.is_word("FOR") and index and default[index - 1].is_word("VALUE")):
            continue
        first = index + 1 + is_call
        name = default[first : first + 3]
        if len(name) == 3 and name[1].is_symbol("."):
            sequences.append(TableName(name[0].name, name[2].name))
        elif name:
            sequences.append(TableName(schema, name[0].name))
    return tuple(sequences)


def _without(tokens: Sequence[Token], *words: str) -> Sequence[Token]:
    for word in words:
        if tokens and tokens[0].is_word(word):
            tokens = tokens[1:]
    return tokens


def _column_name(tokens: Sequence[Token]) -> tuple[str, Sequence[Token]]:
    """Return a column's name without schema and table, or "" if there is none, and the tokens after it."""
    while len(tokens) > 2 and tokens[1].is_symbol("."):
        tokens = tokens[2:]
    if not tokens or tokens[0].kind not in (Kind.NAME, Kind.WORD):
        return "", tokens
    return tokens[0].name, tokens[1:]


def _is_counter(definition: Sequence[Token]) -> bool:
    # SERIAL is a type, and SERIAL DEFAULT VALUE an attribute. After the word AFTER it is the name of a column.
    outside = [t for depth, t in depths(definition) if depth == 0]
    names = [p + 1 for p, t in enumerate(outside) if t.is_word("AFTER")]
    return any(t.is_word("AUTO_INCREMENT", "SERIAL") for p, t in enumerate(outside) if p not in names)


def _default(definition: Sequence[Token]) -> list[Token]:
    default: list[Token] | None = None
    for depth, token in depths(definition):
        if default is None:
            default = [] if depth == 0 and token.is_word("DEFAULT") else None
        elif default and depth == 0 and token.is_word(*_ATTRIBUTES):
            break
        else:
            default.append(token)
    return default or []


def _is_constant(default: Sequence[Token]) -> bool:
    """Return True if a default is a literal or the statement's time, which its event has. VALUE is from SERIAL."""
    if default and default[0].is_word(*_NOW) and len(default) <= 4:
        return True
    return all(
        t.kind in (Kind.STRING, Kind.NUMBER)
        or t.is_symbol("-", "+")
        or t.is_word("NULL", "TRUE", "FALSE", "X", "B", "N", "VALUE")
        or t.text.startswith("_")
        for t in default
    )


def _data_type(definition: Sequence[Token]) -> str:
    word = definition[0].text.lower()
    return SYNONYMS.get(word, word)


def _fraction_digits(definition: Sequence[Token]) -> int:
    is_given = len(definition) > 2 and definition[1].is_symbol("(") and definition[2].kind is Kind.NUMBER
    return int(definition[2].text) if is_given else 0


def _is_converted_alike(before: Column, definition: Sequence[Token]) -> bool:
    old, new = before.data_type, _data_type(definition)
    if old in _TEMPORALS:
        return old == new and _fraction_digits(definition) >= before.fraction_digits
    if old in INTEGERS and new in INTEGERS | {"decimal"}:
        return True
    return old == new or any(old in family and new in family for family in (TEXTS, BYTES))


def _text(tokens: Sequence[Token]) -> str:
    # Values of rows stay out of logs.
    return "".join("?" if t.kind in (Kind.STRING, Kind.NUMBER) else t.text for t in tokens)


def _unknown(clause: Sequence[Token]) -> list[Doubt]:
    return [Doubt(f"it is not known what {' '.join(t.text for t in clause[:2])} … does to the table's rows")]
