"""Reads which differences between definitions the user accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.differences import AcceptedDrift, Aspect, aspect_word

if TYPE_CHECKING:
    from collections.abc import Sequence


def drift_patterns(patterns: Sequence[str]) -> tuple[AcceptedDrift, ...]:
    """Parse patterns such as `shop.orders:index:by_report` or `*.audit:engine`.

    Raises:
        ValueError: if one is not a pattern; the message says which and why.
    """
    return tuple(map(_pattern, patterns))


def _pattern(text: str) -> AcceptedDrift:
    table, _, rest = text.partition(":")
    aspect, _, name = rest.partition(":")
    aspect = aspect_word(aspect.strip().lower()) or "*"
    if "." not in table:
        raise ValueError(f"{text!r} is not schema.table:aspect:name, such as shop.orders:index:by_report")
    if not any(c in aspect for c in "*?") and aspect not in map(aspect_word, Aspect):
        raise ValueError(f"{aspect!r} in {text!r} is not one of {', '.join(map(aspect_word, Aspect))}")
    return AcceptedDrift(table.strip(), aspect, name.strip() or "*")
