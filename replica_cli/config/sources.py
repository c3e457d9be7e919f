"""Finds the text of each variable: in the options, then in the environment, then in `.env`; secrets also in files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from replica_cli.config.dotfile import read_dotfile, warn_of_readers
from replica_cli.config.variables import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replica_cli.config.overrides import Overrides

T = TypeVar("T")
PREFIXES = ("MARIA_", "REPLICA_", "GRAYLOG_", "TRANSFER_")


class SecretText(NamedTuple):
    """The plain text of a secret, and whether it was read from a file."""

    text: str
    is_from_file: bool


def process_environment() -> Mapping[str, str]:
    """Return the environment of the process. No other code reads it."""
    return os.environ  # noqa: TID251 - this is the only use


class Sources:
    """The sources of variables' texts, and the problems so far. Reading never raises an error: it adds a problem."""

    def __init__(self, overrides: Overrides, environ: Mapping[str, str], dotenv: Path) -> None:
        self._options = overrides.by_variable()
        dotfile = read_dotfile(dotenv)
        self.problems: list[str] = dotfile.problems
        self.warnings: list[str] = dotfile.warnings
        self._file = dotfile.values
        # The first layer wins. That is the environment, even if a shell exported an old .env into it.
        self._layers: tuple[Mapping[str, str], ...] = (environ, self._file)

    def text(self, name: str) -> str | None:
        """Return the stripped text of a variable, None if it is not set or empty."""
        assert_known(name)
        if name in self._options:
            return self._options[name][0].strip()
        return next((v for layer in self._layers if (v := layer.get(name, "").strip())), None)

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed value of a variable; if `parse` raises ValueError, add a problem and return the default."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.complain(name, str(error))
            return default

    def secret(self, name: str) -> SecretText | None:
        """Return the unchanged text of a secret, from the variable or from the file that `<name>_FILE` names.

        The result is None if neither is set. A variable that is set and empty is an empty secret. Problems never
        contain the text.
        """
        file_name = f"{name}_FILE"
        assert_known(name)
        for layer in self._layers:
            path = layer.get(file_name, "").strip()
            if path and layer.get(name):
                self.complain(file_name, f"{name} is set as well: keep one of the two")
            if path:
                return SecretText(self._read_secret(file_name, path), is_from_file=True)
            if name in layer:
                return SecretText(layer[name], is_from_file=False)
        return None

    def secret_file(self, name: str) -> str | None:
        """Return the text of the file that a variable names, None if the variable is not set."""
        path = self.text(name)
        return None if path is None else self._read_secret(name, path)

    def complain(self, name: str, problem: str) -> None:
        """Add a problem with the name that the user typed: the option if it was given, else the variable."""
        self.problems.append(f"{self._options[name][1] if name in self._options else name}: {problem}")

    def unknown_names(self) -> list[str]:
        """Return the names that have a prefix of `replica` and are not variables of `replica`."""
        names = {n for layer in self._layers for n in layer if n.startswith(PREFIXES[:2])}
        # In the `.env` file such a name can only be meant for `replica`, so wrong case and dashes are found as well.
        names |= {n for n in self._file if _as_variable(n).startswith(PREFIXES)}
        return sorted(n for n in names - NAMES if not n.startswith("REPLICA_TEST_"))

    def _read_secret(self, file_name: str, path: str) -> str:
        try:
            text = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
        except OSError as error:
            self.complain(file_name, f"{path}: {error.strerror or type(error).__name__}")
            return ""
        except UnicodeDecodeError:
            self.complain(file_name, f"{path}: is not UTF-8 text")
            return ""
        if not text:
            self.complain(file_name, f"{path}: is empty")
        if "\0" in text:
            self.complain(file_name, f"{path}: holds a NUL: save it as UTF-8 text")
        if warning := warn_of_readers(Path(path)):
            self.warnings.append(f"{file_name}: {warning}")
        return text


def _as_variable(name: str) -> str:
    return name.upper().replace("-", "_").replace(".", "_")


def assert_known(name: str) -> None:
    """Raise AssertionError for a name that is not in VARIABLES: it would be missing in the documents too."""
    if name not in NAMES:
        raise AssertionError(f"{name} is not in config/variables.py")
