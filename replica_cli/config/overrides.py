"""Settings from the command line; they win over the environment and `.env`."""

from __future__ import annotations

from dataclasses import dataclass

_OPTIONS = {
    "engine": ("REPLICA_ENGINE", "--engine"),
    "workers": ("REPLICA_TRANSFER_WORKERS", "--workers"),
    "batch_size": ("TRANSFER_BATCH_SIZE", "--batch-size"),
    "max_lag": ("REPLICA_MAX_LAG", "--max-lag"),
    "verify_max_lag": ("REPLICA_VERIFY_MAX_LAG", "--max-lag"),
    "listen": ("REPLICA_LISTEN", "--listen"),
}


@dataclass(frozen=True, slots=True)
class Overrides:
    """The texts of options, None for an option that was not given. No option takes a password."""

    engine: str | None = None
    workers: str | None = None
    batch_size: str | None = None
    max_lag: str | None = None
    verify_max_lag: str | None = None
    listen: str | None = None

    def by_variable(self) -> dict[str, tuple[str, str]]:
        """Return the given options by the name of the variable that each replaces, as pairs of text and option."""
        options: dict[str, tuple[str, str]] = {}
        for field, (variable, option) in _OPTIONS.items():
            text: str | None = getattr(self, field)
            if text is not None:
                options[variable] = (text, option)
        return options
