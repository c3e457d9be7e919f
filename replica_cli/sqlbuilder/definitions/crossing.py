"""Rewrite a table's definition of MariaDB for MySQL, or of MySQL for MariaDB.

What has an exact equal is rewritten. A few attributes of columns are left out, with a note. All else is refused.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.column_types import FIXED_BINARIES, SIZES
from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused
from replica_cli.sqlbuilder.definitions.table_text import Item, TableText, options
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, Token, closing, depths, join, solid, tokenise

if TYPE_CHECKING:
    from replica_cli.core.table import TableName

# MySQL's collations follow Unicode 9, MariaDB's Unicode 14. Each pair has the same strength and does not pad. Texts
# that are equal for MySQL are equal for MariaDB too. MariaDB's collations know some hundred characters more: texts that
# differ only in these can be equal for MariaDB, and then violate a unique key with an error.
_EXACT_COLLATIONS = {
    "utf8mb4_0900_bin": "utf8mb4_nopad_bin",
    "utf8mb4_0900_ai_ci": "utf8mb4_uca1400_nopad_ai_ci",
    "utf8mb4_0900_as_ci": "utf8mb4_uca1400_nopad_as_ci",
    "utf8mb4_0900_as_cs": "utf8mb4_uca1400_nopad_as_cs",
}
# MariaDB's collations of these pairs pad, MySQL's do not. Texts that differ for MariaDB differ for MySQL too, so a
# unique key of MySQL accepts all rows. Rows are the same on both servers; their order may differ.
_PADDED_COLLATIONS = {
    "utf8mb4_uca1400_ai_ci": "utf8mb4_0900_ai_ci",
    "utf8mb4_uca1400_as_ci": "utf8mb4_0900_as_ci",
    "utf8mb4_uca1400_as_cs": "utf8mb4_0900_as_cs",
}
_FOREIGN_TO_MYSQL = ("uca1400", "nopad", "general1400")
_FOREIGN_TO_MARIADB = ("0900", "gb18030")
# The names that MariaDB gives to checks of a table that have no name of their own.
_UNNAMED_CHECK = re.compile(r"CONSTRAINT_\d+", re.IGNORECASE)
_MARIADB_TYPES = ("VECTOR", "XMLTYPE")
# The types on MySQL. They hold the bytes that BIN_TO_UUID() and INET6_NTOA() read, which are those of the row image.
FIXED_BINARIES_ON_MYSQL = {name: f"binary({SIZES[name]})" for name in FIXED_BINARIES}
# Functions that give the same on both flavours, whatever their arguments.
_SAME_FUNCTIONS = frozenset(
    {"ABS", "CEIL", "CEILING", "CHAR_LENGTH", "COALESCE", "CONCAT", "CONCAT_WS", "CURDATE", "CURRENT_TIMESTAMP",
     "CURTIME", "DATE", "DAYOFMONTH", "FLOOR", "GREATEST", "HEX", "IF", "IFNULL", "JSON_VALID", "LCASE", "LEAST",
     "LEFT", "LENGTH", "LOWER", "LPAD", "LTRIM", "MD5", "MOD", "MONTH", "NOW", "NULLIF", "OCTET_LENGTH", "REPLACE",
     "REVERSE", "RIGHT", "ROUND", "RPAD", "RTRIM", "SHA1", "SHA2", "SIGN", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX",
     "TRIM", "TRUNCATE", "UCASE", "UNHEX", "UPPER", "YEAR"}
)  # fmt: skip
_GRAMMAR = frozenset(
    {"AS", "CHECK", "DEFAULT", "AND", "OR", "XOR", "NOT", "IN", "BETWEEN", "WHEN", "THEN", "ELSE", "KEY"}
)  # fmt: skip
_LOBS = ("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON")
_SAME_OPTIONS = frozenset(
    {"ENGINE", "AUTO_INCREMENT", "DEFAULT CHARSET", "CHARSET", "COLLATE", "COMMENT", "ROW_FORMAT", "KEY_BLOCK_SIZE",
     "STATS_PERSISTENT", "STATS_AUTO_RECALC", "STATS_SAMPLE_PAGES", "MIN_ROWS", "MAX_ROWS", "AVG_ROW_LENGTH",
     "CHECKSUM", "DELAY_KEY_WRITE", "PACK_KEYS", "DATA DIRECTORY", "INDEX DIRECTORY", "PAGE_CHECKSUM", "TRANSACTIONAL"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crossing:
    """The flavours of the primary and of the secondary.

    `shared_checks` are the names of checks, in lower case, that more than one table has.
    """

    from_mariadb: bool
    to_mariadb: bool
    shared_checks: frozenset[str] = frozenset()

    @property
    def is_needed(self) -> bool:
        """Return True if the two servers are of different flavours."""
        return self.from_mariadb != self.to_mariadb

    @property
    def target(self) -> str:
        """Return the name of the secondary's flavour, for messages."""
        return "MariaDB" if self.to_mariadb else "MySQL"

    def collation(self, name: str) -> str | None:
        """Return the secondary's collation that compares as this one does, or None if it has none."""
        if not self.is_needed:
            return name
        to_mysql = {v: k for k, v in _EXACT_COLLATIONS.items()} | _PADDED_COLLATIONS
        exact = _EXACT_COLLATIONS if self.to_mariadb else to_mysql
        foreign = _FOREIGN_TO_MARIADB if self.to_mariadb else _FOREIGN_TO_MYSQL
        return exact.get(name) or (None if any(part in name for part in foreign) else name)

    def schema_default(self, charset: str, collation: str) -> tuple[str, str]:
        """Return the secondary's charset and collation for a schema.

        They are only the default of new tables, and replicated tables name their own. So without an equal collation the
        bytewise one serves.
        """
        equal = self.collation(collation)
        if equal is not None:
            return charset, equal
        return bytewise_default("" if self.to_mariadb and charset in _FOREIGN_TO_MARIADB else charset)


def bytewise_default(charset: str) -> tuple[str, str]:
    """Return a charset and its bytewise collation, which every release has. An empty charset means utf8mb4."""
    return charset or "utf8mb4", "binary" if charset == "binary" else f"{charset or 'utf8mb4'}_bin"


def cross(table: TableText, source: TableName, crossing: Crossing, notes: list[str]) -> TableText:
    """Return a table as the other flavour defines it.

    Args:
        table: the table on the primary.
        source: its name, for errors.
        crossing: the two flavours.
        notes: gets a text for each thing that is left out.

    Raises:
        DefinitionRefused: something in the definition has no exact equal.
    """
    items = [_Crossed(i, source, crossing, notes).item() for i in table.items]
    if not crossing.to_mariadb:
        _check_expressions(table, source)
    for word in solid(table.tail):
        if word.is_word("VERSIONING", "SEQUENCE", "UNION", "CONNECTION"):
            raise DefinitionRefused(source, "", f"{word.text} has no equivalent on {crossing.target}")
    named_options = {o.name for o in options(table.tail)}
    if unknown := sorted(n for n in named_options if n not in _SAME_OPTIONS and not n.startswith("PARTITION")):
        raise DefinitionRefused(source, "", f"table option {unknown[0]} has no equivalent on {crossing.target}")
    tail = _collated(table.tail, source, "", crossing)
    return TableText(tuple(items), tail)


def _check_expressions(table: TableText, source: TableName) -> None:
    """Refuse expressions that use a column that is text on MariaDB and becomes bytes on MySQL."""
    byte_columns = {i.name for i in table.columns if solid(i.tokens)[1].text.lower() in FIXED_BINARIES}
    for item in table.items:
        words = solid(item.tokens)
        start = next((p for p, t in enumerate(words) if t.is_word("AS", "CHECK", "DEFAULT") and not item.is_key), None)
        named = {t.name for t in words[start:] if t.kind is Kind.NAME} if start is not None else set()
        if item.is_column and item.name in byte_columns and start is not None and not words[start + 1].is_word("NULL"):
            raise DefinitionRefused(
                source, item.name, "its default or check is text, but the column becomes bytes on MySQL"
            )
        if used := sorted(named & byte_columns):
            raise DefinitionRefused(source, "", f"{item.name} computes with {used[0]}, which becomes bytes on MySQL")


def _collated(tokens: tuple[Token, ...], source: TableName, column: str, crossing: Crossing) -> tuple[Token, ...]:
    renamed = list(tokens)
    indexes = [p for p, t in enumerate(tokens) if not t.is_blank and not t.is_symbol("=")]
    for index, after in itertools.pairwise(indexes):
        if not tokens[index].is_word("COLLATE", "CHARSET", "SET") or tokens[after].kind is not Kind.WORD:
            continue
        name = tokens[after].text
        equal = crossing.collation(name)
        if equal is None:
            raise DefinitionRefused(
                source, column, f"{name} compares text in a way that {crossing.target} does not have"
            )
        renamed[after] = tokens[after]._replace(text=equal)
    return tuple(renamed)


@dataclass(slots=True)
class _Crossed:
    """One column, key or constraint to rewrite. Each step returns the tokens of the item with one thing rewritten."""

    _item: Item
    _source: TableName
    _crossing: Crossing
    _notes: list[str]

    def item(self) -> Item:
        item = self._item
        tokens = _collated(item.tokens, self._source, self._column, self._crossing)
        tokens = self._without_comments(tokens)
        self._check_words(tokens)
        if item.is_check and not self._crossing.to_mariadb:
            tokens = self._unshared(tokens)
        if item.is_column:
            tokens = self._retyped(tokens)
        elif not self._crossing.to_mariadb:
            tokens = tuple(t._replace(text="INVISIBLE") if t.is_word("IGNORED") else t for t in tokens)
        return Item(tokens)

    def _unshared(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        """Leave out the name of a check that MySQL may refuse, so that MySQL gives it another name.

        In MySQL the name of a check is unique in a schema, in MariaDB in a table.
        """
        name = self._item.name
        is_given = not _UNNAMED_CHECK.fullmatch(name)
        start = next((p for p, t in enumerate(tokens) if t.is_word("CHECK")), 0)
        if is_given and name.lower() not in self._crossing.shared_checks:
            return tokens
        if is_given:
            self._notes.append(f"check {name} gets another name: in MySQL it must be unique in the schema")
        return tokens[start:]

    @property
    def _column(self) -> str:
        return self._item.name if self._item.is_column else ""

    def _refused(self, reason: str) -> DefinitionRefused:
        name = self._item.name
        return DefinitionRefused(self._source, self._column, reason if self._item.is_column else f"{name}: {reason}")

    def _without_comments(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        # Each flavour reads the other's version comments differently, so none of them stays. MariaDB stores a text with
        # an introducer and an escape (_utf8mb4'x\\'y') in a form that it cannot read again. Without the introducer the
        # connection's charset counts, which is the same.
        kept: list[Token] = []
        comment: list[Token] | None = None
        for index, token in enumerate(tokens):
            if token.is_word("_UTF8MB4", "_UTF8MB3") and tokens[index + 1].kind is Kind.STRING:
                continue
            if token.kind is Kind.OPEN:
                comment = []
            elif token.kind is Kind.CLOSE and comment is not None:
                kept += self._resolved_comment(comment)
                comment = None
            else:
                (kept if comment is None else comment).append(token)
        return tuple(kept)

    def _resolved_comment(self, tokens: list[Token]) -> list[Token]:
        words = solid(tokens)
        first = words[0] if words else Token(Kind.WORD, "")
        if first.is_word("INVISIBLE"):
            is_key = not self._item.is_column and self._crossing.to_mariadb
            return [Token(Kind.WORD, "IGNORED" if is_key else "INVISIBLE")]
        if first.is_word("SRID", "COMPRESSED", "COLUMN_FORMAT", "STORAGE"):
            text = f"{self._item.name}: {join(words)} has no equivalent on {self._crossing.target} and is left out"
            self._notes.append(text)
            return []
        raise self._refused(f"{join(tokens).strip()} has no equivalent on {self._crossing.target}")

    def _check_words(self, tokens: tuple[Token, ...]) -> None:
        words = solid(tokens)
        if words[0].is_word("PERIOD"):
            raise self._refused(f"periods have no equivalent on {self._crossing.target}")
        for index, (depth, token) in enumerate(depths(words)):
            following = words[index + 1] if index + 1 < len(words) else None
            if token.is_word("OVERLAPS", "VERSIONING", "ARRAY") or (depth == 0 and token.is_word("ROW")):
                raise self._refused(f"{token.text} has no equivalent on {self._crossing.target}")
            if not self._item.is_column and token.is_word("HASH"):
                raise self._refused(f"a unique key by hash has no equivalent on {self._crossing.target}")
            if depth == 1 and self._item.is_key and token.is_symbol("("):
                if words[index - 1].kind is not Kind.NAME:
                    raise self._refused("an index on an expression has no equivalent on MariaDB")
                continue
            is_type = self._item.is_column and index == 1
            calls = token.kind is Kind.WORD and following is not None and following.is_symbol("(") and not is_type
            if calls and token.text.upper() not in _SAME_FUNCTIONS | _GRAMMAR:
                raise self._refused(f"{token.text}() is not known to give the same result on both servers")

    def _retyped(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        at = [p for p, t in enumerate(tokens) if not t.is_blank][1]
        kind = tokens[at]
        if kind.is_word(*_MARIADB_TYPES):
            raise self._refused(f"type {kind.text} has no exact equivalent on {self._crossing.target}")
        if self._crossing.to_mariadb:
            return self._to_mariadb(tokens, at)
        return self._to_mysql(tokens, at)

    def _to_mariadb(self, tokens: tuple[Token, ...], at: int) -> tuple[Token, ...]:
        if tokens[at].is_word("GEOMCOLLECTION"):
            return (*tokens[:at], Token(Kind.WORD, "geometrycollection"), *tokens[at + 1 :])
        if not tokens[at].is_word("JSON"):
            return tokens
        name = tokens[0].text
        longtext = tokenise("longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", CATALOG)
        return (*tokens[:at], *longtext, *tokens[at + 1 :], *tokenise(f" CHECK (json_valid({name}))", CATALOG))

    def _to_mysql(self, tokens: tuple[Token, ...], at: int) -> tuple[Token, ...]:
        if binary := FIXED_BINARIES_ON_MYSQL.get(tokens[at].text.lower()):
            tokens = (*tokens[:at], *tokenise(binary, CATALOG), *tokens[at + 1 :])
        check = "".join(t.text for t in solid(tokenise(f"CHECK(json_valid({tokens[0].text}))", CATALOG)))
        start = next((p for p, (d, t) in enumerate(depths(tokens)) if d == 0 and t.is_word("CHECK")), None)
        if start is not None and "".join(t.text for t in solid(tokens[start:])) == check:
            rest = tokens[_after_charset(tokens, at) : start - 1]
            tokens = (*tokens[:at], Token(Kind.WORD, "json"), Token(Kind.SPACE, " "), *rest)
        default = next((p for p, (d, t) in enumerate(depths(tokens)) if d == 0 and t.is_word("DEFAULT")), None)
        if default is None:
            return tokens
        return self._default_for_mysql(tokens, default + 2, is_lob=tokens[at].is_word(*_LOBS))

    def _default_for_mysql(self, tokens: tuple[Token, ...], start: int, *, is_lob: bool) -> tuple[Token, ...]:
        # MySQL wants parentheses around a default that is an expression, and around each default of a BLOB or TEXT.
        first = tokens[start]
        end = start + 1
        if first.is_symbol("-"):
            end += 1
        elif first.is_symbol("("):
            end = closing(tokens, start) + 1
        elif first.kind is Kind.WORD and end < len(tokens) and tokens[end].is_symbol("("):
            end = closing(tokens, end) + 1
        elif first.kind is Kind.WORD and end < len(tokens) and tokens[end].kind is Kind.STRING:
            end += 1
        following = solid(tokens[end:])
        if following and following[0].kind is not Kind.WORD:
            raise self._refused(f"its default {join(tokens[start:])} is not understood")
        is_call = first.kind is Kind.WORD and tokens[end - 1].is_symbol(")")
        is_plain = first.is_word("NULL", "CURRENT_TIMESTAMP") or first.is_symbol("(")
        if is_plain or not (is_call or is_lob):
            return tokens
        opening, close = Token(Kind.SYMBOL, "("), Token(Kind.SYMBOL, ")")
        return (*tokens[:start], opening, *tokens[start:end], close, *tokens[end:])


def _after_charset(tokens: tuple[Token, ...], at: int) -> int:
    indexes = [p for p in range(at + 1, len(tokens)) if not tokens[p].is_blank]
    while indexes and tokens[indexes[0]].is_word("CHARACTER", "COLLATE"):
        indexes = indexes[3:] if tokens[indexes[0]].is_word("CHARACTER") else indexes[2:]
    return indexes[0]
