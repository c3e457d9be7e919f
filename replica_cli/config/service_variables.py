"""Read what systemd tells a service in its environment: where to send notes, and how often the watchdog wants one.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html and sd_watchdog_enabled.html
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from replica_cli.config.environment import process_environment

if TYPE_CHECKING:
    from collections.abc import MutableMapping


@dataclass(frozen=True, slots=True)
class ServiceVariables:
    """The address of the socket, empty if systemd wants no notes; the watchdog's interval in seconds, 0 without one."""

    socket: str = ""
    watchdog_seconds: float = 0.0


def take_service_variables(environ: MutableMapping[str, str] | None = None) -> ServiceVariables:
    """Return the variables and remove them, because they are not meant for the processes that this one starts.

    Args:
        environ: the environment, None for that of this process.

    """
    if environ is None:
        environ = cast("MutableMapping[str, str]", process_environment())
    socket = environ.pop("NOTIFY_SOCKET", "")
    microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    is_meant = pid in {"", str(os.getpid())}
    seconds = int(microseconds) / 1e6 if microseconds.isdecimal() and is_meant else 0.0
    # Other forms of an address (vsock) are those of virtual machines.
    return ServiceVariables(socket, seconds) if socket[:1] in {"/", "@"} else ServiceVariables()
