"""Read from SHOW CREATE TABLE's text what foreign keys do to rows (ON UPDATE and ON DELETE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import CATALOG, closing, join, solid, split, tokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.sqlbuilder.tokens import Token

_DEFAULT_RULE = "RESTRICT"  # as MariaDB's information_schema calls it


def rules_of(create: str) -> dict[str, tuple[str, str]]:
    """Return ON UPDATE and ON DELETE of each foreign key by its name; RESTRICT if the text has no rule."""
    tokens = solid(tokenise(create, CATALOG))
    start = next((index for index, token in enumerate(tokens) if token.is_symbol("(")), None)
    if start is None:
        return {}
    rules = {}
    for part in split(tokens[start + 1 : closing(tokens, start)], ","):
        if len(part) > 3 and part[0].is_word("CONSTRAINT") and part[2].is_word("FOREIGN"):
            rules[part[1].name] = (_rule(part, "UPDATE"), _rule(part, "DELETE"))
    return rules


def _rule(part: Sequence[Token], event: str) -> str:
    for index in range(len(part) - 2):
        if part[index].is_word("ON") and part[index + 1].is_word(event):
            first, *second = part[index + 2 : index + 4]
            words = [first, *second] if first.is_word("SET", "NO") else [first]
            return " ".join(join([word]).upper() for word in words)
    return _DEFAULT_RULE
