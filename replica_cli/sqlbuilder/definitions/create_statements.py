"""Build the statements that make a primary's table on a secondary, from the text of SHOW CREATE TABLE."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.definitions.crossing import Crossing, cross
from replica_cli.sqlbuilder.definitions.deferrable_keys import deferred_keys
from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused
from replica_cli.sqlbuilder.definitions.table_text import Item, TableText, options, parse, without
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of, why_refused
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, Token, closing, join, solid, string_value, tokenise

Route = Callable[[TableName], TableName | None]

_OPTIONS_OF_OTHER_ENGINES = frozenset(
    {"TRANSACTIONAL", "PAGE_CHECKSUM", "CHECKSUM", "DELAY_KEY_WRITE", "PACK_KEYS", "ROW_FORMAT", "KEY_BLOCK_SIZE",
     "MIN_ROWS", "MAX_ROWS", "AVG_ROW_LENGTH"}
)  # fmt: skip
_COUNTER = re.compile(r"^(\)[^\n'\"]*?) AUTO_INCREMENT=\d+", re.MULTILINE)
_SEQUENCE_FUNCTIONS = ("NEXTVAL", "LASTVAL", "SETVAL")


@dataclass(frozen=True, slots=True)
class CreateStatements:
    """The statements that make one table on the secondary.

    Attributes:
        create: the CREATE TABLE without foreign keys.
        deferred_keys: name and clause of each index that can be dropped from the empty table and made after the copy.
        foreign_keys: the statements that add the foreign keys later.
        notes: what is not as on the primary.
        columns: the names of the primary's columns.
    """

    create: str
    deferred_keys: tuple[tuple[str, str], ...] = ()
    foreign_keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()


def create_statements(
    create_text: str,
    target: TableName,
    *,
    source: TableName,
    route: Route,
    crossing: Crossing | None = None,
) -> CreateStatements:
    """Return the statements that make a table on the secondary. An engine that cannot roll back becomes InnoDB.

    Args:
        create_text: the text of SHOW CREATE TABLE.
        target: the name on the secondary.
        source: the name on the primary.
        route: returns the secondary's name of a table that the definition mentions, or None if that table is not
            replicated. A foreign key to such a table is left out, with a note.
        crossing: the flavours of the two servers; None if they are the same.

    Raises:
        DefinitionRefused: the secondary's table would not be the same.
        ValueError: the text is not the definition of a table.
    """
    table = parse(create_text)
    columns = frozenset(i.name for i in table.columns)
    notes: list[str] = []
    engine = kind_of(table.engine)
    if engine is EngineKind.REFUSED:
        raise DefinitionRefused(source, "", why_refused(table.engine))
    if crossing is not None and crossing.is_needed:
        table = cross(table, source, crossing, notes)
    if engine is EngineKind.CONVERTED:
        table = _as_innodb(table, source, notes)
    table = replace(table, tail=_without_locations(table.tail, notes))
    items = tuple(_routed_sequences(i, route) for i in table.items)
    notes += [n for i in items if i.is_column and (n := _doubt(i))]
    foreign_keys = []
    for item in (i for i in items if i.is_foreign_key):
        clause = _routed_parent(item, source, route)
        if clause is None:
            notes.append(f"foreign key {item.name} is left out: its parent table is not replicated")
        else:
            foreign_keys.append(f"ALTER TABLE {quote_table(target)} ADD {clause}")
    table = table.with_items(tuple(i for i in items if not i.is_foreign_key))
    return CreateStatements(
        create=table.create(quote_table(target)),
        deferred_keys=tuple((i.name, i.text) for i in deferred_keys(table)),
        foreign_keys=tuple(foreign_keys),
        notes=tuple(notes),
        columns=columns,
    )


def with_other_name(create: str, name: TableName, other: TableName, *, keeps_check_names: bool) -> str:
    """Return a statement of `create_statements` or `sequence_statement` that makes `other` instead of `name`.

    Unless `keeps_check_names`, the table's checks lose their names, and the server gives them new ones.
    """
    renamed = create.replace(quote_table(name), quote_table(other), 1)
    if keeps_check_names:
        return renamed
    table = parse(renamed)
    items = tuple(_without_name(i) if i.is_check else i for i in table.items)
    return table.with_items(items).create(quote_table(other))


def _without_name(check: Item) -> Item:
    start = next(index for index, token in enumerate(check.tokens) if token.is_word("CHECK"))
    return Item(check.tokens[start:])


def column_clause(create_text: str, column: str) -> str | None:
    """Return a column's definition as SHOW CREATE TABLE writes it, name first, or None if there is no such column."""
    return next((i.text for i in parse(create_text).columns if i.name == column), None)


def column_kinds(create_text: str) -> dict[str, str]:
    """Return the first word of each column's type in lower case, by column name."""
    return {i.name: solid(i.tokens)[1].text.lower() for i in parse(create_text).columns}


def key_clause(create_text: str, index: str) -> str | None:
    """Return an index's definition as SHOW CREATE TABLE writes it, or None. PRIMARY is the primary key."""
    keys = (i for i in parse(create_text).items if i.is_key)
    return next((i.text for i in keys if (i.name or "PRIMARY") == index), None)


def check_clause(create_text: str, check: str) -> str | None:
    """Return a check of the whole table as SHOW CREATE TABLE writes it, or None."""
    return next((i.text for i in parse(create_text).items if i.is_check and i.name == check), None)


def schema_statement(schema: str, charset: str, collation: str, *, is_new: bool = True) -> str:
    """Return the statement that makes a schema unless it exists, or changes its default charset if not `is_new`.

    Raises:
        ValueError: the name of the charset or the collation is not a single word.
    """
    tokens = tokenise(charset, CATALOG), tokenise(collation, CATALOG)
    if any([t.kind for t in text] != [Kind.WORD] for text in tokens):
        raise ValueError(f"{charset!r} and {collation!r} are not the names of a charset and a collation")
    verb = "CREATE DATABASE IF NOT EXISTS" if is_new else "ALTER DATABASE"
    return f"{verb} {quote(schema)} CHARACTER SET {charset} COLLATE {collation}"


def _as_innodb(table: TableText, source: TableName, notes: list[str]) -> TableText:
    engine = table.engine
    tail = list(table.tail)
    dropped = []
    for option in options(table.tail):
        if option.name == "ENGINE":
            tail[option.end - 1] = Token(Kind.WORD, "InnoDB")
        elif option.name in _OPTIONS_OF_OTHER_ENGINES:
            dropped.append((option.start, option.end))
    notes.append(f"{source}: engine {engine} becomes InnoDB, so that rows and position commit together")
    leading = {i.first_key_column for i in table.items if i.is_key}
    for column in table.columns:
        if column.is_counter and column.name not in leading:
            raise DefinitionRefused(
                source, column.name, "InnoDB needs an index that begins with the AUTO_INCREMENT column"
            )
    items = table.items
    if engine.upper() == "MEMORY":
        # In InnoDB of MariaDB a unique key USING HASH means something else: a hidden column with a hash.
        items = tuple(_without_hash(i) if i.is_key else i for i in items)
    return TableText(items, without(tuple(tail), dropped))


def _without_hash(item: Item) -> Item:
    indexes = [p for p, t in enumerate(item.tokens) if not t.is_blank]
    pairs = itertools.pairwise(indexes)
    ranges = [(a, b + 1) for a, b in pairs if item.tokens[a].is_word("USING") and item.tokens[b].is_word("HASH")]
    return Item(without(item.tokens, ranges))


def without_counter(text: str) -> str:
    """Return SHOW CREATE TABLE's text without the AUTO_INCREMENT counter, which changes with each inserted row.

    The counter is in the line after the last column or key, before any text in quotes.
    """
    return _COUNTER.sub(r"\1", text, count=1)


def _without_locations(tail: tuple[Token, ...], notes: list[str]) -> tuple[Token, ...]:
    dropped = []
    for option in options(tail):
        if option.name in ("DATA DIRECTORY", "INDEX DIRECTORY"):
            dropped.append((option.start, option.end))
            notes.append(f"{option.name} is left out: it belongs to the primary's machine")
    for index, token in enumerate(tail):
        if token.is_word("TABLESPACE"):
            name = next(p for p in range(index + 1, len(tail)) if not tail[p].is_blank)
            dropped.append((index, name + 1))
            notes.append(f"TABLESPACE {tail[name].text} is left out: it belongs to the primary")
    return without(tail, dropped)


def _routed_parent(item: Item, source: TableName, route: Route) -> str | None:
    tokens = list(item.tokens)
    start = next(p for p, t in enumerate(tokens) if t.is_word("REFERENCES"))
    end = next(p for p in range(start, len(tokens)) if tokens[p].is_symbol("("))
    names = [t.name for t in tokens[start:end] if t.kind is Kind.NAME]
    parent = TableName(names[0], names[1]) if len(names) == 2 else TableName(source.schema, names[0])
    target = route(parent)
    return None if target is None else f"{join(tokens[:start])}REFERENCES {quote_table(target)} {join(tokens[end:])}"


def _routed_sequences(item: Item, route: Route) -> Item:
    tokens = list(item.tokens)
    for index, token in enumerate(tokens):
        if not token.is_word(*_SEQUENCE_FUNCTIONS) or not tokens[index + 1].is_symbol("("):
            continue
        names = [p for p in range(index, closing(tokens, index + 1)) if tokens[p].kind is Kind.NAME]
        if len(names) == 2:
            on_primary = TableName(tokens[names[0]].name, tokens[names[1]].name)
            sequence = route(on_primary) or on_primary
            tokens[names[0]] = Token(Kind.NAME, quote(sequence.schema))
            tokens[names[1]] = Token(Kind.NAME, quote(sequence.table))
    return Item(tuple(tokens))


def _doubt(item: Item) -> str:
    # All servers keep metadata as utf8mb3 and show other characters as question marks, without a warning.
    is_comment = False
    for token in item.tokens:
        if token.kind is Kind.STRING and not is_comment and "?" in string_value(token.text):
            return f"column {item.name}: a ? in {token.text} may be a character that SHOW CREATE TABLE cannot show"
        is_comment = token.is_word("COMMENT") or (is_comment and token.is_blank)
    return ""
