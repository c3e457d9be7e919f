"""Read table definitions from a server's information_schema, with a few queries for each schema, whatever its size.

MariaDB lists the tables of a schema by reading its folder. While ALTER TABLE replaces the files of a table, the list
lacks that table. A query for one table by its name waits until the statement has ended.

Definitions lack hidden columns, although row events contain them: MariaDB's DB_ROW_HASH_n of a UNIQUE on a BLOB, and
MySQL's columns under functional indexes. Characters outside the basic plane appear as `?` in defaults, ENUM members and
comments.
Sources: https://mariadb.com/kb/en/information-schema-tables/ and MySQL's INFORMATION_SCHEMA reference.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from replica_cli.core.table import TableDefinition, TableName
from replica_cli.mysql.catalog.expressions import unescaped
from replica_cli.mysql.catalog.foreign_key_names import requoted
from replica_cli.mysql.catalog.foreign_key_rules import rules_of
from replica_cli.mysql.catalog.schema_rows import Parts, column, definition, foreign_key
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, string_value, tokenise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Row, Session

_TABLES_AT_ONCE = 100
_NAMES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = %s"
# With one schema (and table) in the condition MariaDB does not open every table of every schema.
_TABLES = """SELECT table_schema, table_name, table_type, engine, table_collation, table_rows, data_length,
 create_options, table_comment FROM information_schema.tables WHERE table_schema = %s"""
_COLUMNS = """SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable, column_default,
 character_set_name, collation_name, extra, generation_expression, character_maximum_length, character_octet_length,
 numeric_precision, numeric_scale, datetime_precision, column_comment, {srid}, ordinal_position
 FROM information_schema.columns WHERE table_schema = %s"""
_STATISTICS = """SELECT table_schema, table_name, index_name, non_unique, column_name, sub_part, collation, index_type,
 {visible}, {expression}, seq_in_index FROM information_schema.statistics WHERE table_schema = %s"""
_KEY_COLUMNS = """SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,
 referenced_table_name, referenced_column_name, ordinal_position FROM information_schema.key_column_usage
 WHERE table_schema = %s"""
_RULES = """SELECT constraint_schema, table_name, constraint_name, update_rule, delete_rule
 FROM information_schema.referential_constraints WHERE constraint_schema = %s"""
_TRIGGERS = """SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers
 WHERE event_object_schema = %s"""
_MARIADB_CHECKS = """SELECT constraint_schema, table_name, constraint_name, check_clause, 'YES', {level}
 FROM information_schema.check_constraints WHERE constraint_schema = %s"""
_MYSQL_CHECKS = """SELECT c.table_schema, c.table_name, c.constraint_name, k.check_clause, c.enforced, 'Table'
 FROM information_schema.table_constraints c JOIN information_schema.check_constraints k
 ON k.constraint_schema = c.constraint_schema AND k.constraint_name = c.constraint_name
 WHERE c.constraint_type = 'CHECK' AND c.table_schema = %s"""


def read_catalog(
    session: Session, schemas: Sequence[str], expected: Iterable[TableName] = ()
) -> dict[TableName, TableDefinition]:
    """Return the definitions of all tables of some schemas, without views. Raises ServerError.

    The order is that of the names, sequences first. `kind` tells SEQUENCE and SYSTEM VERSIONED tables. Names are
    spelled as the server spells them. A schema that does not exist has no tables.

    `expected` are tables that may exist: those that the lists lack are looked up by name. Any other table may be
    missing from the result if it is altered at this moment.
    """
    definitions: dict[TableName, TableDefinition] = {}
    to_look_up: set[TableName] = set()
    for schema in dict.fromkeys(schemas):
        read = _read(session, [(schema, None)])
        definitions |= read.definitions
        to_look_up |= read.doubtful
    to_look_up |= set(expected) - definitions.keys()
    definitions |= _read_named(session, sorted(to_look_up))
    # The default of a column may use a sequence, so sequences are made first.
    return dict(sorted(definitions.items(), key=lambda item: (not item[1].is_sequence, item[0])))


def selected_schemas(primary: Session, selection: Selection) -> list[str]:
    """Return the primary's schemas that are replicated. Raises ServerError."""
    names = (str(row[0]) for row in primary.rows("SHOW DATABASES"))
    return [name for name in names if selection.schema_target(name)]


def replicated_schemas(primary: Session, selection: Selection) -> list[str]:
    """Return the primary's names of the schemas that are replicated, including named ones that do not exist.

    Raises ServerError.
    """
    named = (source for source, _ in selection.schemas)
    return list(dict.fromkeys([*named, *selected_schemas(primary, selection)]))


def list_names(session: Session, schemas: Iterable[str]) -> set[TableName]:
    """Return the names of the tables and views of some schemas. Raises ServerError.

    A table that is altered at this moment may be missing.
    """
    queries = [_query_for(session, _NAMES, "table_name", schema, None) for schema in schemas]
    answers = session.rows_of_each(queries) if queries else []
    return {_name(row) for rows in answers for row in rows}


def read_table(session: Session, name: TableName) -> TableDefinition | None:
    """Return the definition of one table, None if it does not exist; called after each DDL. Raises ServerError."""
    return read_tables(session, [name]).get(name)


def read_tables(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return the definitions of those tables that exist, by the names given, in few round trips. Raises ServerError."""
    return _as_named(session, names, _read_named(session, names))


def read_columns(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return what `read_tables` returns, but without indexes, constraints and triggers. Raises ServerError."""
    definitions: dict[TableName, TableDefinition] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        scopes = [(n.schema, n.table) for n in names[first : first + _TABLES_AT_ONCE]]
        definitions |= _read(session, scopes, is_whole=False).definitions
    return _as_named(session, names, definitions)


def _as_named(
    session: Session, names: Sequence[TableName], definitions: dict[TableName, TableDefinition]
) -> dict[TableName, TableDefinition]:
    """Return definitions by the names that the caller gave. The server may spell names in its own way."""
    if definitions.keys() - set(names):
        (row,) = session.rows("SELECT @@lower_case_table_names")
        by_lower_name = {str(n).lower(): d for n, d in definitions.items()} if row[0] else {}
        definitions = definitions | {
            n: replace(by_lower_name[str(n).lower()], name=n) for n in names if str(n).lower() in by_lower_name
        }
    return {name: definitions[name] for name in names if name in definitions}


def show_create(session: Session, name: TableName) -> str:
    """Return SHOW CREATE TABLE's text: names between backticks, without MySQL's secondary engine.

    The session must have our own sql_mode: no ANSI_QUOTES, no NO_BACKSLASH_ESCAPES, no mode of another product.

    Raises:
        ServerError: the query failed, for example with 1146 because the table does not exist.
    """
    (text,) = _show_texts(session, "TABLE", name)
    return _with_keys(session, name, text)


def show_creates(session: Session, names: Sequence[TableName]) -> dict[TableName, str]:
    """Return what `show_create` returns, for several tables (not for sequences), in few round trips.

    A table that the server cannot show, for example because it has been dropped, is left out.

    Raises:
        ServerError: only if the connection is lost.
    """
    creates: dict[TableName, str] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        group = names[first : first + _TABLES_AT_ONCE]
        try:
            texts = _show_texts(session, "TABLE", *group)
        except ServerError as error:
            if error.is_connection_lost:
                raise
            creates |= _answers({name: partial(show_create, session, name) for name in group})
        else:
            shown = zip(group, texts, strict=True)
            creates |= _answers({name: partial(_with_keys, session, name, text) for name, text in shown})
    return creates


def _answers(questions: Mapping[TableName, Callable[[], str]]) -> dict[TableName, str]:
    """Return the answers for those tables for which the server has one.

    Raises:
        ServerError: only if the connection is lost.
    """
    answers = {}
    for name, question in questions.items():
        try:
            answers[name] = question()
        except ServerError as error:
            if error.is_connection_lost:
                raise
    return answers


def show_create_sequence(session: Session, name: TableName) -> str:
    """Return SHOW CREATE SEQUENCE's text; the rest is as in `show_create`, which shows a sequence as a table."""
    (text,) = _show_texts(session, "SEQUENCE", name)
    return text


def _show_texts(session: Session, kind: str, *names: TableName) -> list[str]:
    # MariaDB before 11 writes the bytes of a binary default as they are, which is no text in any charset. So the texts
    # are read as bytes.
    as_bytes = "SET SESSION sql_quote_show_create = 1, character_set_results = binary"
    as_text = "SET SESSION character_set_results = utf8mb4"
    try:
        _, *answers, _ = session.rows_of_each(
            [as_bytes, *(f"SHOW CREATE {kind} {quote_table(name)}" for name in names), as_text]
        )
    except ServerError:
        # The statements after the one that failed were not run.
        with contextlib.suppress(ServerError):
            session.execute(as_text)
        raise
    texts = (rows[0][1] if rows else b"" for rows in answers)
    return [_as_text(text) if isinstance(text, bytes) else str(text) for text in texts]


def _with_keys(session: Session, name: TableName, create: str) -> str:
    if not session.is_mariadb or " FOREIGN KEY (" not in create:
        return create
    rows_of_keys: dict[str, list[Row]] = defaultdict(list)
    for row in session.rows(f"{_KEY_COLUMNS} AND table_name = %s", name.schema, name.table):
        if row[5] is not None:
            rows_of_keys[str(row[2])].append(row)
    return requoted(create, [foreign_key(constraint, rows, {}) for constraint, rows in rows_of_keys.items()])


def _as_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # latin1 makes one character of every byte, so the tokens end at the same offsets.
        tokens = tokenise(raw.decode("latin1"), CATALOG)
        return "".join(_readable(t.text, is_string=t.kind is Kind.STRING) for t in tokens)


def _readable(text: str, *, is_string: bool) -> str:
    raw = text.encode("latin1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if not is_string:
            raise
        return f"x'{string_value(text).encode('latin1').hex()}'"


class _TablesRead(NamedTuple):
    """The result of `_read`. `doubtful` are tables that one query listed and another one lacked."""

    definitions: dict[TableName, TableDefinition]
    doubtful: set[TableName]


def _read_named(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    definitions: dict[TableName, TableDefinition] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        definitions |= _read(session, [(n.schema, n.table) for n in names[first : first + _TABLES_AT_ONCE]]).definitions
    return definitions


def _read(session: Session, scopes: Sequence[tuple[str, str | None]], *, is_whole: bool = True) -> _TablesRead:
    """Read the tables of `scopes`, pairs of a schema and one of its tables, or None for all of them.

    If not `is_whole`, indexes, constraints and triggers are not read.
    """
    parts: dict[TableName, Parts] = defaultdict(Parts)
    is_mariadb = session.is_mariadb
    queries = {
        _TABLES: "table_name",
        _COLUMNS.format(srid="NULL" if is_mariadb else "srs_id"): "table_name",
    }
    if is_whole:
        queries |= {
            _statistics(session): "table_name",
            _KEY_COLUMNS: "table_name",
            _RULES: "table_name",
            _checks(session): "table_name" if is_mariadb else "c.table_name",
            _TRIGGERS: "event_object_table",
        }
    texts = [_query_for(session, sql, col, *scope) for sql, col in queries.items() for scope in scopes]
    end = len(texts)
    # A whole schema is listed again at the end, because a table that the first queries lacked may be listed by then.
    texts += [_query_for(session, _NAMES, "table_name", schema, None) for schema, table in scopes if table is None]
    # All queries go in one packet: a link with a delay of 20 ms is waited for once.
    answers = session.rows_of_each(texts)
    tables, columns, *others = (
        list(itertools.chain.from_iterable(answers[first : first + len(scopes)]))
        for first in range(0, end, len(scopes))
    )
    statistics, keys, rules, checks, triggers = others or [[] for _ in range(5)]
    listed = itertools.chain.from_iterable(answers[end:])
    for row in columns:
        parts[_name(row)].columns.append(column(row, is_mariadb=is_mariadb))
    for row in statistics:
        parts[_name(row)].statistics[str(row[2])].append(row)
    _add_foreign_keys(session, parts, keys, rules)
    for row in checks:
        _add_check(parts[_name(row)], row, is_mariadb=is_mariadb)
    for row in triggers:
        parts[_name(row)].triggers.append(str(row[2]))
    table_rows = {_name(row): row for row in tables if row[2] not in ("VIEW", "SYSTEM VIEW", "TEMPORARY")}
    views = {_name(row) for row in tables}.difference(table_rows)
    # A table without columns was dropped between two queries.
    definitions = {n: definition(n, row, parts[n]) for n, row in table_rows.items() if parts[n].columns}
    named = {*table_rows, *parts, *map(_name, listed)} - views
    # If there are rules of a key but not its columns, the query for keys lacked the table.
    without_keys = {n for n in definitions if parts[n].rules.keys() - parts[n].keys.keys()}
    return _TablesRead(definitions, named - definitions.keys() | without_keys)


def _query_for(session: Session, sql: str, table_column: str, schema: str, table: str | None) -> str:
    text = sql % session.escape(schema)
    return text if table is None else f"{text} AND {table_column} = {session.escape(table)}"


def _add_foreign_keys(session: Session, parts: dict[TableName, Parts], keys: list[Row], rules: list[Row]) -> None:
    for row in keys:
        if row[5] is not None:
            parts[_name(row)].keys[str(row[2])].append(row)
    for row in rules:
        parts[_name(row)].rules[str(row[2])] = (str(row[3]), str(row[4]))
    for name, table_parts in parts.items():
        # MariaDB shows the rules only to accounts that may do more with the table than read it. If such keys were taken
        # for keys without rules, tables that cascade would be copied at different moments.
        if table_parts.keys.keys() - table_parts.rules.keys():
            with _ignoring_dropped_table():
                table_parts.rules = rules_of(show_create(session, name))


@contextlib.contextmanager
def _ignoring_dropped_table() -> Iterator[None]:
    """Ignore the error for a table that was dropped between two queries."""
    try:
        yield
    except ServerError as error:
        if error.errno != ER_NO_SUCH_TABLE:
            raise


def _statistics(session: Session) -> str:
    if not session.is_mariadb:
        return _STATISTICS.format(visible="is_visible = 'YES'", expression="expression")
    knows_ignored = _version(session.version_text) >= (10, 6)
    return _STATISTICS.format(visible="ignored = 'NO'" if knows_ignored else "1", expression="NULL")


def _checks(session: Session) -> str:
    if not session.is_mariadb:
        return _MYSQL_CHECKS
    return _MARIADB_CHECKS.format(level="level" if _version(session.version_text) >= (10, 5, 10) else "NULL")


def _add_check(parts: Parts, row: Row, *, is_mariadb: bool) -> None:
    _, _, name, clause, enforced, level = row
    text = str(clause) if is_mariadb else unescaped(str(clause))
    parts.checks.append((str(name), text if enforced == "YES" else f"{text} NOT ENFORCED"))
    # A server that does not tell the level: a check that has the name of a column is most likely part of it.
    if level == "Column" or (level is None and any(c.name == name for _, c in parts.columns)):
        parts.column_checks.add(str(name))


def _version(text: str) -> tuple[int, ...]:
    # MariaDB servers before 11 put 5.5.5- before their version, so that old replicas accept them.
    return tuple(int(n) for n in re.findall(r"\d+", text.removeprefix("5.5.5-"))[:3])


def _name(row: Row) -> TableName:
    return TableName(str(row[0]), str(row[1]))
