"""Finds the values of secrets in the values of other settings: a reference may put one there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
# A shorter secret is a part of many values. It counts only if it is the whole value.
_SHORTEST = 4


class Mask:
    """Replaces secrets in the values of settings.

    Messages are not searched. A secret may be a word of a message, and from the other words a reader could then guess
    which word the mask hides.

    Args:
        secrets: the values; an empty one is ignored.

    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets)
        # The values of other settings have no blanks at their ends.
        forms = {form for secret in self._secrets for form in (secret, secret.strip()) if form}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, longest_first))) if forms else None

    def joined(self, other: Mask) -> Mask:
        """Return one that replaces the secrets of both."""
        return Mask(self._secrets | other._secrets)

    def __call__(self, value: str) -> str:
        """Return a value without the secrets."""
        return value if self._pattern is None else self._pattern.sub(MASK, value)

    def hides(self, value: str | tuple[str, ...]) -> bool:
        """Return True if there is a secret in a value, or in an item of it."""
        return any(self(text) != text for text in ((value,) if isinstance(value, str) else value))


def _pattern(secret: str) -> str:
    text = re.escape(secret)
    return text if len(secret) >= _SHORTEST else rf"\A{text}\Z"
