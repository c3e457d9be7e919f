"""Requests of other threads to a running stream: the same code as SIGHUP, in the main thread, with an answer."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from unittest.mock import Mock

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.metrics import Newest
from replica_cli.core.reporter import SilentReporter
from replica_cli.core.reports.reload import Change, ReloadReport
from replica_cli.supervisor import control as control_module
from replica_cli.supervisor.control import NotStreaming, StreamControl
from replica_cli.supervisor.signal_requests import SignalRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.supervisor.control import ControlRequest


SETTINGS = load_settings(None, {"MARIA_SECONDARY_HOSTS": "db2"}, Path("no such folder/.env"))
LAG, ID = Change("REPLICA_MAX_LAG", "60s", "5s"), Change("MARIA_SERVER_ID", "100", "7")
CHANGED = ReloadReport(replace(SETTINGS, max_lag_seconds=5.0), (LAG,), (ID,))


class Stream:
    """A supervisor without workers' processes: a thread that answers when it is woken."""

    def __init__(self, reload: Callable[[], ReloadReport] | None) -> None:
        self.control = StreamControl(SETTINGS)
        self.worker = Mock()
        self.worker.config.settings = SETTINGS
        self._woken = threading.Event()
        self._is_over = False
        self.is_attached = threading.Event()
        self._requests = SignalRequests(self._woken.set, self.control)
        self._thread = threading.Thread(target=self._run, args=(reload,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._woken.set()
        self._thread.join()

    def _run(self, reload: Callable[[], ReloadReport] | None) -> None:
        with self.control.attached(self._woken.set, lambda: Newest(())):
            self.is_attached.set()
            while not self._is_over:
                self._woken.wait()
                self._woken.clear()
                self._requests.answer([self.worker], SilentReporter(), reload)


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    logger = logging.getLogger("replica_cli")
    before = logger.level
    logger.setLevel("INFO")
    yield
    logger.setLevel(before)


def test_a_reload_returns_what_was_taken_and_what_was_not(caplog: pytest.LogCaptureFixture) -> None:
    with Stream(lambda: CHANGED) as stream:
        stream.is_attached.wait()
        result = stream.control.reload("POST /api/v1/reload")
    assert (result.taken, result.refused) == ((LAG,), (ID,))
    stream.worker.take.assert_called_once_with(result.settings)
    assert stream.control.settings.max_lag_seconds == 5.0
    assert "POST /api/v1/reload: new values in use: REPLICA_MAX_LAG 60s -> 5s" in caplog.text


def test_wrong_settings_are_the_error_of_the_thread_that_asked() -> None:
    def fail() -> ReloadReport:
        raise ConfigurationError(("REPLICA_MAX_LAG: wrong",))

    with Stream(fail) as stream:
        stream.is_attached.wait()
        with pytest.raises(ConfigurationError, match="wrong"):
            stream.control.reload("a test")
        assert [c.name for c in stream.control.set_level("ERROR", "a test").taken] == ["REPLICA_LOG_LEVEL"]
    assert stream.worker.take.call_args.args[0].logging.level == "ERROR"


def test_an_error_of_a_reload_by_signal_does_not_end_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> ReloadReport:
        raise RecursionError("too deep")

    requests = SignalRequests(lambda: None)
    requests.request_reload("SIGHUP")
    requests.answer([Mock(config=Mock(settings=SETTINGS))], SilentReporter(), fail)
    text = "SIGHUP: the settings cannot be read, the old ones stay in use: RecursionError: too deep"
    assert text in caplog.text


def test_a_level_lasts_until_the_next_reload_also_if_that_changes_nothing() -> None:
    with Stream(lambda: ReloadReport(SETTINGS)) as stream:
        stream.is_attached.wait()
        stream.worker.take.side_effect = lambda settings: setattr(stream.worker.config, "settings", settings)
        stream.control.set_level("ERROR", "a test")
        assert stream.worker.config.settings.logging.level == "ERROR"
        assert list(map(str, stream.control.reload("a test").taken)) == ["REPLICA_LOG_LEVEL ERROR -> INFO"]
    assert stream.worker.config.settings.logging.level == "INFO"


def test_the_same_level_changes_nothing() -> None:
    with Stream(None) as stream:
        stream.is_attached.wait()
        assert stream.control.set_level("INFO", "a test").taken == ()
        with pytest.raises(NotStreaming):
            stream.control.reload("a test")
    stream.worker.take.assert_not_called()


@pytest.mark.parametrize(("is_taken", "late"), [(False, "nothing is changed"), (True, "may still be applied")])
def test_a_request_that_waited_too_long_says_if_it_may_still_be_applied(
    *, is_taken: bool, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "_PATIENCE_SECONDS", 0.05)
    control = StreamControl(SETTINGS)
    taken: list[ControlRequest] = []
    wake = (lambda: taken.extend(control.take())) if is_taken else (lambda: None)
    with control.attached(_in_thread(wake), lambda: Newest(())):
        with pytest.raises(NotStreaming, match=late):
            control.reload("a test")
        # The supervisor does not do what it said was not changed, and can answer what it has begun.
        assert control.take() == ()
        for request in taken:
            request.answer.set_result(CHANGED)


def _in_thread(wake: Callable[[], None]) -> Callable[[], None]:
    return lambda: threading.Thread(target=wake).start()


def test_without_a_stream_a_request_is_refused_at_once_and_at_its_end_those_that_wait() -> None:
    control = StreamControl(SETTINGS)
    with pytest.raises(NotStreaming):
        control.reload("a test")
    asked = threading.Event()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            control.reload("a test")
        except NotStreaming as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    with control.attached(asked.set, lambda: Newest(())):
        thread.start()
        assert asked.wait(10)
    thread.join(10)
    assert [str(e) for e in errors] == ["the stream ends"]
