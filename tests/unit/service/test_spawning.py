"""A worker process from its first moment on, before it has any orders."""

from __future__ import annotations

import signal

from replica_cli.service.spawning import spawn


def test_ctrl_c_is_the_supervisors_from_the_first_moment() -> None:
    process, pipe = spawn()
    # It goes to every process of the terminal, and this one has not even begun to load its modules.
    process.send_signal(signal.SIGINT)
    pipe.close()
    assert process.wait(30) == 0  # no orders came
