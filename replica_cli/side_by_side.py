"""Do several things at the same time, such as questions to two servers that are both far away.

The threads are daemons: one that waits for a server which no longer answers does not keep the process from ending. The
threads of a ThreadPoolExecutor would, as the interpreter joins all of them at its end.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

First = TypeVar("First")
Second = TypeVar("Second")
Result = TypeVar("Result")


def side_by_side(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Return the results of both functions. The first runs in the caller's thread, the second in a thread of its own.

    Raises the error of a function after both have ended: that of the first before that of the second.
    """
    with in_threads((second,)) as (other,):
        first_answer = first()
    return first_answer, other.result()


@contextlib.contextmanager
def in_threads(functions: Iterable[Callable[[], Result]]) -> Iterator[Sequence[Future[Result]]]:
    """Run each function in a thread of its own while the context lasts, and wait for all of them at its end.

    The futures have the results, or the errors.
    """
    futures: list[Future[Result]] = []
    threads: list[threading.Thread] = []
    try:
        for function in functions:
            future: Future[Result] = Future()
            thread = threading.Thread(target=run_into, args=(future, function), name="side by side", daemon=True)
            thread.start()
            threads.append(thread)
            futures.append(future)
        yield futures
    finally:
        for thread in threads:
            thread.join()


def run_into(future: Future[Result], function: Callable[[], Result]) -> None:
    """Run a function, and let a future have its result or its error; do nothing if the future is cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        answer = function()
    except BaseException as error:  # noqa: BLE001 - a thread cannot raise to its caller, which reads the future
        future.set_exception(error)
    else:
        future.set_result(answer)
