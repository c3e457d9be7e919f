"""Where a variable's text comes from: options over the environment over `.env`, and files for secrets."""

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
    """A secret before it is wrapped, and whether a file held it."""

    text: str
    is_from_file: bool


def process_environment() -> Mapping[str, str]:
    """Return the process's environment: the only place that reads it."""
    return os.environ  # noqa: TID251 - this is the one place


class Sources:
    """The layers of text, and every problem met so far. Reading never raises: problems are gathered."""

    def __init__(self, overrides: Overrides, environ: Mapping[str, str], dotenv: Path) -> None:
        self._options = overrides.by_variable()
        found = read_dotfile(dotenv)
        self.problems: list[str] = found.problems
        self.warnings: list[str] = found.warnings
        self._file = found.values
        # Highest first. The environment wins, also where it is set by a shell that exported an old .env.
        self._layers: tuple[Mapping[str, str], ...] = (environ, self._file)

    def text(self, name: str) -> str | None:
        """Return a variable's text without outer blanks, None where it is not set or empty."""
        assert_known(name)
        if name in self._options:
            return self._options[name][0].strip()
        return next((v for layer in self._layers if (v := layer.get(name, "").strip())), None)

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return a variable's value; where its text is refused (ValueError), note why and return the default."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.complain(name, str(error))
            return default

    def secret(self, name: str) -> SecretText | None:
        """Return a secret's text as it is, from the variable or the file named by `<name>_FILE`.

        Set but empty is an empty secret. The text never gets into a problem.
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

    def complain(self, name: str, problem: str) -> None:
        """Note a problem under the name that the user typed: the option's, else the variable's."""
        self.problems.append(f"{self._options[name][1] if name in self._options else name}: {problem}")

    def unknown_names(self) -> list[str]:
        """Return names with one of our prefixes that mean nothing to us."""
        names = {n for layer in self._layers for n in layer if n.startswith(PREFIXES[:2])}
        # Also in the wrong case, or with dashes: in our own file such a name can only mean us.
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
    """Refuse to read a variable that the list does not have: it would be missing from the documents too."""
    if name not in NAMES:
        raise AssertionError(f"{name} is not in config/variables.py")
