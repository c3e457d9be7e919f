"""A terminal in memory that wraps, and wraps again when its width changes, as tmux and most emulators do."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+")


class Screen:
    """Rows that have been written, oldest first, and the cursor. It knows what our display uses and no more."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._rows: list[str] = [""]
        self._is_wrapped: list[bool] = [False]  # the row goes on in the next one
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """Return the rows without the empty ones at the end."""
        rows = [row.rstrip() for row in self._rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def feed(self, text: str) -> None:
        """Take what a program writes; a line end goes to the first column, as the terminal's driver does it."""
        for token in _TOKEN.finditer(text):
            number, code = token.groups()
            if code == "A":
                self._row = max(0, self._row - int(number or 1))
            elif code == "K":
                assert number == "2"
                self._rows[self._row] = ""
                self._is_wrapped[self._row] = False
            elif code == "m":
                continue
            elif code:
                raise AssertionError(f"{token[0]!r} is not known here")
            elif token[0] == "\r":
                self._column = 0
            elif token[0] == "\n":
                self._end_row(is_wrapped=False)
            else:
                for character in token[0]:
                    self._put(character)

    def resize(self, width: int) -> None:
        """Wrap every line again; the cursor is on an empty row, below which nothing is written."""
        assert self._column == 0
        assert not any(self._rows[self._row :])
        del self._rows[self._row + 1 :], self._is_wrapped[self._row + 1 :]
        lines, line = [], ""
        for row, is_wrapped in zip(self._rows[:-1], self._is_wrapped[:-1], strict=True):
            line += row
            if not is_wrapped:
                lines.append(line)
                line = ""
        self.width = width
        self._rows, self._is_wrapped = [], []
        for line in lines:
            parts = [line[i : i + width] for i in range(0, len(line), width)] or [""]
            self._rows += parts
            self._is_wrapped += [True] * (len(parts) - 1) + [False]
        self._rows.append("")
        self._is_wrapped.append(False)
        self._row = len(self._rows) - 1

    def _put(self, character: str) -> None:
        if self._column == self.width:
            self._end_row(is_wrapped=True)
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _end_row(self, *, is_wrapped: bool) -> None:
        self._is_wrapped[self._row] = is_wrapped
        self._row += 1
        self._column = 0
        if self._row == len(self._rows):
            self._rows.append("")
            self._is_wrapped.append(False)
