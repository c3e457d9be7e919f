"""Read the commands in the documents' shell blocks and between backquotes, and compare them with the command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from replica_cli.cli.app import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_PLACEHOLDER = re.compile(r"%s|\{[^}]*\}|…|\"|'")


def shell_lines(document: Path) -> list[str]:
    """Return the `replica …` lines of a document's shell blocks, without comments and redirections.

    Also of blocks that are indented, because they belong to a step of a list.
    """
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for _, block in blocks for line in block.splitlines()]
    return [line.partition(">")[0].strip() for line in lines if line.startswith("replica ")]


def words_of(line: str) -> list[str]:
    """Return a line's words after `replica`."""
    return shlex.split(line, comments=True)[1:]


def mentions(text: str) -> list[str]:
    """Return the texts between backquotes that begin with `replica `, without the parts that are filled in later."""
    return [_PLACEHOLDER.sub(" ", found) for found in re.findall(r"`(replica [^`\n]+)`", text)]


def commands() -> dict[str, Any]:
    """Return every command by its words, groups left out."""
    found: dict[str, Any] = {}

    def visit(command: Any, words: tuple[str, ...]) -> None:
        if not hasattr(command, "list_commands"):
            found[" ".join(words)] = command
            return
        context = typer.Context(command)
        for name in command.list_commands(context):
            visit(command.get_command(context, name), (*words, name))

    visit(typer.main.get_command(app), ())
    return found


def fault(mention: str) -> str | None:
    """Return what is wrong with a mentioned command line, None where nothing is."""
    known = commands()
    words = mention.split()[1:]
    if not words or words[0].startswith("-"):
        return None
    groups = {name.split()[0] for name in known if " " in name}
    length = 2 if words[0] in groups else 1
    name = " ".join(words[:length])
    if name not in known:
        # A group alone, as in "`replica position`", is a fair name for its commands.
        return None if words == [words[0]] and words[0] in groups else f"no command {name!r}"
    options = {o for p in known[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    wrong = [w for w in words[length:] if w.startswith("-") and w.split("=")[0] not in options]
    return f"{name} has no {', '.join(wrong)}" if wrong else None
