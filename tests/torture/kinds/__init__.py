"""The kinds of DDL statements that the writer mixes in, by name."""

from __future__ import annotations

from tests.torture.kinds.kind import Fails, Kind
from tests.torture.kinds.lives import LIFE_KINDS
from tests.torture.kinds.names import NAME_KINDS
from tests.torture.kinds.values import VALUE_KINDS

__all__ = ["KINDS", "Fails", "Kind"]

KINDS: tuple[Kind, ...] = (*VALUE_KINDS, *NAME_KINDS, *LIFE_KINDS)
