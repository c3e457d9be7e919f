"""The chunk that the reading thread passes to the writing thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one chunk, as VALUES lists; each list is written by a statement of its own.

    `last_key` is the key of the last row, None if the range ends with this chunk. `holds_enum_zero`: an ENUM holds
    index 0, which a strict session refuses. `digest` is the answer to `digest_query` for `condition` on the primary,
    empty if no digest was read.
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
        """Return the total length of the VALUES lists in bytes."""
        return sum(map(len, self.values))
