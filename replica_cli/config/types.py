"""The types of settings: how the text of a value becomes the value, and what an editor may suggest for it.

Each value is text, also in the configuration file: `5s`, `4MiB` and `no` mean the same in every source.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import core_schema

from replica_cli.config import parsers
from replica_cli.core.settings import Secret

if TYPE_CHECKING:
    from enum import StrEnum

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

Parser = Callable[[str], Any]
JsonSchema = dict[str, Any]

_NUMBER_OR_TEXT: JsonSchema = {"type": ["integer", "string"]}
# Any value that is one text: an editor that reads YAML takes `12345` for a number.
ANY_TEXT: JsonSchema = {"type": ["string", "number", "boolean"]}
_REFERENCE: JsonSchema = {"type": "string", "pattern": r"\$\{"}


class Text:
    """The annotation of a setting that is one text.

    Args:
        parse: returns the value of a stripped text, or raises ValueError with what is wrong with it.
        schema: the JSON Schema of the setting in a configuration file.
        keeps_blanks: the text is not stripped.

    """

    def __init__(self, parse: Parser, schema: JsonSchema, *, keeps_blanks: bool = False) -> None:
        self._parse = parse
        self._schema = schema
        self._keeps_blanks = keeps_blanks

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema that pydantic validates with."""
        return core_schema.no_info_plain_validator_function(self._value)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """Return the JSON Schema."""
        return dict(self._schema)

    def _value(self, given: object) -> Any:
        if given is None:  # the default of a setting without one
            return None
        if not isinstance(given, str):
            raise ValueError("has parts of its own, and must be one value")  # noqa: TRY004 - pydantic reports ValueError
        return self._parse(given if self._keeps_blanks else given.strip())


class Texts(Text):
    """The annotation of a setting that is a list of texts; in a variable the items are separated by commas.

    Args:
        parse: returns the value of the tuple of stripped texts, or raises ValueError.

    """

    def __init__(self, parse: Callable[[tuple[str, ...]], Any]) -> None:
        super().__init__(str, {"anyOf": [{"type": "array", "items": ANY_TEXT}, ANY_TEXT]})
        self._parse_all = parse

    def _value(self, given: object) -> Any:
        if given is None:
            return ()
        if isinstance(given, str):
            given = (given,)
        if not isinstance(given, tuple | list) or not all(isinstance(item, str) for item in given):
            raise ValueError("must be a list of texts")
        # An item of a list may be a reference to a variable, which is a list with commas itself.
        return self._parse_all(parsers.all_full([part for item in given for part in parsers.items(item)]))


def choice(kind: type[StrEnum]) -> Text:
    """Return the annotation of a setting that is a value of an enumeration."""
    return Text(parsers.choice(kind), words_schema(*kind))


def words_schema(*words: str) -> JsonSchema:
    """Return the JSON Schema of some words: an editor suggests them, and accepts them in any case and a reference."""
    letters = "|".join("".join(_any_case(char) for char in word) for word in words)
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^(?:{letters})$"}, _REFERENCE]}


def _any_case(char: str) -> str:
    if char == "-":
        return "[_-]"
    return f"[{char.upper()}{char.lower()}]" if char.isalpha() else char


def number(low: int, high: int) -> Text:
    """Return the annotation of a whole number."""
    return Text(parsers.whole_number(low, high), {**_NUMBER_OR_TEXT, "minimum": low, "maximum": high})


def size(low: int, high: int) -> Text:
    """Return the annotation of a number of bytes."""
    return Text(parsers.size_between(low, high), _NUMBER_OR_TEXT)


def duration(parse: Parser) -> Text:
    """Return the annotation of a duration in seconds."""
    return Text(parse, {"type": ["number", "string"]})


Seconds = Annotated[float, duration(parsers.positive_duration)]
SecondsOrZero = Annotated[float, duration(parsers.duration)]
Count = Annotated[int, number(1, 1_000_000)]
CountOrZero = Annotated[int, number(0, 1_000_000)]
Port = Annotated[int, number(1, 65535)]
Bool = Annotated[bool, Text(parsers.boolean, {"type": ["boolean", "integer", "string"]})]
Name = Annotated[str, Text(str, ANY_TEXT)]
Host = Annotated[str, Text(parsers.host, ANY_TEXT)]
Folder = Annotated[Path, Text(Path, ANY_TEXT)]
ReadableFile = Annotated[Path | None, Text(Path, ANY_TEXT)]
SecretText = Annotated[Secret, Text(Secret, ANY_TEXT, keeps_blanks=True)]
