"""What the command line says about settings: it wins over the environment and `.env`."""

from __future__ import annotations

from dataclasses import dataclass

_OPTIONS = {
    "engine": ("REPLICA_ENGINE", "--engine"),
    "workers": ("REPLICA_TRANSFER_WORKERS", "--workers"),
    "batch_size": ("TRANSFER_BATCH_SIZE", "--batch-size"),
    "max_lag": ("REPLICA_MAX_LAG", "--max-lag"),
}


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options as typed, None where not given; a password is never among them."""

    engine: str | None = None
    workers: str | None = None
    batch_size: str | None = None
    max_lag: str | None = None

    def by_variable(self) -> dict[str, tuple[str, str]]:
        """Return text and option by the variable that each one stands for."""
        found: dict[str, tuple[str, str]] = {}
        for field, (variable, option) in _OPTIONS.items():
            text: str | None = getattr(self, field)
            if text is not None:
                found[variable] = (text, option)
        return found
