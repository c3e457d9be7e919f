"""What a foreign key does to its rows, read from SHOW CREATE TABLE's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import CATALOG, closing, join, solid, split, tokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.sqlbuilder.tokens import Token

_UNSAID = "RESTRICT"  # as MariaDB's information_schema calls it


def rules_of(create: str) -> dict[str, tuple[str, str]]:
    """Return ON UPDATE and ON DELETE of each foreign key by its name; RESTRICT where nothing is said."""
    tokens = solid(tokenise(create, CATALOG))
    start = next((place for place, token in enumerate(tokens) if token.is_symbol("(")), None)
    if start is None:
        return {}
    found = {}
    for part in split(tokens[start + 1 : closing(tokens, start)], ","):
        if len(part) > 3 and part[0].is_word("CONSTRAINT") and part[2].is_word("FOREIGN"):
            found[part[1].name] = (_rule(part, "UPDATE"), _rule(part, "DELETE"))
    return found


def _rule(part: Sequence[Token], event: str) -> str:
    for place in range(len(part) - 2):
        if part[place].is_word("ON") and part[place + 1].is_word(event):
            first, *second = part[place + 2 : place + 4]
            words = [first, *second] if first.is_word("SET", "NO") else [first]
            return " ".join(join([word]).upper() for word in words)
    return _UNSAID
