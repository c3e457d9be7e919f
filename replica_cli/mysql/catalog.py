"""Table definitions read from a server's information_schema: a handful of queries a schema, whatever its tables.

MariaDB lists the tables of a schema by reading its folder. While ALTER TABLE replaces the files of a table, the list
lacks that table. A query for one table by its name waits until the statement has ended.

Hidden columns are not in it, though row events carry them: MariaDB's DB_ROW_HASH_n of a UNIQUE on a BLOB, and MySQL's
columns under functional indexes. Characters outside the basic plane come as `?` in defaults, ENUM members and comments.
Sources: https://mariadb.com/kb/en/information-schema-tables/ and MySQL's INFORMATION_SCHEMA reference.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from replica_cli.core.table import TableDefinition, TableName
from replica_cli.mysql.catalog_keys import requoted
from replica_cli.mysql.catalog_rows import Parts, column, definition, foreign_key
from replica_cli.mysql.catalog_rules import rules_of
from replica_cli.mysql.catalog_text import unescaped
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, string_value, tokenise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Row, Session

_TABLES_AT_ONCE = 100
_NAMES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = %s"
# Equality on schema (and table) is what MariaDB looks up without opening every table of every schema.
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
_MARIADB_CHECKS = """SELECT constraint_schema, table_name, constraint_name, check_clause, 'YES'
 FROM information_schema.check_constraints WHERE constraint_schema = %s"""
_MYSQL_CHECKS = """SELECT c.table_schema, c.table_name, c.constraint_name, k.check_clause, c.enforced
 FROM information_schema.table_constraints c JOIN information_schema.check_constraints k
 ON k.constraint_schema = c.constraint_schema AND k.constraint_name = c.constraint_name
 WHERE c.constraint_type = 'CHECK' AND c.table_schema = %s"""


def read_catalog(
    session: Session, schemas: Sequence[str], expected: Iterable[TableName] = ()
) -> dict[TableName, TableDefinition]:
    """Read every table of some schemas, views left out; `kind` marks SEQUENCE and SYSTEM VERSIONED ones.

    `expected`: tables that may be there; those that the lists lack are looked up by name. Any other table may be
    missing from the result if it is altered at this moment.
    In order of names, sequences first. Names are spelled as the server spells them.
    A schema that is not there has no tables. Raises ServerError.
    """
    found: dict[TableName, TableDefinition] = {}
    again: set[TableName] = set()
    for schema in dict.fromkeys(schemas):
        read = _read(session, [(schema, None)])
        found |= read.definitions
        again |= read.doubtful
    again |= set(expected) - found.keys()
    found |= _read_named(session, sorted(again))
    # A column's default may ask a sequence, so these are made first.
    return dict(sorted(found.items(), key=lambda item: (not item[1].is_sequence, item[0])))


def selected_schemas(primary: Session, selection: Selection) -> list[str]:
    """Return the primary's schemas that are replicated. Raises ServerError."""
    names = (str(row[0]) for row in primary.rows("SHOW DATABASES"))
    return [name for name in names if selection.schema_target(name)]


def replicated_schemas(primary: Session, selection: Selection) -> list[str]:
    """Return the primary's names of the schemas that are replicated, also of named ones that are not there.

    Raises ServerError.
    """
    named = (source for source, _ in selection.schemas)
    return list(dict.fromkeys([*named, *selected_schemas(primary, selection)]))


def list_names(session: Session, schemas: Iterable[str]) -> set[TableName]:
    """Return the names of the tables and views of some schemas; a table that is altered at this moment may be missing.

    Raises ServerError.
    """
    queries = [_of(session, _NAMES, "table_name", schema, None) for schema in schemas]
    answers = session.rows_of_each(queries) if queries else []
    return {_name(row) for rows in answers for row in rows}


def read_table(session: Session, name: TableName) -> TableDefinition | None:
    """Read one table, None where there is none; for the moment after each DDL. Raises ServerError."""
    return read_tables(session, [name]).get(name)


def read_tables(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Read some tables, those that are there, in few round trips; by the names asked for. Raises ServerError."""
    found = _read_named(session, names)
    if found.keys() - set(names):
        # The server may spell names its own way; the caller goes on with those that it knows.
        (row,) = session.rows("SELECT @@lower_case_table_names")
        alike = {str(n).lower(): d for n, d in found.items()} if row[0] else {}
        found |= {n: replace(alike[str(n).lower()], name=n) for n in names if str(n).lower() in alike}
    return {name: found[name] for name in names if name in found}


def read_columns(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Read some tables as `read_tables` does, without indexes, constraints and triggers. Raises ServerError."""
    found: dict[TableName, TableDefinition] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        places = [(n.schema, n.table) for n in names[first : first + _TABLES_AT_ONCE]]
        found |= _read(session, places, is_whole=False).definitions
    return {name: found[name] for name in names if name in found}


def show_create(session: Session, name: TableName) -> str:
    """Return SHOW CREATE TABLE's text, names between backticks, MySQL's secondary engine left out.

    Needs the session's own sql_mode: no ANSI_QUOTES, no NO_BACKSLASH_ESCAPES, no mode of another product.
    Raises ServerError, 1146 among them.
    """
    (text,) = _shown(session, "TABLE", name)
    return _with_keys(session, name, text)


def show_creates(session: Session, names: Sequence[TableName]) -> dict[TableName, str]:
    """Return what `show_create` returns of tables (not of sequences), in few round trips.

    A table that the server cannot show, such as one that was dropped meanwhile, is left out. Raises ServerError only
    if the connection is lost.
    """
    found: dict[TableName, str] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        asked = names[first : first + _TABLES_AT_ONCE]
        try:
            texts = _shown(session, "TABLE", *asked)
        except ServerError as error:
            if error.is_connection_lost:
                raise
            found |= _shown_alone(session, asked)
        else:
            found |= {name: _with_keys(session, name, text) for name, text in zip(asked, texts, strict=True)}
    return found


def _shown_alone(session: Session, names: Sequence[TableName]) -> dict[TableName, str]:
    found = {}
    for name in names:
        try:
            found[name] = show_create(session, name)
        except ServerError as error:
            if error.is_connection_lost:
                raise
    return found


def show_create_sequence(session: Session, name: TableName) -> str:
    """Return SHOW CREATE SEQUENCE's text; the rest is as with `show_create`, which shows a sequence as a table."""
    (text,) = _shown(session, "SEQUENCE", name)
    return text


def _shown(session: Session, kind: str, *names: TableName) -> list[str]:
    # MariaDB before 11 writes a binary default's bytes as they are: not text in any charset. So ask for bytes.
    as_bytes = "SET SESSION sql_quote_show_create = 1, character_set_results = binary"
    as_text = "SET SESSION character_set_results = utf8mb4"
    try:
        _, *answers, _ = session.rows_of_each(
            [as_bytes, *(f"SHOW CREATE {kind} {quote_table(name)}" for name in names), as_text]
        )
    except ServerError:
        # What stands behind the statement that failed was not run.
        with contextlib.suppress(ServerError):
            session.execute(as_text)
        raise
    texts = (rows[0][1] if rows else b"" for rows in answers)
    return [_as_text(text) if isinstance(text, bytes) else str(text) for text in texts]


def _with_keys(session: Session, name: TableName, create: str) -> str:
    if not session.is_mariadb or " FOREIGN KEY (" not in create:
        return create
    found: dict[str, list[Row]] = defaultdict(list)
    for row in session.rows(f"{_KEY_COLUMNS} AND table_name = %s", name.schema, name.table):
        if row[5] is not None:
            found[str(row[2])].append(row)
    return requoted(create, [foreign_key(constraint, rows, {}) for constraint, rows in found.items()])


def _as_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # latin1 keeps every byte as one character, so the tokens' ends stay where they are.
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


class _Found(NamedTuple):
    """What was read. `doubtful`: tables that one query named and another one lacked."""

    definitions: dict[TableName, TableDefinition]
    doubtful: set[TableName]


def _read_named(session: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    found: dict[TableName, TableDefinition] = {}
    for first in range(0, len(names), _TABLES_AT_ONCE):
        found |= _read(session, [(n.schema, n.table) for n in names[first : first + _TABLES_AT_ONCE]]).definitions
    return found


def _read(session: Session, places: Sequence[tuple[str, str | None]], *, is_whole: bool = True) -> _Found:
    """Read tables: a schema and one of its tables, or all. If not `is_whole`, their columns alone."""
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
            _MARIADB_CHECKS if is_mariadb else _MYSQL_CHECKS: "table_name" if is_mariadb else "c.table_name",
            _TRIGGERS: "event_object_table",
        }
    texts = [_of(session, sql, col, *place) for sql, col in queries.items() for place in places]
    end = len(texts)
    # A whole schema is listed once more at the end: a table that the first queries lacked may be there again.
    texts += [_of(session, _NAMES, "table_name", schema, None) for schema, table in places if table is None]
    # In one packet: a link of 20 ms is waited for once.
    answers = session.rows_of_each(texts)
    tables, columns, *others = (
        list(itertools.chain.from_iterable(answers[first : first + len(places)]))
        for first in range(0, end, len(places))
    )
    statistics, keys, rules, checks, triggers = others or [[] for _ in range(5)]
    listed = itertools.chain.from_iterable(answers[end:])
    for row in columns:
        parts[_name(row)].columns.append(column(row, is_mariadb=is_mariadb))
    for row in statistics:
        parts[_name(row)].statistics[str(row[2])].append(row)
    _add_foreign_keys(session, parts, keys, rules)
    for row in checks:
        clause = str(row[3]) if is_mariadb else unescaped(str(row[3]))
        parts[_name(row)].checks.append((str(row[2]), clause if row[4] == "YES" else f"{clause} NOT ENFORCED"))
    for row in triggers:
        parts[_name(row)].triggers.append(str(row[2]))
    kept = {_name(row): row for row in tables if row[2] not in ("VIEW", "SYSTEM VIEW", "TEMPORARY")}
    views = {_name(row) for row in tables}.difference(kept)
    # A table that was dropped between two queries has no columns any more.
    definitions = {n: definition(n, row, parts[n]) for n, row in kept.items() if parts[n].columns}
    named = {*kept, *parts, *map(_name, listed)} - views
    # A key's rules without its columns: the query for keys lacked the table.
    without_keys = {n for n in definitions if parts[n].rules.keys() - parts[n].keys.keys()}
    return _Found(definitions, named - definitions.keys() | without_keys)


def _of(session: Session, sql: str, table_column: str, schema: str, table: str | None) -> str:
    text = sql % session.escape(schema)
    return text if table is None else f"{text} AND {table_column} = {session.escape(table)}"


def _add_foreign_keys(session: Session, parts: dict[TableName, Parts], keys: list[Row], rules: list[Row]) -> None:
    for row in keys:
        if row[5] is not None:
            parts[_name(row)].keys[str(row[2])].append(row)
    for row in rules:
        parts[_name(row)].rules[str(row[2])] = (str(row[3]), str(row[4]))
    for name, found in parts.items():
        # MariaDB shows the rules only to accounts that may do more with the table than read it. Taken for keys that do
        # not act, cascading tables would be copied at different moments.
        if found.keys.keys() - found.rules.keys():
            with _if_there():
                found.rules = rules_of(show_create(session, name))


@contextlib.contextmanager
def _if_there() -> Iterator[None]:
    """Let a table go between two queries."""
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


def _version(text: str) -> tuple[int, ...]:
    # Old MariaDB servers say 5.5.5- first, so that old replicas take them.
    return tuple(int(n) for n in re.findall(r"\d+", text.removeprefix("5.5.5-"))[:3])


def _name(row: Row) -> TableName:
    return TableName(str(row[0]), str(row[1]))
