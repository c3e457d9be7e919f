"""What passes from the reading thread to the writing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.chunks import KeyLiterals


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows as VALUES lists, each for a statement of its own; `last_key` is where the range stands after them.

    `last_key` is None where the range ends with this chunk. `holds_enum_zero`: a strict session would refuse it.
    `digest`: what `digest_query` gives for `condition` on the primary, () if that was not asked for.
    """

    values: tuple[bytes, ...]
    row_count: int
    last_key: KeyLiterals | None = None
    is_last: bool = False
    holds_enum_zero: bool = False
    condition: str = ""
    digest: tuple[object, ...] = ()

    @property
    def byte_count(self) -> int:
        """Return the length of the literals."""
        return sum(map(len, self.values))
