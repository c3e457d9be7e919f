"""Two things done at the same time, such as questions to two servers that are both far away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

First = TypeVar("First")
Second = TypeVar("Second")


def side_by_side(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Return what both return; the second one runs in a thread.

    Raises what one of them raises, once both have ended: the first one's error before the second one's.
    """
    answers: list[Second] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(second())
        except BaseException as error:  # noqa: BLE001 - a thread cannot raise to its caller, which does it below
            errors.append(error)

    thread = threading.Thread(target=run, name="side by side", daemon=True)
    thread.start()
    try:
        found = first()
    finally:
        thread.join()
    if errors:
        raise errors[0]
    return found, answers[0]
