"""Masks secrets in everything that is logged or shown, with one redactor for the process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.settings import Secret

MASK = "***"
# The default password is documented, so it is no secret. It is also the name of this program, which many lines contain.
_PUBLIC = frozenset({"", "replica"})
_SHORT = 4
_pattern: re.Pattern[str] | None = None


def install_redactor(secrets: Iterable[Secret]) -> None:
    """Set the secrets that `redact` masks in this process, in all forms in which drivers and `repr` may show them."""
    global _pattern  # noqa: PLW0603 - a process has one redactor, as it has one logging
    values = {s.reveal() for s in secrets} - _PUBLIC
    forms = {form for value in values for form in _forms(value)}
    # The longest form is first: if a secret begins with another secret, no rest of it may stay unmasked.
    alternatives = [_matching(form) for form in sorted(forms, key=len, reverse=True)]
    _pattern = re.compile("|".join(alternatives)) if alternatives else None


def redact(text: str) -> str:
    """Return the text with every secret masked."""
    return text if _pattern is None else _pattern.sub(MASK, text)


def _forms(value: str) -> set[str]:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    return {
        value,
        repr(value)[1:-1],
        repr(value.encode())[2:-1],
        json.dumps(value)[1:-1],
        value.replace("'", "''"),
        escaped,
        quote(value, safe=""),
        quote_plus(value),
    }


def _matching(form: str) -> str:
    # A short password such as "db" is a part of many words, so it is masked only as a word of its own.
    return re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
