"""Parse the text of SHOW CREATE TABLE into its items (columns, keys, constraints) and the table's options."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import CATALOG, Kind, Token, closing, depths, join, solid, split, tokenise

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Item:
    """A column, a key or a constraint of a table, as the tokens between two commas."""

    tokens: tuple[Token, ...]
    _solid: list[Token] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # All properties read these tokens.
        object.__setattr__(self, "_solid", solid(self.tokens))

    @property
    def is_column(self) -> bool:
        """Return True if this is a column."""
        return self._solid[0].kind is Kind.NAME

    @property
    def is_foreign_key(self) -> bool:
        """Return True if this is a foreign key, with or without a name."""
        return any(t.is_word("FOREIGN") for t in self._solid[:3])

    @property
    def is_check(self) -> bool:
        """Return True if this is a check of the whole table."""
        return not self.is_column and any(t.is_word("CHECK") for t in self._solid[:3])

    @property
    def is_key(self) -> bool:
        """Return True if this is a primary key or an index."""
        return not (self.is_column or self.is_foreign_key or self.is_check) and not self._solid[0].is_word("PERIOD")

    @property
    def name(self) -> str:
        """Return the name of the item, or an empty text if it has none (PRIMARY KEY has none)."""
        for token in self._solid:
            if token.kind is Kind.NAME:
                return token.name
            if token.is_symbol("("):
                break
        return ""

    @property
    def is_counter(self) -> bool:
        """Return True if this is a column with AUTO_INCREMENT."""
        return self.is_column and any(d == 0 and t.is_word("AUTO_INCREMENT") for d, t in depths(self.tokens))

    @property
    def first_key_column(self) -> str:
        """Return the name of the first column of a key."""
        inside = (t.name for d, t in depths(self._solid) if d == 1 and t.kind is Kind.NAME)
        return next(inside, "")

    @property
    def text(self) -> str:
        """Return the item as SQL."""
        return join(self.tokens)


@dataclass(frozen=True, slots=True)
class TableText:
    """A CREATE TABLE statement without the table's name. `tail` holds the tokens after the closing parenthesis."""

    items: tuple[Item, ...]
    tail: tuple[Token, ...]

    @property
    def columns(self) -> tuple[Item, ...]:
        """Return the items that are columns."""
        return tuple(i for i in self.items if i.is_column)

    @property
    def engine(self) -> str:
        """Return the name of the storage engine, or an empty text if none is given."""
        return next((o.value for o in options(self.tail) if o.name == "ENGINE"), "")

    def create(self, name: str) -> str:
        """Return the statement for a table of this name, which must be quoted."""
        body = ",\n".join(f"  {i.text}" for i in self.items)
        return f"CREATE TABLE {name} (\n{body}\n){join(self.tail)}"

    def with_items(self, items: tuple[Item, ...]) -> TableText:
        """Return the same table with other items."""
        return replace(self, items=items)


def parse(create_text: str) -> TableText:
    """Return the text of SHOW CREATE TABLE as items and tail.

    Raises:
        ValueError: the text is not a CREATE statement with items in parentheses.
    """
    tokens = tokenise(create_text, CATALOG)
    start = next((p for p, t in enumerate(tokens) if t.is_symbol("(")), None)
    head = solid(tokens[:start])
    if start is None or not head or not head[0].is_word("CREATE"):
        raise ValueError("not the text of SHOW CREATE TABLE")
    end = closing(tokens, start)
    parts = split(tokens[start + 1 : end], ",")
    return TableText(tuple(Item(_trimmed(p)) for p in parts), tuple(tokens[end + 1 :]))


@dataclass(frozen=True, slots=True)
class Option:
    """One `NAME=value` of a table or a partition. Its tokens have the indexes [start, end)."""

    name: str
    value: str
    start: int
    end: int


def options(tokens: tuple[Token, ...]) -> Iterator[Option]:
    """Yield the options in a table's tail, also those of partitions and those inside executable comments."""
    indexes = [p for p, t in enumerate(tokens) if not t.is_blank]
    for before, (equals, after) in enumerate(itertools.pairwise(indexes[1:])):
        if not tokens[equals].is_symbol("="):
            continue
        start, name = indexes[before], tokens[indexes[before]].text.upper()
        previous = tokens[indexes[before - 1]] if before else None
        if previous is not None and previous.is_word("DEFAULT", "DATA", "INDEX", "CHARACTER"):
            start, name = indexes[before - 1], f"{previous.text.upper()} {name}"
        yield Option(name, tokens[after].text, start, after + 1)


def without(tokens: tuple[Token, ...], dropped: list[tuple[int, int]]) -> tuple[Token, ...]:
    """Return the tokens without some ranges [start, end), and without the space before each range."""
    removed = {index for start, end in dropped for index in range(start, end)}
    removed |= {start - 1 for start, _ in dropped if start and tokens[start - 1].kind is Kind.SPACE}
    return tuple(t for p, t in enumerate(tokens) if p not in removed)


def _trimmed(tokens: list[Token]) -> tuple[Token, ...]:
    while tokens and tokens[0].kind is Kind.SPACE:
        tokens = tokens[1:]
    while tokens and tokens[-1].kind is Kind.SPACE:
        tokens = tokens[:-1]
    return tuple(tokens)
