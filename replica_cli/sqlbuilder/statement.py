"""What a logged statement is, and which tables it names: by tokens, so that no comment, quote or name deceives.

Only what must be known is read: the kind, the tables, and where their names stand, so that schemas can be routed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.tokens import Kind, Token, string_value, tokenise

if TYPE_CHECKING:
    from collections.abc import Callable


class StatementKind(StrEnum):
    """The classes that are treated differently."""

    CREATE_TABLE = "create table"
    ALTER_TABLE = "alter table"
    DROP_TABLE = "drop table"
    RENAME_TABLE = "rename table"
    TRUNCATE = "truncate"
    CREATE_SCHEMA = "create schema"
    ALTER_SCHEMA = "alter schema"
    DROP_SCHEMA = "drop schema"
    SEQUENCE = "sequence"
    ROWS = "statement-format change of rows"
    SAVEPOINT = "savepoint"
    WITHOUT_EFFECT = "without effect on tables"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TableReference:
    """A table's name in a statement: places of its tokens, the schema's None where it is not written."""

    name: TableName
    schema_place: int | None
    table_place: int


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement and its tables. `references` are tables that are changed, `others` are only named (LIKE, REFERENCES).

    For a rename, old and new names follow each other in `references`. `schema` is what a schema statement is about.
    """

    kind: StatementKind
    tokens: tuple[Token, ...]
    references: tuple[TableReference, ...] = ()
    others: tuple[TableReference, ...] = ()
    schema: str = ""
    schema_place: int | None = None
    object_class: str = ""

    @property
    def tables(self) -> tuple[TableName, ...]:
        """Return the names of the tables that are changed, in order."""
        return tuple(r.name for r in self.references)

    @property
    def model(self) -> TableName | None:
        """Return the table that a CREATE TABLE … LIKE is made like."""
        for other in self.others:
            place = other.table_place if other.schema_place is None else other.schema_place
            before = next((t for t in reversed(self.tokens[:place]) if not t.is_blank), None)
            if before is not None and before.is_word("LIKE"):
                return other.name
        return None

    def routed(self, route: Callable[[str], str]) -> str:
        """Return the text with every written schema replaced by its name on the secondary."""
        texts = [t.text for t in self.tokens]
        for reference in (*self.references, *self.others):
            if reference.schema_place is not None:
                texts[reference.schema_place] = quote(route(reference.name.schema))
        if self.schema_place is not None:
            texts[self.schema_place] = quote(route(self.schema))
        return "".join(texts)


def parse_statement(text: str, default_schema: str, *, ansi_quotes: bool = False) -> ParsedStatement:
    """Classify a statement and find its tables. What cannot be placed is UNKNOWN: the caller decides, never a guess."""
    tokens = tokenise(text)
    return _Parser(tokens, default_schema, ansi_quotes=ansi_quotes).parse()


_ROWS = ("INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "DO", "WITH", "SELECT")
_WITHOUT_EFFECT = (
    "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE", "REPAIR", "FLUSH", "SET", "USE", "INSTALL", "UNINSTALL", "CHECK",
    "KILL", "RESET", "PURGE", "SHUTDOWN", "COMMIT", "BEGIN", "CACHE", "CHANGE", "START", "STOP", "IMPORT", "BACKUP",
)  # fmt: skip
# Objects that hold no rows: they are not carried over, so their statements are nothing here.
_OTHER_OBJECTS = (
    "USER", "ROLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SERVER", "LOGFILE", "TABLESPACE",
    "PACKAGE", "INSTANCE", "RESOURCE", "REFERENCE", "LIBRARY", "CATALOG",
)  # fmt: skip


class _Parser:
    def __init__(self, tokens: list[Token], default_schema: str, *, ansi_quotes: bool) -> None:
        self._tokens = tokens
        self._default_schema = default_schema
        self._ansi_quotes = ansi_quotes
        # Places of the tokens that mean something; the ends of executable comments mean nothing by themselves.
        self._places = [i for i, t in enumerate(tokens) if not t.is_blank and t.kind not in (Kind.OPEN, Kind.CLOSE)]
        self._at = 0
        self._references: list[TableReference] = []
        self._others: list[TableReference] = []

    def parse(self) -> ParsedStatement:  # noqa: PLR0911 - one return a kind of statement
        self._skip_set_statement()
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
            return self._made(StatementKind.SAVEPOINT)
        if self._is(*_ROWS):
            return self._made(StatementKind.ROWS)
        if self._is(*_WITHOUT_EFFECT):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class=self._word().lower())
        if not self._places or self._at >= len(self._places):
            # "# Dummy event replacing …" and the like: a comment alone.
            return self._made(StatementKind.WITHOUT_EFFECT, object_class="comment")
        return self._made(StatementKind.UNKNOWN)

    def _skip_set_statement(self) -> None:
        if self._is("SET") and self._word(1) == "STATEMENT":
            while self._at < len(self._places) and not self._is("FOR"):
                self._at += 1
            self._at += 1

    def _create(self) -> ParsedStatement:
        self._take_all("OR", "REPLACE")
        self._skip_definer()
        is_temporary = self._take("TEMPORARY")
        if self._take("TABLE"):
            if is_temporary:
                return self._made(StatementKind.WITHOUT_EFFECT, object_class="temporary table")
            self._take_all("IF", "NOT", "EXISTS")
            if not self._table(self._references):
                return self._made(StatementKind.UNKNOWN)
            self._rest_of_table()
            return self._made(StatementKind.CREATE_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            self._take_all("IF", "NOT", "EXISTS")
            return self._schema(StatementKind.CREATE_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "NOT", "EXISTS")
            return self._with_table(StatementKind.SEQUENCE)
        return self._index_or_other()

    def _skip_definer(self) -> None:
        while self._is("ALGORITHM", "DEFINER", "SQL", "AGGREGATE") and not self._is("TABLE"):
            self._at += 1
            while self._at < len(self._places) and not self._is(
                "TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SQL", "DEFINER", "PACKAGE", "AGGREGATE"
            ):
                self._at += 1

    def _index_or_other(self) -> ParsedStatement:
        while self._is("UNIQUE", "FULLTEXT", "SPATIAL", "ONLINE", "OFFLINE", "UNDO"):
            self._at += 1
        if self._take("INDEX"):
            while self._at < len(self._places) and not self._take("ON"):
                self._at += 1
            return self._with_table(StatementKind.ALTER_TABLE)
        if self._is(*_OTHER_OBJECTS):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class=self._word().lower())
        return self._made(StatementKind.UNKNOWN)

    def _alter(self) -> ParsedStatement:
        self._skip_definer()
        while self._is("ONLINE", "OFFLINE", "IGNORE"):
            self._at += 1
        if self._take("TABLE"):
            self._take_all("IF", "EXISTS")
            if not self._table(self._references):
                return self._made(StatementKind.UNKNOWN)
            self._rest_of_alter()
            return self._made(StatementKind.ALTER_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            return self._schema(StatementKind.ALTER_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "EXISTS")
            return self._with_table(StatementKind.SEQUENCE)
        return self._index_or_other()

    def _drop(self) -> ParsedStatement:
        if self._take("TEMPORARY"):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class="temporary table")
        if self._take("TABLE", "TABLES"):
            self._take_all("IF", "EXISTS")
            return self._table_list(StatementKind.DROP_TABLE)
        if self._take("DATABASE", "SCHEMA"):
            self._take_all("IF", "EXISTS")
            return self._schema(StatementKind.DROP_SCHEMA)
        if self._take("SEQUENCE"):
            self._take_all("IF", "EXISTS")
            return self._table_list(StatementKind.SEQUENCE)
        return self._index_or_other()

    def _rename(self) -> ParsedStatement:
        if self._is("USER"):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class="user")
        if not self._take("TABLE", "TABLES"):
            return self._made(StatementKind.UNKNOWN)
        self._take_all("IF", "EXISTS")
        while True:
            if not self._table(self._references):
                return self._made(StatementKind.UNKNOWN)
            if self._take("WAIT", "NOWAIT"):
                while self._at < len(self._places) and not self._is("TO"):
                    self._at += 1
            if not self._take("TO") or not self._table(self._references):
                return self._made(StatementKind.UNKNOWN)
            if not self._take_symbol(","):
                return self._made(StatementKind.RENAME_TABLE)

    def _table_list(self, kind: StatementKind) -> ParsedStatement:
        while self._table(self._references):
            if not self._take_symbol(","):
                return self._made(kind)
        return self._made(StatementKind.UNKNOWN)

    def _rest_of_table(self) -> None:
        """Find LIKE and REFERENCES; the rest of a CREATE TABLE names no other table that matters."""
        self._take_symbol("(")
        if self._take("LIKE"):
            self._table(self._others)
        self._find_references()

    def _find_references(self) -> None:
        while self._at < len(self._places):
            if self._take("REFERENCES"):
                self._table(self._others)
            else:
                self._at += 1

    def _rest_of_alter(self) -> None:
        start = self._at
        self._find_references()
        self._at = start
        depth = 0
        while self._at < len(self._places):
            token = self._token()
            depth += token.is_symbol("(") - token.is_symbol(")")
            if depth == 0 and self._take("RENAME"):
                if self._is("COLUMN", "INDEX", "KEY"):
                    continue
                self._take("TO", "AS")
                self._take_symbol("=")
                self._table(self._references)
            elif depth == 0 and self._take_all("EXCHANGE", "PARTITION"):
                while self._at < len(self._places) and not self._take("TABLE"):
                    self._at += 1
                self._table(self._references)
            else:
                self._at += 1

    def _with_table(self, kind: StatementKind) -> ParsedStatement:
        found = self._table(self._references)
        return self._made(kind if found else StatementKind.UNKNOWN)

    def _schema(self, kind: StatementKind) -> ParsedStatement:
        if self._at < len(self._places) and self._is_name() and not self._names_an_option(kind):
            place = self._places[self._at]
            return self._made(kind, schema=self._name_at(place), schema_place=place)
        return self._made(kind, schema=self._default_schema)

    def _names_an_option(self, kind: StatementKind) -> bool:
        # ALTER DATABASE without a name means the default one.
        return kind is StatementKind.ALTER_SCHEMA and self._is("CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "COMMENT")

    def _table(self, into: list[TableReference]) -> bool:
        if self._at >= len(self._places) or not self._is_name():
            return False
        first = self._places[self._at]
        self._at += 1
        if self._take_symbol(".") and self._at < len(self._places) and self._is_name():
            second = self._places[self._at]
            self._at += 1
            into.append(TableReference(TableName(self._name_at(first), self._name_at(second)), first, second))
        else:
            into.append(TableReference(TableName(self._default_schema, self._name_at(first)), None, first))
        return True

    def _is_name(self) -> bool:
        token = self._token()
        is_quoted = self._ansi_quotes and token.kind is Kind.STRING and token.text.startswith('"')
        return token.kind in (Kind.NAME, Kind.WORD, Kind.NUMBER) or is_quoted

    def _name_at(self, place: int) -> str:
        token = self._tokens[place]
        return string_value(token.text) if token.kind is Kind.STRING else token.name

    def _token(self) -> Token:
        return self._tokens[self._places[self._at]]

    def _word(self, ahead: int = 0) -> str:
        at = self._at + ahead
        if at >= len(self._places):
            return ""
        token = self._tokens[self._places[at]]
        return token.text.upper() if token.kind is Kind.WORD else ""

    def _is(self, *words: str) -> bool:
        return self._word() in words

    def _take(self, *words: str) -> bool:
        found = self._is(*words)
        self._at += found
        return found

    def _take_all(self, *words: str) -> bool:
        found = all(self._word(i) == word for i, word in enumerate(words))
        self._at += len(words) if found else 0
        return found

    def _take_symbol(self, symbol: str) -> bool:
        found = self._at < len(self._places) and self._token().is_symbol(symbol)
        self._at += found
        return found

    def _made(
        self, kind: StatementKind, *, schema: str = "", schema_place: int | None = None, object_class: str = ""
    ) -> ParsedStatement:
        return ParsedStatement(
            kind, tuple(self._tokens), tuple(self._references), tuple(self._others), schema, schema_place, object_class
        )


def without_start_transaction(parsed: ParsedStatement) -> ParsedStatement:
    """Return MySQL's CREATE TABLE … START TRANSACTION without its end: the rows that follow are applied as such."""
    places = [i for i, t in enumerate(parsed.tokens) if not t.is_blank]
    if len(places) < 2 or not parsed.tokens[places[-1]].is_word("TRANSACTION"):
        return parsed
    if not parsed.tokens[places[-2]].is_word("START"):
        return parsed
    cut = parsed.tokens[: places[-2]]
    return ParsedStatement(parsed.kind, cut, parsed.references, parsed.others)


def savepoint_statement(parsed: ParsedStatement) -> str:
    """Return SAVEPOINT, ROLLBACK TO or RELEASE SAVEPOINT made anew from its name: nothing else of the text is run.

    Raises ValueError where the text is none of them.
    """
    solid = [t for t in parsed.tokens if not t.is_blank]
    words = [t.text.upper() for t in solid if t.kind is Kind.WORD]
    verb = {"SAVEPOINT": "SAVEPOINT", "RELEASE": "RELEASE SAVEPOINT", "ROLLBACK": "ROLLBACK TO"}.get(words[0])
    if verb is None or solid[-1].kind not in (Kind.NAME, Kind.WORD):
        raise ValueError("not a savepoint statement")
    return f"{verb} {quote(solid[-1].name)}"
