"""Check if an expression gives the same value on every server and in every session.

An expression is accepted only if all of it is known to do so. The copy and the stream check generated columns whose
values a server stores or indexes, and the stream checks the defaults of columns that a logged ALTER TABLE adds. The
`why_…` functions return a reason, or None if the value is the same. Tested on MariaDB 10.11 and 11.8 and MySQL 9.7,
with the same row written by two sessions that differ in all their variables.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.column_types import INTEGERS, LISTS, REALS, TEMPORALS, TEXTS
from replica_cli.sqlbuilder.tokens import (
    CATALOG,
    Kind,
    Token,
    closing,
    depths,
    string_value,
    tokenise,
    unwrapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.table import Column, TableDefinition, TableName

# Functions that depend on no session variable, no clock and no library of the server (regular expressions, zlib, libm).
_SAFE = frozenset(
    {"ABS", "ADDDATE", "ADDTIME", "ASCII", "BIN", "BIN_TO_UUID", "BIT_COUNT", "BIT_LENGTH", "CAST", "CEIL",
     "CEILING", "CHAR", "CHARACTER_LENGTH", "CHAR_LENGTH", "COALESCE", "CONCAT", "CONCAT_WS", "CONV", "CONVERT",
     "CRC32", "DATE", "DATEDIFF", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DAY", "DAYOFMONTH", "DAYOFWEEK",
     "DAYOFYEAR", "DEGREES", "ELT", "EXPORT_SET", "EXTRACT", "FIELD", "FIND_IN_SET", "FLOOR", "FORMAT",
     "FROM_BASE64", "FROM_DAYS", "GREATEST", "HEX", "HOUR", "IF", "IFNULL", "INET6_ATON", "INET6_NTOA", "INET_ATON",
     "INET_NTOA", "INSERT", "INSTR", "INTERVAL", "ISNULL", "IS_IPV4", "IS_IPV6", "IS_UUID", "JSON_ARRAY",
     "JSON_CONTAINS", "JSON_CONTAINS_PATH", "JSON_DEPTH", "JSON_EXISTS", "JSON_EXTRACT", "JSON_INSERT", "JSON_KEYS",
     "JSON_LENGTH", "JSON_OBJECT", "JSON_OVERLAPS", "JSON_QUERY", "JSON_QUOTE", "JSON_REMOVE", "JSON_REPLACE",
     "JSON_SEARCH", "JSON_SET", "JSON_TYPE", "JSON_UNQUOTE", "JSON_VALID", "JSON_VALUE", "LAST_DAY", "LCASE",
     "LEAST", "LEFT", "LENGTH", "LENGTHB", "LOCATE", "LOWER", "LPAD", "LTRIM", "MAKEDATE", "MAKETIME", "MAKE_SET",
     "MD5", "MICROSECOND", "MID", "MINUTE", "MOD", "MONTH", "NULLIF", "NVL", "NVL2", "OCT", "OCTET_LENGTH", "ORD",
     "PERIOD_ADD", "PERIOD_DIFF", "PI", "POINT", "POSITION", "QUARTER", "QUOTE", "RADIANS", "REPEAT", "REPLACE",
     "REVERSE", "RIGHT", "ROUND", "RPAD", "RTRIM", "SECOND", "SEC_TO_TIME", "SHA", "SHA1", "SHA2", "SIGN", "SOUNDEX",
     "SPACE", "SQRT", "STRCMP", "STR_TO_DATE", "ST_LATITUDE", "ST_LONGITUDE", "ST_SRID", "ST_X", "ST_Y", "SUBDATE",
     "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "SUBTIME", "TIMEDIFF", "TIMESTAMPADD", "TIMESTAMPDIFF", "TIME_TO_SEC",
     "TO_BASE64", "TO_DAYS", "TO_SECONDS", "TRIM", "TRUNCATE", "UCASE", "UNHEX", "UPPER", "UUID_TO_BIN", "WEEKDAY",
     "WEEKOFYEAR", "YEAR"}
)  # fmt: skip
# Safe with a second argument. Without it they use default_week_format.
_WEEKS = frozenset({"WEEK", "YEARWEEK"})
# A logged statement has its clock and its time zone in the event, so these are the same on all servers.
_OF_THE_STATEMENT = frozenset(
    {"CURDATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURTIME", "FROM_UNIXTIME", "LOCALTIME",
     "LOCALTIMESTAMP", "NOW", "TIMESTAMP", "UNIX_TIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP"}
)  # fmt: skip
_WORDS = frozenset(
    {"AND", "ARRAY", "AS", "ASC", "BETWEEN", "BINARY", "BOTH", "CASE", "CHAR", "CHARACTER", "CHARSET", "COLLATE",
     "DATE", "DATETIME", "DEC", "DECIMAL", "DIV", "DOUBLE", "ELSE", "EMPTY", "END", "ERROR", "ESCAPE", "FALSE",
     "FLOAT", "FOR", "FROM", "IN", "INT", "INTEGER", "INTERVAL", "IS", "JSON", "LEADING", "LIKE", "MEMBER", "MOD",
     "NCHAR", "NOT", "NULL", "OF", "ON", "OR", "REAL", "RETURNING", "SET", "SIGNED", "THEN", "TIME", "TRAILING",
     "TRUE", "UNKNOWN", "UNSIGNED", "USING", "VARCHAR", "WHEN", "XOR", "YEAR"}
)  # fmt: skip
_UNITS = frozenset(
    {"MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "SECOND_MICROSECOND",
     "MINUTE_MICROSECOND", "MINUTE_SECOND", "HOUR_MICROSECOND", "HOUR_SECOND", "HOUR_MINUTE", "DAY_MICROSECOND",
     "DAY_SECOND", "DAY_MINUTE", "DAY_HOUR", "YEAR_MONTH", "SQL_TSI_SECOND", "SQL_TSI_MINUTE", "SQL_TSI_HOUR",
     "SQL_TSI_DAY", "SQL_TSI_WEEK", "SQL_TSI_MONTH", "SQL_TSI_QUARTER", "SQL_TSI_YEAR"}
)  # fmt: skip
_SYMBOLS = frozenset("(),+-*/%=<>!&|^~.")
# TIMESTAMP'…' is a DATETIME, unless the string has an offset, which is checked with the string.
_LITERALS = frozenset({"B", "DATE", "N", "TIME", "TIMESTAMP", "X"})
_OPERATORS = frozenset({"AND", "AS", "IN", "NOT", "OR", "WHEN", "XOR"})
_MEETS = ("=", "<", ">")
_COMPARES = ("LIKE", "IN", "BETWEEN", "WHEN")
# ENUM, SET and JSON have a charset too.
_TEXTS = TEXTS | LISTS | {"json"}
_TEMPORALS = TEMPORALS | {"year"}
_WHOLE = INTEGERS | {"year"}
# Functions that take a part of a value as it is written, and round nothing.
_PARTS_OF_DATE = frozenset(
    {"CAST AS DATE", "DATE", "DATEDIFF", "DATE_FORMAT", "DAY", "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "EXTRACT",
     "LAST_DAY", "MONTH", "QUARTER", "TIMESTAMPDIFF", "TO_DAYS", "TO_SECONDS", "WEEK", "WEEKDAY", "YEAR", "YEARWEEK"}
)  # fmt: skip
_PARTS_OF_TIME = frozenset({"HOUR", "MINUTE", "SECOND", "MICROSECOND", "TIME_TO_SEC"})
_KEEPS_TIME = frozenset({"ADDTIME", "CAST AS TIME", "SUBTIME", "TIMEDIFF"})
_ROUNDS = frozenset({"CAST AS DATETIME", "CAST AS TIME", "CAST AS SIGNED", "CAST AS UNSIGNED"})
# Functions that read a text as a date or a time.
_READS_TEMPORAL = _PARTS_OF_DATE | _PARTS_OF_TIME | {
    "ADDDATE", "ADDTIME", "CAST AS DATETIME", "CAST AS TIME", "DATE_ADD", "DATE_SUB", "SUBDATE", "SUBTIME", "TIMEDIFF",
    "TIMESTAMPADD",
}  # fmt: skip
_NAMES_OF_DAYS = re.compile(r"%[abMW]")
_BYTES = re.compile(r"0X[0-9A-F]+$|0B[01]+$")
_OFFSET = re.compile(r"[+-]\d\d?:\d\d$")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the value of an expression can depend on.

    Attributes:
        columns: the columns of its table, by name in lower case.
        result: the type of the column that gets the value.
        fraction_digits: the digits of that column for fractions of a second.
        is_mariadb: the primary's flavour. MariaDB itself refuses to store a value that depends on sql_mode.
        is_logged: a logged statement computes the value, with the clock, the time zone and the sql_mode in its event.
            Otherwise it is computed by the sessions that write rows.
        table: the name of the table that may be before a column's name in the expression. None accepts no such name.
    """

    columns: Mapping[str, Column]
    result: str = ""
    fraction_digits: int = 0
    is_mariadb: bool = True
    is_logged: bool = False
    table: TableName | None = None


def why_computed_values_differ(
    definition: TableDefinition, *, from_mariadb: bool, to_mariadb: bool
) -> tuple[str, str] | None:
    """Return the first generated column or index whose values can differ on the secondary, and why; None if none can.

    A stored column is computed by the session that writes the row, and so are the entries of an index, also those of a
    virtual column or an expression. A virtual column is otherwise computed by the session that reads it.
    """
    columns = {c.name.lower(): c for c in definition.columns}
    plain = Setting(columns, table=definition.name)
    indexed = {part.name.lower() for index in definition.indexes for part in index.columns}
    for column in definition.columns:
        if not column.generation_expression or column.is_of_period:
            continue
        tokens = tokenise(column.generation_expression, CATALOG)
        is_stored = "STORED" in column.extra.upper() or "PERSISTENT" in column.extra.upper()
        reason = None
        if is_stored or column.name.lower() in indexed:
            # What sql_mode does to a value matters if the row stores the value, not if only an index is ordered by it.
            is_mariadb = from_mariadb or not is_stored
            setting = replace(
                plain, result=column.data_type, fraction_digits=column.fraction_digits, is_mariadb=is_mariadb
            )
            reason = why_value_differs(tokens, setting)
        elif from_mariadb != to_mariadb and any(t.is_symbol("/") for t in tokens):
            reason = why_value_differs(tokens, replace(plain, is_logged=True))
        if reason:
            return f"column {column.name}", reason
    for index in definition.indexes:
        for part in index.columns:
            if part.expression and (reason := why_value_differs(tokenise(part.expression, CATALOG), plain)):
                return f"index {index.name}", reason
    return None


def why_value_differs(expression: Sequence[Token], setting: Setting) -> str | None:
    """Return why an expression can give another value on another server or in another session, or None if it cannot."""
    tokens = unwrapped(expression)
    return _Reading(_unqualified(tokens, setting), setting).reason()


def _unqualified(tokens: Sequence[Token], setting: Setting) -> list[Token]:
    """Return the tokens without the table before a column's name, written as schema.table, table or .table."""
    kept: list[Token] = []
    index = 0
    while index < len(tokens):
        index += _qualifier(tokens, index, setting)
        kept.append(tokens[index])
        index += 1
    return kept


def _qualifier(tokens: Sequence[Token], index: int, setting: Setting) -> int:
    """Return how many tokens from `index` on name the table before one of its columns; 0 if none do."""
    if setting.table is None or (index and _may_belong(tokens[index - 1], tokens[index])):
        return 0
    # The primary accepted the statement, so names of schemas and tables that differ only in case mean the same there.
    schema, table = setting.table.schema.lower(), setting.table.table.lower()
    for names in ((schema, ".", table, "."), (".", table, "."), (table, ".")):
        end = index + len(names)
        is_last = end + 1 >= len(tokens) or not tokens[end + 1].is_symbol(".", "(")
        if end < len(tokens) and is_last and tokens[end].name.lower() in setting.columns:
            pairs = zip(tokens[index:end], names, strict=True)
            if all(t.is_symbol(".") if name == "." else _is_named(t, name) for t, name in pairs):
                return len(names)
    return 0


def _is_named(token: Token, name: str) -> bool:
    return token.kind in (Kind.NAME, Kind.WORD) and token.name.lower() == name


def _may_belong(before: Token, token: Token) -> bool:
    """Return True if the token before is part of the same name: a point, or a schema before a point."""
    is_key_word = before.is_word(*_WORDS)
    is_schema = token.is_symbol(".") and before.kind in (Kind.NAME, Kind.WORD) and not is_key_word
    return is_schema or before.is_symbol(".")


class _Reading:
    """The check of one expression. Each of its tokens must be known to be harmless in its context."""

    def __init__(self, tokens: Sequence[Token], setting: Setting) -> None:
        self._tokens = tokens
        self._setting = setting
        self._functions = _functions(tokens)
        self._used = [c for c in map(self._column, range(len(tokens))) if c is not None]

    def reason(self) -> str | None:
        for index, token in enumerate(self._tokens):
            if (column := self._column(index)) is not None:
                reason = self._why_column(index, column)
            elif token.kind is Kind.STRING:
                reason = self._why_string(index)
            elif token.kind is Kind.SYMBOL:
                reason = self._why_symbol(index)
            elif token.kind is Kind.WORD:
                reason = self._why_word(index)
            else:
                reason = None if token.kind is Kind.NUMBER else f"{token.text} is not a column of its table"
            if reason:
                return reason
        return self._why_result()

    def _column(self, index: int) -> Column | None:
        token = self._tokens[index]
        if token.kind is Kind.NAME or (token.kind is Kind.WORD and not self._is_followed_by(index, "(")):
            return self._setting.columns.get(token.name.lower())
        return None

    def _is_followed_by(self, index: int, *symbols: str) -> bool:
        return index + 1 < len(self._tokens) and self._tokens[index + 1].is_symbol(*symbols)

    def _before(self, index: int) -> Token | None:
        return self._tokens[index - 1] if index else None

    def _why_column(self, index: int, column: Column) -> str | None:  # noqa: PLR0911 - one return for each reason
        name, kind, inside = column.name, column.data_type, self._functions[index]
        parent = inside[-1] if inside else ""
        if self._setting.is_logged:
            return None
        if column.is_generated:
            setting = replace(self._setting, result=kind, fraction_digits=column.fraction_digits)
            if inner := why_value_differs(tokenise(column.generation_expression, CATALOG), setting):
                return inner
        if kind == "timestamp":
            is_number = parent == "UNIX_TIMESTAMP"
            return None if is_number else f"{name} is a TIMESTAMP, which is another text in another time_zone"
        if kind == "time" and parent not in _PARTS_OF_TIME and self._may_be_date(index):
            return f"{name} is a TIME, which becomes a date by the day on which the row is written"
        if self._setting.is_mariadb:
            return None
        if kind == "char" and parent not in ("TRIM", "RTRIM"):
            return f"{name} is a CHAR, whose spaces depend on sql_mode (PAD_CHAR_TO_FULL_LENGTH)"
        if column.fraction_digits and kind in ("datetime", "time") and not self._keeps_fraction(index, column):
            return f"{name} has fractions of a second, whose rounding depends on sql_mode (TIME_TRUNCATE_FRACTIONAL)"
        return None

    def _may_be_date(self, index: int) -> bool:
        if self._setting.result in ("date", "datetime", "timestamp", "year"):
            return True
        reads = _READS_TEMPORAL - _PARTS_OF_TIME - _KEEPS_TIME
        return any(c.data_type in ("date", "datetime") for c in self._used) or bool(reads & set(self._functions[index]))

    def _keeps_fraction(self, index: int, column: Column) -> bool:
        inside, result = set(self._functions[index]), self._setting.result
        if inside & _ROUNDS:
            return False
        if inside & (_PARTS_OF_DATE | _PARTS_OF_TIME) or result not in _TEMPORALS | _WHOLE:
            return True
        is_same = result == column.data_type and self._setting.fraction_digits >= column.fraction_digits
        return is_same or self._is_compared(index)

    def _why_string(self, index: int) -> str | None:
        value = string_value(self._tokens[index].text)
        if "DATE_FORMAT" in self._functions[index] and _NAMES_OF_DAYS.search(value):
            return "names of days and months depend on lc_time_names"
        if not self._setting.is_mariadb and _OFFSET.search(value) and not self._setting.is_logged:
            return f"{self._tokens[index].text} is another moment in another time_zone"
        if self._is_compared(index) and not any(c.data_type in _TEXTS | _TEMPORALS for c in self._used):
            return "texts are compared by collation_connection"
        return None

    def _is_compared(self, index: int) -> bool:
        first = index - 1
        while first >= 0 and (self._tokens[first].is_symbol("(", ",") or self._tokens[first].text.startswith("_")):
            first -= 1
        following = self._tokens[index + 1] if index + 1 < len(self._tokens) else None
        near = [t for t in (self._tokens[first] if first >= 0 else None, following) if t is not None]
        return any(t.is_symbol(*_MEETS) or t.is_word(*_COMPARES) for t in near)

    def _why_symbol(self, index: int) -> str | None:
        token = self._tokens[index]
        if token.text not in _SYMBOLS:
            return f"{token.text} is not understood"
        if token.is_symbol("/"):
            neighbours = (self._column(p) for p in (index - 1, index + 1) if 0 <= p < len(self._tokens))
            if not any(c is not None and c.data_type in REALS for c in neighbours):
                return "the digits of a division depend on div_precision_increment"
        return None

    def _why_word(self, index: int) -> str | None:
        word, before = self._tokens[index].text.upper(), self._before(index)
        if self._is_followed_by(index, "(") and word not in _OPERATORS:
            return self._why_call(index, word)
        following = self._tokens[index + 1] if index + 1 < len(self._tokens) else None
        is_literal = following is not None and following.kind is Kind.STRING and word in _LITERALS
        # A charset (_utf8mb4) can also precede x'…'.
        is_known = is_literal or word.startswith("_") or bool(_BYTES.match(word)) or word in _UNITS or word in _WORDS
        is_named = before is not None and before.is_word("COLLATE", "CHARSET", "SET", "USING")
        if is_known or is_named or (self._setting.is_logged and word in _OF_THE_STATEMENT):
            return None
        return f"{word} is not known to be the same on every server"

    def _why_call(self, index: int, word: str) -> str | None:
        if word == "UNIX_TIMESTAMP" and not self._setting.is_logged:
            argument = self._column(index + 2)
            is_moment = argument is not None and argument.data_type == "timestamp"
            return None if is_moment else "UNIX_TIMESTAMP() reads a text in the session's time_zone"
        if word in _WEEKS:
            end = closing(self._tokens, index + 1)
            if any(t.is_symbol(",") for t in self._tokens[index:end]):
                return None
            return f"{word}() without a mode depends on default_week_format"
        if word in _SAFE or (word in _WORDS and word != "TIMESTAMP"):
            return None
        if self._setting.is_logged and word in _OF_THE_STATEMENT:
            return None
        return f"{word}() is not known to be the same on every server and in every session"

    def _is_literal(self, token: Token) -> bool:
        is_prefix = token.is_word(*_LITERALS, "NULL", "TRUE", "FALSE") or token.text.startswith("_")
        return token.kind in (Kind.STRING, Kind.NUMBER) or token.is_symbol("(", ")", "-", "+") or is_prefix

    def _why_result(self) -> str | None:
        if self._setting.is_logged:
            return None
        kind = self._setting.result
        if kind == "timestamp":
            return "a TIMESTAMP is computed in the session's time_zone"
        if not self._used and not all(map(self._is_literal, self._tokens)):
            return "it names no column, so the session's charset and collation decide"
        if self._setting.is_mariadb:
            return None
        is_temporal = kind in ("date", "datetime", "time") or any(
            (one.is_word("RETURNING") and other.is_word("DATE", "DATETIME", "TIME"))
            or (one.is_word("INTERVAL") and not other.is_symbol("("))
            for one, other in itertools.pairwise(self._tokens)
        )
        for index in range(len(self._tokens)):
            column = self._column(index)
            if column is None or column.data_type in _TEMPORALS | _WHOLE:
                continue
            if "STR_TO_DATE" in self._functions[index]:  # it reads the text only by its format
                continue
            if is_temporal or _READS_TEMPORAL & set(self._functions[index]):
                return f"{column.name} becomes a date or time, which depends on time_zone if it has an offset (+02:00)"
        return None


def _functions(tokens: Sequence[Token]) -> list[tuple[str, ...]]:
    """Return for each token the functions whose arguments it is in, the innermost last.

    A parenthesis without a function adds nothing. A CAST to a date, a time or a whole number includes the type.
    """
    functions: list[tuple[str, ...]] = []
    inside: list[tuple[str, ...]] = [()]
    for index, token in enumerate(tokens):
        if token.is_symbol(")") and len(inside) > 1:
            inside.pop()
        functions.append(inside[-1])
        if token.is_symbol("("):
            before = tokens[index - 1] if index else None
            name = before.text.upper() if before is not None and before.kind is Kind.WORD else ""
            if name == "CAST":
                name = _cast(tokens[index : closing(tokens, index)])
            inside.append((*inside[-1], name) if name else inside[-1])
    return functions


def _cast(tokens: Sequence[Token]) -> str:
    kind = next(
        (other for (d, one), (_, other) in itertools.pairwise(depths(tokens)) if d == 1 and one.is_word("AS")), None
    )
    is_named = kind is not None and kind.is_word("DATE", "DATETIME", "TIME", "SIGNED", "UNSIGNED")
    return f"CAST AS {kind.text.upper()}" if kind is not None and is_named else "CAST"
