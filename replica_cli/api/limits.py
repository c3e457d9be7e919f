"""Limits of requests: how many a client may make, and how large their bodies may be."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from replica_cli.api.errors import HttpError, TooLarge, TooMany

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope

# Clients that are remembered. A client that is forgotten begins with a full bucket, which lets it make a few more.
_MOST_CLIENTS = 1000
# How many requests may come at once, in seconds of the rate.
_BURST_SECONDS = 2.0


class TokenBucket:
    """A rate limit that allows bursts."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = per_second, max(1.0, burst), clock
        self._level, self._filled_at = self._burst, clock()

    def take(self) -> float:
        """Take one, and return 0; or return in how many seconds there is one again."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level < 1:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


class ClientLimits:
    """A bucket for each client address; of a Unix socket all clients share one."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = per_second, clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def check(self, client: str) -> None:
        """Count a request of a client. Raises TooMany if it makes too many."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = TokenBucket(self._rate, self._rate * _BURST_SECONDS, self._clock)
            if len(self._buckets) > _MOST_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        check_bucket(bucket)


def check_bucket(bucket: TokenBucket) -> None:
    """Take one from a bucket. Raises TooMany if it is empty."""
    if seconds := bucket.take():
        raise TooMany("too many requests", hint=f"try again in {seconds:.1f} s")


async def read_body(scope: Scope, receive: Receive, limit: int) -> Receive:
    """Read the whole body of a request, and return a function that gives it to the application.

    A body in chunks has no length in its head, so it is counted while it is read. Raises TooLarge.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > len(str(limit)) or int(announced) > limit):
        raise _too_large(limit)
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HttpError("the request ended before its body was complete")
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            break
    first: list[Message] = [{"type": "http.request", "body": bytes(parts), "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body of the request is larger than {limit} bytes")
