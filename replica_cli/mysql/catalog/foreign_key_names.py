"""Correct the names of foreign keys in SHOW CREATE TABLE's text.

MariaDB 10.11.18 does not double the backticks in the names of a foreign key, of its columns and of the parent's
columns, as other servers do. Such a text is no SQL, or other SQL than was meant. The right names are in
information_schema.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.core.table import ForeignKey

# The parent's own name is quoted correctly. Inside another name backticks are doubled, and texts have no line breaks.
# So only the foreign key itself matches the pattern.
_PARENT = r"(?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`"


def requoted(create: str, keys: Iterable[ForeignKey]) -> str:
    """Return SHOW CREATE TABLE's text with the names of its foreign keys quoted."""
    for key in keys:
        if any("`" in name for name in (key.name, *key.columns, *key.parent_columns)):
            raw = re.escape(_head(key, _bare)) + f"({_PARENT})" + re.escape(_listed(key.parent_columns, _bare))
            head, listed = _head(key, quote), _listed(key.parent_columns, quote)
            create = re.sub(raw, lambda match, head=head, listed=listed: head + match[1] + listed, create, count=1)  # type: ignore[misc]
    return create


def _head(key: ForeignKey, quoted: Callable[[str], str]) -> str:
    return f"\n  CONSTRAINT {quoted(key.name)} FOREIGN KEY{_listed(key.columns, quoted)} REFERENCES "


def _listed(names: Sequence[str], quoted: Callable[[str], str]) -> str:
    return f" ({', '.join(map(quoted, names))})"


def _bare(name: str) -> str:
    return f"`{name}`"
