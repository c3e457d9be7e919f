"""Every family, in the order of the coverage table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.matrix import binary, documents, geometry, keys, lists, native, numbers, shapes, temporals, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.matrix.hard import Table

FAMILIES = (
    *numbers.FAMILIES,
    *temporals.FAMILIES,
    *text.FAMILIES,
    *binary.FAMILIES,
    *lists.FAMILIES,
    *documents.FAMILIES,
    *geometry.FAMILIES,
    *native.FAMILIES,
    *shapes.FAMILIES,
    *keys.FAMILIES,
)


def tables_of(server: str) -> Iterator[Table]:
    """Yield every table that a primary of this kind can hold."""
    for family in FAMILIES:
        yield from family.tables(server)
