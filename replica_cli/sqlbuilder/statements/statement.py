"""Classify a logged statement and find the tables that it names.

The parser reads tokens, so no comment, quote or name can mislead it. It reads only what is needed: the kind, the
tables, and which tokens are their names, so that schemas can be routed. The text to run is written from the same
tokens, without comments, so the secondary reads the same statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.statements.cursor import Cursor, TableReference
from replica_cli.sqlbuilder.tokens import Dialect, Kind, Token, solid, tokenise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.table import TableName


class StatementKind(StrEnum):
    """The kinds of statements that the applier treats differently."""

    CREATE_TABLE = "create table"
    ALTER_TABLE = "alter table"
    DROP_TABLE = "drop table"
    RENAME_TABLE = "rename table"
    TRUNCATE = "truncate"
    CREATE_SCHEMA = "create schema"
    ALTER_SCHEMA = "alter schema"
    DROP_SCHEMA = "drop schema"
    SEQUENCE = "sequence"
    TEMPORARY_SEQUENCE = "temporary sequence"
    ROWS = "statement-format change of rows"
    SAVEPOINT = "savepoint"
    WITHOUT_EFFECT = "without effect on tables"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement and its tables.

    Attributes:
        kind: the kind of the statement.
        tokens: all tokens of its text.
        references: the tables that it changes. For a rename, old and new names alternate.
        mentioned: the tables that it only names (after LIKE, REFERENCES and the like).
        schema: the schema that a schema statement is about.
        schema_index: the token index of the name of that schema, or None if the text does not name it.
        object_class: what a statement without effect on tables is about, e.g. "view".
        qualifiers: the token index and the name of the schema in each name of a column (schema.table.column).
        possible_schemas: the first parts of two-part names, without those that are tables of the statement.
        is_or_replace: it is CREATE OR REPLACE.
        parts: the tables of a MERGE table, in UNION=(…).
        lost_names: the tables that lose their name by a rename, or become a part of another table.
    """

    kind: StatementKind
    tokens: tuple[Token, ...]
    references: tuple[TableReference, ...] = ()
    mentioned: tuple[TableReference, ...] = ()
    schema: str = ""
    schema_index: int | None = None
    object_class: str = ""
    qualifiers: tuple[tuple[int, str], ...] = ()
    possible_schemas: frozenset[str] = frozenset()
    is_or_replace: bool = False
    parts: tuple[TableName, ...] = ()
    lost_names: frozenset[TableName] = frozenset()

    @property
    def tables(self) -> tuple[TableName, ...]:
        """Return the names of the tables that the statement changes, in the order of the text."""
        return tuple(r.name for r in self.references)

    @property
    def model(self) -> TableName | None:
        """Return the table after LIKE in a CREATE TABLE … LIKE, or None."""
        return next(iter(self._named_after("LIKE")), None)

    @property
    def parents(self) -> tuple[TableName, ...]:
        """Return the tables that foreign keys in the statement refer to."""
        return self._named_after("REFERENCES")

    def _named_after(self, word: str) -> tuple[TableName, ...]:
        names = []
        for other in self.mentioned:
            before = next((t for t in reversed(self.tokens[: other.first]) if not t.is_blank), None)
            if before is not None and before.is_word(word):
                names.append(other.name)
        return tuple(names)

    def routed(self, route: Callable[[str], str]) -> str:
        """Return the text to run: with full names of the tables on the secondary, and without comments.

        What is inside an executable comment is run, because the primary ran it. Otherwise the log would have a plain
        comment. The ends of the comment are left out, because the secondary's version or flavour may take it for a
        plain one.

        Args:
            route: returns the secondary's name of a schema.
        """
        texts = [" " if t.is_blank or t.kind in (Kind.OPEN, Kind.CLOSE) else t.text for t in self.tokens]
        for reference in (*self.references, *self.mentioned):
            if not reference.is_kept:
                schema, table = route(reference.name.schema), reference.name.table
                texts[reference.first : reference.last + 1] = [""] * (reference.last + 1 - reference.first)
                texts[reference.first] = f"{quote(schema)}.{quote(table)}"
        for index, schema in self.qualifiers:
            texts[index] = quote(route(schema))
        if self.schema_index is not None:
            texts[self.schema_index] = quote(route(self.schema))
        return "".join(texts)


# A server itself writes the DROP TABLE in its log. MariaDB copies a comment of the client's text before the first name,
# even an executable one: DROP /**/ /*!TABLE*/ t is logged as DROP TABLE /*!TABLE*/ `t`. The words in the comment must
# not be read again. Source: MariaDB, sql_table.cc.
_WRITTEN_DROP = re.compile(
    r"\A(DROP (?:TABLE|SEQUENCE) (?:IF EXISTS )?)/\*.*?\*/(?=.*/\* generated by server \*/\Z)", re.DOTALL
)


def parse_statement(text: str, default_schema: str, dialect: Dialect) -> ParsedStatement:
    """Classify a statement and find its tables.

    The parser does not guess: a statement that it does not understand is UNKNOWN, and the caller decides.
    """
    tokens = tokenise(_WRITTEN_DROP.sub(r"\1", text), dialect)
    return _Parser(tokens, default_schema, folds_names=dialect.folds_names).parse()


_ROWS = ("INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "DO", "WITH", "SELECT")
_WITHOUT_EFFECT = (
    "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE", "REPAIR", "FLUSH", "SET", "USE", "INSTALL", "UNINSTALL", "CHECK",
    "KILL", "RESET", "PURGE", "SHUTDOWN", "COMMIT", "BEGIN", "CACHE", "CHANGE", "START", "STOP", "IMPORT", "BACKUP",
)  # fmt: skip
# Objects without rows. They are not replicated, so their statements have no effect.
_OTHER_OBJECTS = (
    "USER", "ROLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SERVER", "LOGFILE", "TABLESPACE",
    "PACKAGE", "INSTANCE", "RESOURCE", "REFERENCE", "LIBRARY", "CATALOG",
)  # fmt: skip


class _Parser(Cursor):
    def __init__(self, tokens: list[Token], default_schema: str, *, folds_names: bool) -> None:
        super().__init__(tokens, default_schema, folds_names=folds_names)
        self._references: list[TableReference] = []
        self._mentioned: list[TableReference] = []
        self._qualifiers: list[tuple[int, str]] = []
        self._first_of_pairs: set[str] = set()
        self._is_or_replace = False
        self._parts: list[TableName] = []
        self._lost_names: set[TableName] = set()

    def parse(self) -> ParsedStatement:
        return self._statement() if self._skip_set_statement() else self._result(StatementKind.UNKNOWN)

    def _statement(self) -> ParsedStatement:  # noqa: PLR0911 - one return for each kind of statement
        if self._take("CREATE"):
            return self._create()
        if self._take("ALTER"):
            return self._alter()
        if self._take("DROP"):
            return self._drop()
        if self._take("RENAME"):
            return self._rename()
        if self._take("TRUNCATE"):
            self._take("TABLE")
            return self._with_table(StatementKind.TRUNCATE)
        if self._is("SAVEPOINT", "ROLLBACK", "RELEASE"):
            is_named = _name_of_savepoint(self._tokens) is not None
            return self._result(StatementKind.SAVEPOINT if is_named else StatementKind.UNKNOWN)
        if self._is(*_ROWS) or self._runs_another():
            return self._result(StatementKind.ROWS)
        if self._is(*_WITHOUT_EFFECT):
            return self._result(StatementKind.WITHOUT_EFFECT, object_class=self._word().lower())
        if not self._indexes or not self._has_more:
            # The text is only a comment, e.g. "# Dummy event replacing …".
            return self._result(StatementKind.WITHOUT_EFFECT, object_class="comment")
        return self._result(StatementKind.UNKNOWN)

    def _runs_another(self) -> bool:
        """Return True if an inner statement may change rows (MariaDB's ANALYZE UPDATE …), or a function in a SET."""
        if self._is("ANALYZE"):
            return self._word(1) not in ("TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG")
        return self._is("SET") and self._word(1) not in ("PASSWORD", "DEFAULT", "ROLE", "RESOURCE")

    def _skip_set_statement(self) -> bool:
        """Go to the statement after SET STATEMENT … FOR. Return False if it is unknown how the server read it."""
        if not (self._is("SET") and self._word(1) == "STATEMENT"):
            return True
        sets_mode, depth = False, 0
        while self._has_more and not (depth == 0 and self._is("FOR")):
            sets_mode |= self._is("SQL_MODE")
            depth += self._token().is_symbol("(") - self._token().is_symbol(")")
            self._at += 1
        self._at += 1
        # The event has the sql_mode that this clause sets, but the server read the text before it set that mode.
        return not (sets_mode and any('"' in t.text or "\\" in t.text for t in self._tokens))

    def _create(self) -> ParsedStatement:
        self._is_or_replace = self._take_all("OR", "REPLACE")
        self._skip_definer()
        is_temporary = self._take("TEMPORARY")
        if is_temporary and not self._is("SEQUENCE"):
            return self._result(StatementKind.WITHOUT_EFFECT, object_class="temporary table")
        if self._take("TABLE"):
            self._take_all("IF", "NOT", "EXISTS")
            if not self._table(self._references):
                return self._result(StatementKind.UNKNOWN)
            self._rest_of_table()
            return self._result(StatementKind.CREATE_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            self._take_all("IF", "NOT", "EXISTS")
            return self._schema(StatementKind.CREATE_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "NOT", "EXISTS")
            return self._with_table(StatementKind.TEMPORARY_SEQUENCE if is_temporary else StatementKind.SEQUENCE)
        return self._index_or_other()

    def _skip_definer(self) -> None:
        while self._is("ALGORITHM", "DEFINER", "SQL", "AGGREGATE") and not self._is("TABLE"):
            self._at += 1
            while self._has_more and not self._is(
                "TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SQL", "DEFINER", "PACKAGE", "AGGREGATE"
            ):
                self._at += 1

    def _index_or_other(self) -> ParsedStatement:
        while self._is("UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "ONLINE", "OFFLINE", "UNDO"):
            self._at += 1
        if self._take("INDEX"):
            while self._has_more and not self._take("ON"):
                self._at += 1
            return self._with_table(StatementKind.ALTER_TABLE)
        if self._is(*_OTHER_OBJECTS):
            return self._result(StatementKind.WITHOUT_EFFECT, object_class=self._word().lower())
        return self._result(StatementKind.UNKNOWN)

    def _alter(self) -> ParsedStatement:
        self._skip_definer()
        while self._is("ONLINE", "OFFLINE", "IGNORE"):
            self._at += 1
        if self._take("TABLE"):
            self._take_all("IF", "EXISTS")
            if not self._table(self._references):
                return self._result(StatementKind.UNKNOWN)
            self._scan_rest(is_alter=True)
            return self._result(StatementKind.ALTER_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            return self._schema(StatementKind.ALTER_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "EXISTS")
            return self._with_table(StatementKind.SEQUENCE)
        return self._index_or_other()

    def _drop(self) -> ParsedStatement:
        if self._take("TEMPORARY"):
            return self._result(StatementKind.WITHOUT_EFFECT, object_class="temporary table")
        if self._take("TABLE", "TABLES"):
            self._take_all("IF", "EXISTS")
            return self._table_list(StatementKind.DROP_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            self._take_all("IF", "EXISTS")
            return self._schema(StatementKind.DROP_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "EXISTS")
            # A sequence is dropped like a table. A temporary one is logged with the word TEMPORARY.
            return self._table_list(StatementKind.DROP_TABLE)
        return self._index_or_other()

    def _rename(self) -> ParsedStatement:
        if self._is("USER"):
            return self._result(StatementKind.WITHOUT_EFFECT, object_class="user")
        if not self._take("TABLE", "TABLES"):
            return self._result(StatementKind.UNKNOWN)
        self._take_all("IF", "EXISTS")
        while True:
            if not self._table(self._references):
                return self._result(StatementKind.UNKNOWN)
            if self._take("WAIT", "NOWAIT"):
                while self._has_more and not self._is("TO"):
                    self._at += 1
            if not self._take("TO") or not self._table(self._references):
                return self._result(StatementKind.UNKNOWN)
            self._note_rename(self._references[-2].name)
            if not self._take_symbol(","):
                return self._result_at_end(StatementKind.RENAME_TABLE)

    def _table_list(self, kind: StatementKind) -> ParsedStatement:
        while self._table(self._references):
            if not self._take_symbol(","):
                return self._result_at_end(kind)
        return self._result(StatementKind.UNKNOWN)

    def _result_at_end(self, kind: StatementKind) -> ParsedStatement:
        """Return the statement after its last name. It is UNKNOWN if words follow that do not belong there."""
        if self._take("WAIT"):
            self._at += 1
        self._take("NOWAIT")
        self._take("RESTRICT", "CASCADE")
        self._take_symbol(";")
        return self._result(StatementKind.UNKNOWN if self._has_more else kind)

    def _rest_of_table(self) -> None:
        self._at += self._is_symbol("(") and self._word(1) == "LIKE"
        if self._take("LIKE"):
            self._table(self._mentioned)
        self._scan_rest()

    def _scan_rest(self, *, is_alter: bool = False) -> None:
        """Find all other tables that the rest of a statement names, and the schemas in names of columns."""
        depth = 0
        while self._has_more:
            if self._take("REFERENCES"):
                # A parent without a schema is in the child's schema on both servers, so its name is kept as written. It
                # is not kept if the primary folds names to lower case, because the secondary may not do so.
                child = self._references[0].name.schema
                self._table(self._mentioned, schema=child, is_kept=not (self._is_dotted() or self._folds_names))
                continue
            is_known = depth == 0 and (self._take_union() or (is_alter and self._take_changed_table()))
            if not (is_known or self._take_sequence() or self._take_dotted_name()):
                depth += self._token().is_symbol("(") - self._token().is_symbol(")")
                self._at += 1

    def _note_rename(self, old: TableName) -> None:
        self._lost_names.add(old)
        self._lost_names.discard(self._references[-1].name)

    def _take_changed_table(self) -> bool:
        """Take a clause of ALTER TABLE that changes or makes another table. Return False if there is none."""
        if self._take("RENAME"):
            if not self._is("COLUMN", "INDEX", "KEY"):
                self._take("TO", "AS")
                self._take_symbol("=")
                if self._table(self._references):
                    self._note_rename(self._references[0].name)
        elif self._take_all("EXCHANGE", "PARTITION"):
            self._skip_to("TABLE")
            self._table(self._references)
        elif self._take_all("CONVERT", "PARTITION"):
            self._skip_to("TO")
            self._take("TABLE")
            self._table(self._references)
        elif self._take_all("CONVERT", "TABLE"):
            if self._table(self._references):
                self._lost_names.add(self._references[-1].name)
        else:
            return False
        return True

    def _take_sequence(self) -> bool:
        if self._at and self._is_after("KEY", "INDEX"):
            return False  # it is the name of an index: INDEX nextval (column)
        is_value = self._take_all("NEXT", "VALUE", "FOR") or self._take_all("PREVIOUS", "VALUE", "FOR")
        if not is_value and not (self._is("NEXTVAL", "LASTVAL", "SETVAL") and self._is_symbol("(", ahead=1)):
            return False
        self._at += 0 if is_value else 2
        self._table(self._mentioned)
        return True

    def _take_union(self) -> bool:
        """Take UNION = (table, …) of a MERGE table. Return False if there is none."""
        if not self._is("UNION"):
            return False
        start = 1 + self._is_symbol("=", ahead=1)
        if not self._is_symbol("(", ahead=start) or self._word(start + 1) in ("SELECT", "WITH", "VALUES", "TABLE"):
            return False
        self._at += start + 1
        count_before = len(self._mentioned)
        while self._table(self._mentioned) and self._take_symbol(","):
            pass
        self._parts += [r.name for r in self._mentioned[count_before:]]
        return True

    def _take_dotted_name(self) -> bool:
        """Take a name with points. The first of three parts is a schema; the first of two parts may be one."""
        if not self._has_more or not (self._is_dotted() or self._is_symbol(".")):
            return False
        indexes = []
        while self._has_more and (self._is_name() or self._is_symbol(".")):
            if self._is_name():
                indexes.append(self._indexes[self._at])
                if not self._is_symbol(".", ahead=1):
                    self._at += 1
                    break
            self._at += 1
        names = [self._name_at(index) for index in indexes]
        if len(names) == 3:
            self._qualifiers.append((indexes[0], names[0]))
        elif len(names) == 2:
            self._first_of_pairs.add(names[0])
        return True

    def _skip_to(self, word: str) -> None:
        while self._has_more and not self._take(word):
            self._at += 1

    def _with_table(self, kind: StatementKind) -> ParsedStatement:
        if not self._table(self._references):
            return self._result(StatementKind.UNKNOWN)
        self._scan_rest()
        return self._result(kind)

    def _schema(self, kind: StatementKind) -> ParsedStatement:
        if self._has_more and self._is_name() and not self._names_an_option(kind):
            index = self._indexes[self._at]
            return self._result(kind, schema=self._name_at(index), schema_index=index)
        return self._result(kind, schema=self._default_schema)

    def _names_an_option(self, kind: StatementKind) -> bool:
        # ALTER DATABASE without a name changes the default schema.
        if kind is not StatementKind.ALTER_SCHEMA:
            return False
        if self._is("ENCRYPTION"):
            return self._has_token(1) and (self._is_symbol("=", ahead=1) or self._kind(1) is Kind.STRING)
        is_option = self._is("CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "COMMENT")
        return is_option or (self._is("READ") and self._word(1) == "ONLY")

    def _result(
        self, kind: StatementKind, *, schema: str = "", schema_index: int | None = None, object_class: str = ""
    ) -> ParsedStatement:
        tables = {r.name.table.lower() for r in (*self._references, *self._mentioned)}
        return ParsedStatement(
            kind,
            tuple(self._tokens),
            tuple(self._references),
            tuple(self._mentioned),
            schema,
            schema_index,
            object_class,
            tuple(self._qualifiers),
            frozenset(name for name in self._first_of_pairs if name.lower() not in tables),
            self._is_or_replace,
            tuple(self._parts),
            frozenset(self._lost_names),
        )


def holds_several(parsed: ParsedStatement) -> bool:
    """Return True if a text holds more than one statement.

    A primary logs one statement in one event, and the session that runs it would refuse a second one as a syntax error.
    """
    return any(t.is_symbol(";") for t in solid(parsed.tokens)[:-1])


def without_start_transaction(parsed: ParsedStatement) -> ParsedStatement:
    """Return MySQL's CREATE TABLE … START TRANSACTION without these words. Its rows follow in the log as row events."""
    indexes = [i for i, t in enumerate(parsed.tokens) if not t.is_blank]
    if len(indexes) < 2 or not parsed.tokens[indexes[-1]].is_word("TRANSACTION"):
        return parsed
    if not parsed.tokens[indexes[-2]].is_word("START"):
        return parsed
    return replace(parsed, tokens=parsed.tokens[: indexes[-2]])


def savepoint_statement(parsed: ParsedStatement) -> str:
    """Return a SAVEPOINT, ROLLBACK TO or RELEASE SAVEPOINT, written again from its verb and its name alone.

    Raises:
        ValueError: the text is none of these statements.
    """
    words = [t.text.upper() for t in solid(parsed.tokens) if t.kind is Kind.WORD]
    verb = {"SAVEPOINT": "SAVEPOINT", "RELEASE": "RELEASE SAVEPOINT", "ROLLBACK": "ROLLBACK TO"}.get(words[0])
    name = _name_of_savepoint(parsed.tokens)
    if verb is None or name is None:
        raise ValueError("not a savepoint statement")
    return f"{verb} {quote(name)}"


def _name_of_savepoint(tokens: Sequence[Token]) -> str | None:
    """Return the name at the end of a savepoint statement, or None if it has none (ROLLBACK alone)."""
    words = solid(tokens)
    last = words[-1]
    if len(words) < 2 or (words[0].is_word("ROLLBACK") and not any(t.is_word("TO") for t in words[1:-1])):
        return None
    if last.kind in (Kind.NAME, Kind.WORD):
        return last.name
    # A string is not allowed there. So the session had ANSI_QUOTES, even if the sql_mode of the event has not.
    is_quoted = last.kind is Kind.STRING and last.text[0] == '"'
    return last.text[1:-1].replace('""', '"') if is_quoted else None
