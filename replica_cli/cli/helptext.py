"""Builds the help texts of commands in one form: what the command does, examples to copy, and exit codes."""

from __future__ import annotations

from replica_cli.core.errors import ExitCode

_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILURE: "unexpected failure",
    ExitCode.USAGE: "wrong use of the command line",
    ExitCode.FOUND: "finished, and found something",
    ExitCode.CONFIGURATION: "configuration missing or wrong (all problems are listed)",
    ExitCode.POSITION: "saved position missing, lost, or of another primary",
    ExitCode.PRIMARY: "primary unreachable or wrongly configured",
    ExitCode.SECONDARY: "a secondary unreachable or wrongly configured",
    ExitCode.REFUSED: "a change could not be applied; stopped there",
    ExitCode.LOCKED: "another process writes to this secondary",
    ExitCode.FENCED: "another process took over while this one was frozen",
    ExitCode.INTERRUPTED: "interrupted before it was finished",
    ExitCode.TERMINATED: "terminated before it was finished",
}


def help_text(
    *paragraphs: str,
    examples: tuple[tuple[str, str], ...],
    exit_codes: tuple[ExitCode, ...] = (),
    meanings: dict[int, str] | None = None,
) -> str:
    r"""Return the help text of a command.

    In the text, `\b` on a line of its own tells typer to keep the lines of the block after it.

    Args:
        paragraphs: what the command does.
        examples: pairs of a comment and a command line.
        exit_codes: the exit codes of the command that have their usual meaning.
        meanings: other exit codes with their meanings; they also replace usual meanings.
    """
    texts = {int(code): _MEANINGS[code] for code in exit_codes} | (meanings or {})
    shown = "\n".join(f"  # {comment}\n  $ {command}" for comment, command in examples)
    codes = "\n".join(f"  {code:<4} {text}" for code, text in sorted(texts.items()))
    # The example block may have no empty line: an empty line ends the block that \b keeps.
    return "\n\n".join((*paragraphs, f"\b\nExamples:\n{shown}", f"\b\nExit codes:\n{codes}"))
