"""Do two things at the same time, such as questions to two servers that are both far away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

First = TypeVar("First")
Second = TypeVar("Second")


def side_by_side(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Return the results of both functions. The first runs in the caller's thread, the second in a thread of its own.

    Raises the error of a function after both have ended: that of the first before that of the second.
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
        first_answer = first()
    finally:
        thread.join()
    if errors:
        raise errors[0]
    return first_answer, answers[0]
