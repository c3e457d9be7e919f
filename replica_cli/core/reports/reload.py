"""The result of reading the settings again while a stream runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Change:
    """A setting with another value than before, as text; secrets are masked.

    Attributes:
        name: what the user calls it: its option, its variable, or its name in the configuration file.
        note: what else there is to say about it, empty if nothing.

    """

    name: str
    before: str
    after: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'nothing'} -> {self.after or 'nothing'}" + (
            f" ({self.note})" if self.note else ""
        )


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """The settings to go on with, and what has changed.

    Attributes:
        taken: the changes that are in `settings`.
        refused: the changes that are used only after a new start.

    """

    settings: Settings
    taken: tuple[Change, ...] = ()
    refused: tuple[Change, ...] = ()
