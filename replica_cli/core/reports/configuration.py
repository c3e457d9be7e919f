"""The results of `replica config check` and `replica config show`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingReport:
    """One setting that is in effect.

    Attributes:
        name: its name in the configuration file.
        variable: its environment variable, empty if it has none.
        value: its text, None if it has no value; a secret is masked.
        source: the kind of source: option, environment, .env, file or default.
        origin: the option, the variable, or the file and the line; empty for a default.

    """

    name: str
    variable: str
    value: str | None
    source: str
    origin: str


@dataclass(frozen=True, slots=True)
class ConfigurationReport:
    """A configuration without problems.

    Attributes:
        file: the configuration file, empty if there is none.
        primary: the name of the primary.
        secondaries: the names of the secondaries.
        warnings: what is probably not meant.

    """

    file: str
    primary: str
    secondaries: tuple[str, ...]
    warnings: tuple[str, ...]
