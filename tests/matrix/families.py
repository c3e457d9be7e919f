"""Every family, in the order of the coverage table."""

from __future__ import annotations

from tests.matrix import binary, documents, geometry, keys, lists, native, numbers, shapes, temporals, text

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
