"""The environment of the process. No other code reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def process_environment() -> Mapping[str, str]:
    """Return the environment of the process."""
    return os.environ  # noqa: TID251 - this is the only use
