"""What a logged statement is, and which tables it names: by tokens, so that no comment, quote or name deceives.

Only what must be known is read: the kind, the tables, and where their names stand, so that schemas can be routed. What
is run is written from the same tokens, without comments: the secondary cannot read anything else into it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.cursor import Cursor, TableReference
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.tokens import Dialect, Kind, Token, tokenise

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.table import TableName


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
    TEMPORARY_SEQUENCE = "temporary sequence"
    ROWS = "statement-format change of rows"
    SAVEPOINT = "savepoint"
    WITHOUT_EFFECT = "without effect on tables"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement and its tables. `references` are tables that are changed, `others` are only named (LIKE, REFERENCES).

    For a rename, old and new names follow each other in `references`. `schema` is what a schema statement is about.
    `qualifiers` are the schemas of columns' names (schema.table.column) with their places. `unplaced` are the first
    parts of other names that are no table of the statement. `replaces`: CREATE OR REPLACE. `parts`: those of a MERGE
    table, in UNION=(…).
    """

    kind: StatementKind
    tokens: tuple[Token, ...]
    references: tuple[TableReference, ...] = ()
    others: tuple[TableReference, ...] = ()
    schema: str = ""
    schema_place: int | None = None
    object_class: str = ""
    qualifiers: tuple[tuple[int, str], ...] = ()
    unplaced: frozenset[str] = frozenset()
    replaces: bool = False
    parts: tuple[TableName, ...] = ()

    @property
    def tables(self) -> tuple[TableName, ...]:
        """Return the names of the tables that are changed, in order."""
        return tuple(r.name for r in self.references)

    @property
    def model(self) -> TableName | None:
        """Return the table that a CREATE TABLE … LIKE is made like."""
        for other in self.others:
            before = next((t for t in reversed(self.tokens[: other.first]) if not t.is_blank), None)
            if before is not None and before.is_word("LIKE"):
                return other.name
        return None

    def routed(self, route: Callable[[str], str]) -> str:
        """Return the text to run: tables by their full names on the secondary, and nothing that is a comment.

        What an executable comment holds is run: for the primary it was no comment, else it would have been logged as a
        plain one. The secondary's version or flavour could take it for one.
        """
        texts = [" " if t.is_blank or t.kind in (Kind.OPEN, Kind.CLOSE) else t.text for t in self.tokens]
        for reference in (*self.references, *self.others):
            if not reference.is_kept:
                schema, table = route(reference.name.schema), reference.name.table
                texts[reference.first : reference.last + 1] = [""] * (reference.last + 1 - reference.first)
                texts[reference.first] = f"{quote(schema)}.{quote(table)}"
        for place, schema in self.qualifiers:
            texts[place] = quote(route(schema))
        if self.schema_place is not None:
            texts[self.schema_place] = quote(route(self.schema))
        return "".join(texts)


def parse_statement(text: str, default_schema: str, dialect: Dialect) -> ParsedStatement:
    """Classify a statement and find its tables. What cannot be placed is UNKNOWN: the caller decides, never a guess."""
    return _Parser(tokenise(text, dialect), default_schema, folds_names=dialect.folds_names).parse()


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


class _Parser(Cursor):
    def __init__(self, tokens: list[Token], default_schema: str, *, folds_names: bool) -> None:
        super().__init__(tokens, default_schema, folds_names=folds_names)
        self._references: list[TableReference] = []
        self._others: list[TableReference] = []
        self._qualifiers: list[tuple[int, str]] = []
        self._pairs: set[str] = set()
        self._replaces = False
        self._parts: list[TableName] = []

    def parse(self) -> ParsedStatement:
        return self._statement() if self._skip_set_statement() else self._made(StatementKind.UNKNOWN)

    def _statement(self) -> ParsedStatement:  # noqa: PLR0911 - one return a kind of statement
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
        if self._is(*_ROWS) or self._runs_another():
            return self._made(StatementKind.ROWS)
        if self._is(*_WITHOUT_EFFECT):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class=self._word().lower())
        if not self._places or not self._has_more:
            # "# Dummy event replacing …" and the like: a comment alone.
            return self._made(StatementKind.WITHOUT_EFFECT, object_class="comment")
        return self._made(StatementKind.UNKNOWN)

    def _runs_another(self) -> bool:
        """Say whether it runs a change of rows in it (MariaDB's ANALYZE UPDATE …), or sets what a function returns."""
        if self._is("ANALYZE"):
            return self._word(1) not in ("TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG")
        return self._is("SET") and self._word(1) not in ("PASSWORD", "DEFAULT", "ROLE", "RESOURCE")

    def _skip_set_statement(self) -> bool:
        """Go to the statement behind SET STATEMENT … FOR; return False where it cannot be known how that was read."""
        if not (self._is("SET") and self._word(1) == "STATEMENT"):
            return True
        sets_mode, depth = False, 0
        while self._has_more and not (depth == 0 and self._is("FOR")):
            sets_mode |= self._is("SQL_MODE")
            depth += self._token().is_symbol("(") - self._token().is_symbol(")")
            self._at += 1
        self._at += 1
        # The log has the mode that was set; the server read the text before it set that.
        return not (sets_mode and any('"' in t.text or "\\" in t.text for t in self._tokens))

    def _create(self) -> ParsedStatement:
        self._replaces = self._take_all("OR", "REPLACE")
        self._skip_definer()
        is_temporary = self._take("TEMPORARY")
        if is_temporary and not self._is("SEQUENCE"):
            return self._made(StatementKind.WITHOUT_EFFECT, object_class="temporary table")
        if self._take("TABLE"):
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
            self._rest(is_alter=True)
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
                while self._has_more and not self._is("TO"):
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
        self._at += self._is_symbol("(") and self._word(1) == "LIKE"
        if self._take("LIKE"):
            self._table(self._others)
        self._rest()

    def _rest(self, *, is_alter: bool = False) -> None:
        """Find every other table that the rest of a statement names, and the schemas in columns' names."""
        depth = 0
        while self._has_more:
            if self._take("REFERENCES"):
                # Without a schema it is the child's own, on either server.
                self._table(self._others, is_kept=not self._is_dotted())
                continue
            is_known = depth == 0 and (self._names_parts() or (is_alter and self._names_changed()))
            if not (is_known or self._names_sequence() or self._chain()):
                depth += self._token().is_symbol("(") - self._token().is_symbol(")")
                self._at += 1

    def _names_changed(self) -> bool:
        """Take a clause of ALTER TABLE that changes or makes another table."""
        if self._take("RENAME"):
            if not self._is("COLUMN", "INDEX", "KEY"):
                self._take("TO", "AS")
                self._take_symbol("=")
                self._table(self._references)
        elif self._take_all("EXCHANGE", "PARTITION"):
            self._skip_to("TABLE")
            self._table(self._references)
        elif self._take_all("CONVERT", "PARTITION"):
            self._skip_to("TO")
            self._take("TABLE")
            self._table(self._references)
        elif self._take_all("CONVERT", "TABLE"):
            self._table(self._references)
        else:
            return False
        return True

    def _names_sequence(self) -> bool:
        if self._at and self._is_after("KEY", "INDEX"):
            return False  # an index may be called so: INDEX nextval (column)
        is_value = self._take_all("NEXT", "VALUE", "FOR") or self._take_all("PREVIOUS", "VALUE", "FOR")
        if not is_value and not (self._is("NEXTVAL", "LASTVAL", "SETVAL") and self._is_symbol("(", ahead=1)):
            return False
        self._at += 0 if is_value else 2
        self._table(self._others)
        return True

    def _names_parts(self) -> bool:
        """Take UNION = (table, …) of a MERGE table."""
        if not self._is("UNION"):
            return False
        start = 1 + self._is_symbol("=", ahead=1)
        if not self._is_symbol("(", ahead=start) or self._word(start + 1) in ("SELECT", "WITH", "VALUES", "TABLE"):
            return False
        self._at += start + 1
        known = len(self._others)
        while self._table(self._others) and self._take_symbol(","):
            pass
        self._parts += [r.name for r in self._others[known:]]
        return True

    def _chain(self) -> bool:
        """Take a name with points; where it has three parts the first is a schema, where it has two it may be one."""
        if not self._has_more or not (self._is_dotted() or self._is_symbol(".")):
            return False
        places = []
        while self._has_more and (self._is_name() or self._is_symbol(".")):
            if self._is_name():
                places.append(self._places[self._at])
                if not self._is_symbol(".", ahead=1):
                    self._at += 1
                    break
            self._at += 1
        names = [self._name_at(place) for place in places]
        if len(names) == 3:
            self._qualifiers.append((places[0], names[0]))
        elif len(names) == 2:
            self._pairs.add(names[0])
        return True

    def _skip_to(self, word: str) -> None:
        while self._has_more and not self._take(word):
            self._at += 1

    def _with_table(self, kind: StatementKind) -> ParsedStatement:
        if not self._table(self._references):
            return self._made(StatementKind.UNKNOWN)
        self._rest()
        return self._made(kind)

    def _schema(self, kind: StatementKind) -> ParsedStatement:
        if self._has_more and self._is_name() and not self._names_an_option(kind):
            place = self._places[self._at]
            return self._made(kind, schema=self._name_at(place), schema_place=place)
        return self._made(kind, schema=self._default_schema)

    def _names_an_option(self, kind: StatementKind) -> bool:
        # ALTER DATABASE without a name means the default one.
        if kind is not StatementKind.ALTER_SCHEMA:
            return False
        if self._is("ENCRYPTION"):
            return self._has_more_behind(1) and (self._is_symbol("=", ahead=1) or self._kind(1) is Kind.STRING)
        is_option = self._is("CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "COMMENT")
        return is_option or (self._is("READ") and self._word(1) == "ONLY")

    def _made(
        self, kind: StatementKind, *, schema: str = "", schema_place: int | None = None, object_class: str = ""
    ) -> ParsedStatement:
        tables = {r.name.table.lower() for r in (*self._references, *self._others)}
        return ParsedStatement(
            kind,
            tuple(self._tokens),
            tuple(self._references),
            tuple(self._others),
            schema,
            schema_place,
            object_class,
            tuple(self._qualifiers),
            frozenset(name for name in self._pairs if name.lower() not in tables),
            self._replaces,
            tuple(self._parts),
        )


def without_start_transaction(parsed: ParsedStatement) -> ParsedStatement:
    """Return MySQL's CREATE TABLE … START TRANSACTION without its end: the rows that follow are applied as such."""
    places = [i for i, t in enumerate(parsed.tokens) if not t.is_blank]
    if len(places) < 2 or not parsed.tokens[places[-1]].is_word("TRANSACTION"):
        return parsed
    if not parsed.tokens[places[-2]].is_word("START"):
        return parsed
    return replace(parsed, tokens=parsed.tokens[: places[-2]])


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
