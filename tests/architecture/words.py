"""Find words that the glossary does not allow in prose and messages, and names that say nothing in the program.

`tests/run.sh checks` runs it (`python -m tests.architecture.words`), and `test_words.py` shows that it finds each word.
A line of its output names the file, the line, the word, and what to write.

Of Python files it reads docstrings, comments, and other string constants with a space in them; of Markdown files all
except code. A word inside backticks is a name, and a word in capitals belongs to a statement of a server.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

WORDS = (
    # words, what to write. Between two words of a phrase there may be the end of a line.
    # Terms that the glossary has another word for:
    (("master", "masters"), "primary"),
    (("slave", "slaves"), "secondary"),
    (("source server", "target server"), "primary, secondary"),
    (("ours", "theirs"), "the noun, with its owner: primary, secondary, replica"),
    (("on its way", "on their way", "flying"), "in flight"),
    (("set aside", "sets aside"), "quarantined"),
    (("pursuit",), "catch-up"),
    (("handover", "handovers"), "hand-over"),
    (("resync", "resyncs", "resynced"), "re-sync"),
    (("recopy", "recopies", "recopied"), "re-copy"),
    # Words that a reader whose first language is another one looks up, or reads twice:
    (("anew",), "again"),
    (("so many",), "the number of, how many"),
    (("in hand",), "the noun, and where it is"),
    (("hence", "thus", "thereby", "whereby"), "so"),
    (("whence", "wherein", "whereof", "thereof", "therein"), "from which, in which, of it, in it"),
    (("whilst",), "while"),
    (("lest",), "so that not"),
    (
        ("is told", "are told", "was told", "were told", "be told", "been told"),
        "reported, logged; or who knows it",
    ),
    (("stand", "stands", "stood"), "is, are, was"),
    # The actor has a name:
    (("whoever",), "the program, server, user or thread that does it"),
    (("nobody",), "no program, no user; or say what is not done"),
)

NAMES = {
    # In names of the program's code these say nothing: what to name it by.
    "found": "what was found: rows, definitions, tables",
    "there": "what exists, or where: existing, secondary_tables",
    "here": "where: position, secondary",
    "ours": "whose: primary_columns, own_lines",
    "theirs": "whose: secondary_columns",
    "place": "index, position, offset, folder",
    "goal": "end, target position",
    "mark": "position, flag",
}

HARMLESS = (
    # Phrases with one of the words that are plain English.
    "is told apart",
    "are told apart",
    "be told apart",
    "stand by",
)

ALLOWED: dict[tuple[str, str], str] = {
    # (file, word as it is written): the reason. An entry that is not needed is reported.
    ("tests/unit/sqlbuilder/test_statement.py", "slave"): "the text of a server's dummy event",
}

_FOLDERS = ("replica_cli", "docs", "tests")
# These two have the words on purpose.
_OWN_FILES = ("tests/architecture/words.py", "tests/architecture/test_words.py")
_FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "example.env")
_INSTEAD = {word: instead for words, instead in WORDS for word in words}
# Between words may be the end of a line, and the sign of a comment. The whole is no part of a name.
_SEARCHED = "|".join(sorted((*_INSTEAD, *HARMLESS), key=len, reverse=True)).replace(" ", r"[\s#]+")
_PATTERN = re.compile(rf"(?<![\w\-])({_SEARCHED})(?![\w\-\\])", re.IGNORECASE)
_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")
_CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->", re.DOTALL)


class Use(NamedTuple):
    """A word that is used, and what to write."""

    line: int
    word: str
    instead: str


def uses_in_text(text: str) -> list[Use]:
    """Return the words in a text that is read, such as a Markdown file."""
    # Code is replaced by as many lines, so that the numbers of the lines after it stay.
    prose = _CODE.sub(lambda code: "`" + "\n" * code[0].count("\n"), text)
    return [
        Use(prose.count("\n", 0, match.start()) + 1, word, _INSTEAD[word.lower()])
        for match in _PATTERN.finditer(prose)
        if (word := " ".join(match[0].split())).lower() in _INSTEAD and not word.isupper()
    ]


def uses_in_python(text: str) -> list[Use]:
    """Return the words in the docstrings, comments and messages of a Python file."""
    if not _PATTERN.search(text):  # most files: parsing them takes long
        return []
    prose = [*_strings(text), *_comments(text)]
    return sorted(use._replace(line=line + use.line - 1) for line, part in prose for use in uses_in_text(part))


def _strings(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments with their first lines; one of several lines is one text."""
    first, last, parts = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if parts and token.start[0] != last + 1:
            yield first, "\n".join(parts)
            parts = []
        first, last = (first if parts else token.start[0]), token.start[0]
        parts.append(token.string.lstrip("# "))
    if parts:
        yield first, "\n".join(parts)


def names_in_python(text: str) -> list[Use]:
    """Return the names of a Python file that say nothing."""
    if not _NAME.search(text):
        return []
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [Use(t.start[0], t.string, NAMES[t.string]) for t in tokens if t.type == tokenize.NAME and t.string in NAMES]


def paths() -> list[Path]:
    """Return the files that are read."""
    trees = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md"}]
    read = [path for path in trees if not path.relative_to(ROOT).as_posix().startswith(_OWN_FILES)]
    return sorted(read) + [ROOT / name for name in _FILES]


def problems() -> list[str]:
    """Return a line for each word that is used without a reason, and for each reason that is not needed."""
    lines, needed = [], set()
    for path in paths():
        name = str(path.relative_to(ROOT))
        text = path.read_text()
        uses = uses_in_python(text) if path.suffix == ".py" else uses_in_text(text)
        if name.startswith("replica_cli/"):
            uses += names_in_python(text)
        for use in uses:
            if (name, use.word) in ALLOWED:
                needed.add((name, use.word))
            else:
                lines.append(f"{name}:{use.line}: '{use.word}': write: {use.instead}")
    lines += [f"{name}: '{word}' is in ALLOWED and is not used" for name, word in sorted(set(ALLOWED) - needed)]
    return lines


if __name__ == "__main__":
    lines = problems()
    for line in lines:
        print(line)
    sys.exit(1 if lines else 0)  # noqa: TID251 - a program of its own
