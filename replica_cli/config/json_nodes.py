"""Reads JSON as nodes of YAML, so that the same code reads both, and each value keeps its line.

A YAML parser reads most JSON, but refuses tabs, and makes two characters of an escaped one such as an emoji.
"""

from __future__ import annotations

import json
import re

import yaml

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_TAG = "tag:yaml.org,2002:"


def compose_json(text: str) -> yaml.Node:
    """Return the root of a JSON text.

    Raises:
        ValueError: if it is not JSON.
        RecursionError: if it is nested too deeply.
    """
    # Numbers stay as they are written.
    json.loads(text, parse_int=str, parse_float=str)
    return _Composer(text).value()


class _Composer:
    """Makes the nodes of a text that is known to be JSON, so that each word is one that may be there."""

    def __init__(self, text: str) -> None:
        self._matches = _WORD.finditer(text)
        self._text = text
        self._word = ""
        self._line = self._end = 0
        self._next()

    def value(self) -> yaml.Node:
        """Return the value at the current word, and go on to the word after it."""
        line = yaml.Mark("", 0, self._line, 0, None, 0)
        if self._word == "{":
            pairs = []
            self._next()
            while self._word != "}":
                key = self.value()
                self._next()  # the colon
                pairs.append((key, self.value()))
                self._skip_comma()
            self._next()
            return yaml.MappingNode(f"{_TAG}map", pairs, line, line)
        if self._word == "[":
            items = []
            self._next()
            while self._word != "]":
                items.append(self.value())
                self._skip_comma()
            self._next()
            return yaml.SequenceNode(f"{_TAG}seq", items, line, line)
        word = self._word
        self._next()
        text = json.loads(word) if word.startswith('"') else word
        return yaml.ScalarNode(_TAG + ("null" if word == "null" else "str"), text, line, line)

    def _skip_comma(self) -> None:
        if self._word == ",":
            self._next()

    def _next(self) -> None:
        match = next(self._matches, None)
        if match is None:
            return
        self._line += self._text.count("\n", self._end, match.start())
        self._end, self._word = match.start(), match[0]
