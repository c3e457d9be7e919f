"""Programs that come from packages: said when they are missing, never skipped in silence."""

from __future__ import annotations

import shutil

from tests.bench.failure import Missing


def require(*programs: str, package: str) -> None:
    """Raise Missing where a program is not installed."""
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        raise Missing(f"{', '.join(absent)} not installed (Debian's package `{package}`)")
