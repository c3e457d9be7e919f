"""The variables that systemd gives to a service."""

from __future__ import annotations

import os

import pytest

from replica_cli.config.service_variables import ServiceVariables, take_service_variables

OWN = str(os.getpid())


@pytest.mark.parametrize(
    ("environ", "taken"),
    [
        ({}, ServiceVariables()),
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, ServiceVariables("/run/systemd/notify")),
        ({"NOTIFY_SOCKET": "@abc", "WATCHDOG_USEC": "1500000"}, ServiceVariables("@abc", 1.5)),
        ({"NOTIFY_SOCKET": "@abc", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": OWN}, ServiceVariables("@abc", 1.5)),
        ({"NOTIFY_SOCKET": "@abc", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, ServiceVariables("@abc")),
        ({"NOTIFY_SOCKET": "@abc", "WATCHDOG_USEC": "often"}, ServiceVariables("@abc")),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1500000"}, ServiceVariables()),
        ({"WATCHDOG_USEC": "1500000"}, ServiceVariables()),
    ],
)
def test_the_variables_are_read_and_are_gone_then(environ: dict[str, str], taken: ServiceVariables) -> None:
    given = {"MARIA_USER": "replica", **environ}
    assert take_service_variables(given) == taken
    assert given == {"MARIA_USER": "replica"}
