"""No secret in any record: everything written passes one redactor."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.settings import Secret

MASK = "***"
# The documented default is no secret, and it is the tool's own name: masking it would ruin every line.
_PUBLIC = frozenset({"", "replica"})
_SHORT = 4
_pattern: re.Pattern[str] | None = None


def install_redactor(secrets: Iterable[Secret]) -> None:
    """Mask these secrets, in every form in which a driver or a repr may show them, from now on in this process."""
    global _pattern  # noqa: PLW0603 - one redactor a process, like logging itself
    values = {s.reveal() for s in secrets} - _PUBLIC
    forms = {form for value in values for form in _forms(value)}
    # Longest first: a secret that begins with another one must not leave its tail.
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
    # A short password such as "db" stands in many words: only where it stands alone is it shown to be masked.
    return re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
