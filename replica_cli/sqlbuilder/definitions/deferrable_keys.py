"""Choose the indexes of a table that can be made after its rows are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import Kind, depths, solid

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.definitions.table_text import Item, TableText


def deferred_keys(table: TableText) -> tuple[Item, ...]:
    """Return the plain indexes of an InnoDB table, if they can be made after its rows are copied.

    Unique indexes stay, because they detect wrong rows. The result is empty if an AUTO_INCREMENT column leads a plain
    index, or if the indexes could end in another order than on the primary: with a SPATIAL or VECTOR index, or with one
    of an expression. Such an index has a hidden column, and hidden columns have the order in which they are made.
    """
    keys = [i for i in table.items if i.is_key]
    if table.engine.upper() != "INNODB" or any(_is(i, "SPATIAL", "VECTOR") or _has_expression(i) for i in keys):
        return ()
    counters = {c.name for c in table.columns if c.is_counter}
    plain = tuple(i for i in keys if _is(i, "KEY", "INDEX"))
    return () if any(i.first_key_column in counters for i in plain) else plain


def _is(item: Item, *words: str) -> bool:
    return solid(item.tokens)[0].is_word(*words)


def _has_expression(item: Item) -> bool:
    # A number in inner parentheses is the length of a prefix.
    return any(
        depth == 2 and token.kind is not Kind.NUMBER and not token.is_blank for depth, token in depths(item.tokens)
    )
