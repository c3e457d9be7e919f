"""Foreign keys in SHOW CREATE TABLE's text, where a server writes their names so that nobody can read them.

MariaDB 10.11.18 leaves the backticks in the names of a foreign key, its columns and the parent's as they are, where all
others double them: text that is no SQL, or other SQL than was meant. The names themselves information_schema tells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.core.table import ForeignKey

# The parent's own name is quoted as it should be. Inside of another name backticks come in twos, and texts have no
# line of their own: so nothing but the foreign key itself reads like this.
_PARENT = r"(?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`"


def requoted(create: str, keys: Iterable[ForeignKey]) -> str:
    """Return SHOW CREATE TABLE's text with the names of its foreign keys quoted."""
    for key in keys:
        if any("`" in name for name in (key.name, *key.columns, *key.parent_columns)):
            raw = re.escape(_head(key, _bare)) + f"({_PARENT})" + re.escape(_listed(key.parent_columns, _bare))
            head, listed = _head(key, quote), _listed(key.parent_columns, quote)
            create = re.sub(raw, lambda found, head=head, listed=listed: head + found[1] + listed, create, count=1)  # type: ignore[misc]
    return create


def _head(key: ForeignKey, quoted: Callable[[str], str]) -> str:
    return f"\n  CONSTRAINT {quoted(key.name)} FOREIGN KEY{_listed(key.columns, quoted)} REFERENCES "


def _listed(names: Sequence[str], quoted: Callable[[str], str]) -> str:
    return f" ({', '.join(map(quoted, names))})"


def _bare(name: str) -> str:
    return f"`{name}`"
