"""A paused stream: it has nothing in flight, and it waits until a resume or a stop."""

from __future__ import annotations

import threading
import time
from unittest.mock import Mock

from replica_cli.core.status import Phase
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker.pause import hold


def test_a_paused_stream_has_nothing_in_flight_and_its_end_is_noticed_at_once() -> None:
    has_paused = threading.Event()
    publisher = StatusPublisher("db1", lambda status: has_paused.set() if status.phase is Phase.PAUSED else None)
    publisher.set_lag(5.0, grows=True, heard_at=time.monotonic())
    stop = StopToken()
    stop.pause()
    thread = threading.Thread(target=hold, args=(Mock(), publisher, stop))
    thread.start()
    assert has_paused.wait(60)
    assert (publisher.waiting_seconds, publisher.status.lag_seconds) == (0.0, None)
    stop.pause(is_wanted=False)
    thread.join()
    assert publisher.status.phase is Phase.STARTING
