"""Statements of data definition as a grammar makes them: every spelling that a server takes, and the tables meant.

A `Catalog` knows which tables are there, so that a server accepts nearly every statement; `Written` says by
construction which tables a statement changes. What is random: the spelling of names, blanks, comments, key words and
strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.core.table import TableName

if TYPE_CHECKING:
    from random import Random

MODES = ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "IGNORE_SPACE,PIPES_AS_CONCAT")
# Digits alone, what a number looks like, key words, quotes, points, comments, and letters of many bytes.
NAMES = (
    "t", "u", "2024", "1e5", "0x1f", "9x", "table", "if", "rename", "to", "select", "like", "references", "$d", "_",
    "é", "a.b", "a`b", 'a"b', "a'b", "a\\", "--", "/*", "*/", "a b", ";", "#", "x'", "exchange", "partition", "convert",
)  # fmt: skip
COMMENTS = (
    "/**/",
    "/* ; */",
    "/* ' */",
    '/* " */',
    "/* ` */",
    "/*\\*/",
    "-- '\n",
    "--\t;\n",
    '# "`\n',
    "/* /* */",
    "/*!*/",
)
TEXTS = (
    "", "plain", "it's", 'a "word"', "`tick`", "a\\", "\\'", "; DROP TABLE t; --", "/* no */", "*/", "-- x", "#",
    "RENAME TO u", ", RENAME u", "\\", "''", "é", "100%", "line\nbreak", "%s {}", "CONVERT TABLE u TO PARTITION p",
)  # fmt: skip
_BARE = re.compile(r"[0-9A-Za-z_$\x80-\uffff]+")
_RESERVED = frozenset({"TABLE", "IF", "RENAME", "TO", "SELECT", "LIKE", "REFERENCES", "CONVERT", "PARTITION"})


@dataclass(frozen=True)
class Written:
    """A statement, its session, and the tables that it changes."""

    text: str
    mode: str
    default: str
    tables: frozenset[TableName]


@dataclass
class Catalog:
    """The tables that are there, and statements on them. `schemas` are all that there are."""

    chance: Random
    schemas: tuple[str, ...]
    is_mariadb: bool
    tables: set[TableName] = field(default_factory=set)
    number: int = 0
    mode: str = ""
    default: str = ""

    def write(self) -> Written:
        """Make the next statement, and take it for done."""
        self.mode = self.chance.choice(MODES)
        self.default = self.chance.choice(self.schemas)
        kinds = [self._create, self._create, self._alter, self._alter, self._drop, self._rename, self._truncate]
        kinds += [self._index, self._like, self._alter_rename]
        words, tables = (self.chance.choice(kinds) if self.tables else self._create)()
        text = self._joined(words)
        return Written(text, self.mode, self.default, frozenset(tables))

    def _create(self) -> tuple[list[str], set[TableName]]:
        table = self._new()
        exists = ["IF", "NOT", "EXISTS"] if self.chance.random() < 0.3 else []
        replace = ["OR", "REPLACE"] if self.is_mariadb and not exists and self.chance.random() < 0.3 else []
        if replace and self.tables and self.chance.random() < 0.5:
            table = self._some()
        words = ["CREATE", *replace, "TABLE", *exists, self._name(table), "(", "id", "INT", "PRIMARY", "KEY", ",", "v"]
        words += ["VARCHAR", "(", "90", ")", "DEFAULT", self._string(), ")", "COMMENT", "=", self._string()]
        self.tables.add(table)
        return words, {table}

    def _like(self) -> tuple[list[str], set[TableName]]:
        model, table = self._some(), self._new()
        self.tables.add(table)
        name, like = self._name(table), self._name(model)
        return ["CREATE", "TABLE", name, *(self.chance.choice((["LIKE", like], ["(", "LIKE", like, ")"])))], {table}

    def _alter(self) -> tuple[list[str], set[TableName]]:
        table = self._some()
        words = ["ALTER", "TABLE", self._name(table)]
        self.number += 1
        for place in range(self.chance.randrange(1, 4)):
            words += [","] if place else []
            column = f"c{self.number}_{place}"
            # MySQL makes the names of unnamed checks from the table's name. If ALTER TABLE … RENAME then meets a name
            # in use, MySQL 9.7 leaves the table without its tablespace.
            named = () if self.is_mariadb else ("CONSTRAINT", f"only_{column}")
            words += self.chance.choice(
                (
                    ["ADD", "COLUMN", self._column(table, column), "INT", "COMMENT", self._string()],
                    ["ADD", column, "VARCHAR", "(", "90", ")", "DEFAULT", self._string()],
                    [
                        "ADD",
                        *named,
                        "CHECK",
                        "(",
                        self._qualified(table, "id"),
                        ">",
                        self._qualified(table, "id"),
                        "-",
                        "1",
                        ")",
                    ],
                    ["ADD", column, "INT", "AS", "(", self._qualified(table, "id"), "+", "1", ")"],
                    ["COMMENT", self._string()],
                )
            )
        return words, {table}

    def _alter_rename(self) -> tuple[list[str], set[TableName]]:
        table, other = self._some(), self._new()
        link = self.chance.choice((["TO"], ["AS"], ["="], []))
        self.number += 1
        more = [",", "ADD", f"c{self.number}", "INT", "COMMENT", self._string()] if self.chance.random() < 0.5 else []
        words = ["ALTER", "TABLE", self._name(table), "RENAME", *link, self._name(other), *more]
        self.tables ^= {table, other}
        return words, {table, other}

    def _drop(self) -> tuple[list[str], set[TableName]]:
        gone = self.chance.sample(sorted(self.tables), min(len(self.tables), self.chance.choice((1, 1, 2))))
        self.tables -= set(gone)
        exists = ["IF", "EXISTS"] if self.chance.random() < 0.5 else []
        return ["DROP", "TABLE", *exists, *self._listed([[self._name(t)] for t in gone])], set(gone)

    def _rename(self) -> tuple[list[str], set[TableName]]:
        pairs = []
        meant: set[TableName] = set()
        for table in self.chance.sample(sorted(self.tables), min(len(self.tables), self.chance.choice((1, 2)))):
            other = self._new()
            pairs.append([self._name(table), "TO", self._name(other)])
            self.tables ^= {table, other}
            meant |= {table, other}
        return ["RENAME", "TABLE", *self._listed(pairs)], meant

    def _truncate(self) -> tuple[list[str], set[TableName]]:
        table = self._some()
        return ["TRUNCATE", *(["TABLE"] if self.chance.random() < 0.5 else []), self._name(table)], {table}

    def _index(self) -> tuple[list[str], set[TableName]]:
        table = self._some()
        self.number += 1
        return ["CREATE", "INDEX", f"i{self.number}", "ON", self._name(table), "(", "v", ")"], {table}

    def _some(self) -> TableName:
        return self.chance.choice(sorted(self.tables))

    def _new(self) -> TableName:
        while True:
            self.number += 1
            name = self.chance.choice(NAMES)
            table = TableName(self.chance.choice(self.schemas), name)
            if table in self.tables:
                table = TableName(table.schema, f"{name}{self.number}")
            if table not in self.tables:
                return table

    def _listed(self, items: list[list[str]]) -> list[str]:
        return [word for place, item in enumerate(items) for word in ([","] if place else []) + item]

    def _column(self, table: TableName, column: str) -> str:
        """Spell a column's name; MariaDB takes its table's, and that one's schema, in front of it."""
        if self.is_mariadb and self.chance.random() < 0.5:
            return self._qualified(table, column)
        return column

    def _qualified(self, table: TableName, column: str) -> str:
        parts = [table.table, column] if self.chance.random() < 0.4 else [table.schema, table.table, column]
        return ".".join(self._quoted(part) for part in parts)

    def _name(self, table: TableName) -> str:
        """Spell a table's name: alone, with its schema, or with a point alone, where that means the same."""
        if table.schema == self.default and self.chance.random() < 0.5:
            if self.is_mariadb and self.chance.random() < 0.3:
                return "." + self.chance.choice(("", " ")) + self._quoted(table.table)
            return self._first(table.table)
        schema = self._first(table.schema)
        if _BARE.fullmatch(schema) and _BARE.fullmatch(table.table) and self.chance.random() < 0.5:
            # After a point that follows a bare name at once, everything is a name.
            return f"{schema}.{table.table}"
        return schema + self.chance.choice((".", " . ", "/* . */.", ".\n", "./**/")) + self._first(table.table)

    def _first(self, name: str) -> str:
        can_be_bare = _BARE.fullmatch(name) and not name[0].isdigit() and name.upper() not in _RESERVED
        return name if can_be_bare and name[0] != "$" and self.chance.random() < 0.5 else self._quoted(name)

    def _quoted(self, name: str) -> str:
        mark = '"' if "ANSI" in self.mode and self.chance.random() < 0.5 else "`"
        return mark + name.replace(mark, mark * 2) + mark

    def _string(self) -> str:
        text = self.chance.choice(TEXTS)
        mark = "'" if "ANSI" in self.mode or self.chance.random() < 0.5 else '"'
        if "NO_BACKSLASH" in self.mode:
            return mark + text.replace(mark, mark * 2) + mark
        text = text.replace("\\", "\\\\")
        return mark + text.replace(mark, self.chance.choice((mark * 2, "\\" + mark))) + mark

    def _joined(self, words: list[str]) -> str:
        """Join words: blanks and comments between them, key words in any case, executable comments round some."""
        parts = []
        for word in words:
            text = word
            if word.isalpha() and word.isupper():
                text = self.chance.choice((word, word.lower(), word.title()))
                if self.chance.random() < 0.08:
                    text = self.chance.choice(("/*!{}*/", "/*!50000 {} */", "/*! {} */")).format(text)
            parts.append(text)
            blank = self.chance.choice((" ", " ", " ", "\n", "\t ", "  "))
            parts.append(blank + self.chance.choice(COMMENTS) + " " if self.chance.random() < 0.15 else blank)
        return "".join(parts).rstrip()
