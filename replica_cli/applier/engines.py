"""Who turns row events into work, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.applier.work import RowEngine


@dataclass(frozen=True, slots=True)
class Engines:
    """Strictly, inside the replay window, and to name what exactly fails."""

    strict: RowEngine
    replay: RowEngine
    exact: RowEngine

    def forget(self) -> None:
        """Forget what was learnt of tables: a definition changed."""
        for engine in (self.strict, self.replay, self.exact):
            engine.forget()
