"""A process that dies around a statement of data definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier import ddl as ddl_module
from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    import pytest

ORIGINAL = ddl_module.DdlApplier._run


class KilledError(ReplicaError):
    """The process died here."""


@dataclass
class Killer:
    """Ends the process, as it were, around the nth statement of data definition."""

    place: str
    left: int = 1

    def arm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(applier: ddl_module.DdlApplier, *args: object) -> None:
            self.run(applier, *args)

        monkeypatch.setattr(ddl_module.DdlApplier, "_run", run)

    def run(self, applier: ddl_module.DdlApplier, *args: object) -> None:
        self.left -= 1
        if self.left == 0 and self.place == "before":
            raise KilledError("killed before")
        ORIGINAL(applier, *args)  # type: ignore[arg-type]
        if self.left == 0 and self.place == "behind":
            raise KilledError("killed behind")
