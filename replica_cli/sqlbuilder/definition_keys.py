"""Which indexes of a table may be made once its rows are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import Kind, depths, solid

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.definition_parts import Item, TableText


def deferred_keys(table: TableText) -> tuple[Item, ...]:
    """Return the plain indexes that no row needs on its way in; none where the indexes would end in another order.

    Unique ones notice what is wrong, a counter leads one, and one of an expression brings a hidden column along, whose
    place among the others is the order in which they were made.
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
    # A prefix is a number in parentheses of its own.
    return any(
        depth == 2 and token.kind is not Kind.NUMBER and not token.is_blank for depth, token in depths(item.tokens)
    )
