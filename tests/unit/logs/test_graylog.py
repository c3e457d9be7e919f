"""What arrives at a receiver of GELF, what is cut or dropped, and that the number of dropped records is known."""

from __future__ import annotations

import io
import logging
import random
import socket
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Graylog, Logging, Secret
from replica_cli.logs import Tag, close_logging, dropped_records, install_redactor, log, setup_logging
from replica_cli.logs.graylog import GraylogHandler
from tests.support.command import wait_until
from tests.support.gelf import Chunks, GelfReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("replica_cli.applier.test")
PROTOCOLS = ("udp", "tcp")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    level = logging.root.level
    yield
    close_logging()
    install_redactor([])
    logging.captureWarnings(capture=False)
    logging.root.setLevel(level)
    logging.getLogger("replica_cli").setLevel(logging.NOTSET)


def start(protocol: str, port: int, *, host: str = "127.0.0.1", timeout_seconds: float = 5.0) -> io.StringIO:
    stream = io.StringIO()
    graylog = Graylog(is_enabled=True, host=host, port=port, protocol=protocol, timeout_seconds=timeout_seconds)
    setup_logging(Logging(graylog=graylog), stream=stream)
    return stream


def handler() -> GraylogHandler:
    return next(each for each in logging.root.handlers if isinstance(each, GraylogHandler))


def say(message: str) -> None:
    log(logger, logging.INFO, Tag.INFO, "%s", message)


def noise(characters: int) -> str:
    """Return text that hardly becomes smaller when it is compressed."""
    chance = random.Random(7)
    return "".join(chr(chance.randrange(0x4E00, 0x9F00)) for _ in range(characters))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_arrive_with_their_fields_and_no_secret(protocol: str) -> None:
    install_redactor([Secret("geheim")])
    with GelfReceiver(protocol) as graylog:
        start(protocol, graylog.port)
        log(logger, logging.INFO, Tag.INSERT, "%d row(s) affected by %s", 12, "geheim", instance="db2", schema="shop",
            table="orders", rows=12, position="binlog.000042:1187")  # fmt: skip
        wait_until(lambda: graylog.documents, "the record")
    (found,) = graylog.documents
    assert found["host"] == "binlog-sync"
    assert found["level"] == 6
    assert found["short_message"] == "12 row(s) affected by ***"
    assert {k: v for k, v in found.items() if k.startswith("_")} == {
        "_tag": "INSERT", "_instance": "db2", "_schema": "shop", "_table": "orders", "_rows": 12,
        "_position": "binlog.000042:1187", "_project": "naluconcept",
    }  # fmt: skip


def test_a_record_that_is_larger_than_a_datagram_arrives_in_chunks() -> None:
    text = noise(20_000)
    with GelfReceiver("udp") as graylog:
        start("udp", graylog.port)
        say(text)
        wait_until(lambda: graylog.documents, "the record")
    assert graylog.messages() == [text]
    assert graylog.datagrams > 20


def test_the_receiver_takes_chunks_in_any_order() -> None:
    chunks = Chunks()
    parts = [b"\x1e\x0f" + b"12345678" + bytes([number, 3]) + text for number, text in enumerate((b"a", b"b", b"c"))]
    assert [chunks.take(parts[number]) for number in (2, 0)] == [None, None]
    assert chunks.take(b"{}") == b"{}"
    assert chunks.take(parts[1]) == b"abc"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_very_large_record_is_cut(protocol: str) -> None:
    with GelfReceiver(protocol) as graylog:
        stream = start(protocol, graylog.port)
        extra = {"position": "uuid:1-5," * 5000, "instance": "db2"}
        logger.error("%s", noise(500_000), exc_info=ValueError(noise(300_000)), extra=extra)
        say("the next one")
        wait_until(lambda: len(graylog.documents) == 2, "both records")
    large, after = graylog.documents
    assert large["short_message"].startswith(noise(1000))
    assert large["short_message"].endswith("… (468000 more characters)")
    assert large["full_message"].endswith(" more characters)")
    assert large["_position"].endswith("… (37000 more characters)")
    assert large["_instance"] == "db2"
    assert after["short_message"] == "the next one"
    assert handler().dropped == 0
    assert "GELF" not in stream.getvalue()


def test_a_record_of_too_many_chunks_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replica_cli.logs.graylog._LONGEST_TEXT", 1_000_000)
    before = dropped_records() or 0
    with GelfReceiver("udp") as graylog:
        stream = start("udp", graylog.port)
        say(noise(500_000))
        say("the next one")
        wait_until(lambda: graylog.documents, "the record after the large one")
        wait_until(lambda: "1 record(s) dropped, 1 in all" in stream.getvalue(), "the report")
        assert (dropped_records() or 0) - before == 1
        close_logging()
    assert graylog.messages() == ["the next one"]
    assert (dropped_records() or 0) - before == 1
    # The large text is on stderr once, as the record itself: no warning of a library repeats it.
    assert len(stream.getvalue().splitlines()) == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_graylog_may_have_an_ipv6_address(protocol: str) -> None:
    with GelfReceiver(protocol, family=socket.AF_INET6) as graylog:
        start(protocol, graylog.port, host="::1")
        say("over IPv6")
        wait_until(lambda: graylog.documents, "the record")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_with_both_addresses_means_ipv4(protocol: str) -> None:
    with GelfReceiver(protocol) as graylog:
        start(protocol, graylog.port, host="localhost")
        say("by name")
        wait_until(lambda: graylog.documents, "the record")


def test_no_record_is_lost_while_graylog_starts_again() -> None:
    with GelfReceiver("tcp") as graylog:
        stream = start("tcp", graylog.port)
        say("before")
        wait_until(lambda: graylog.documents, "the record")
    # The connection is closed by the other side: the kernel would take a record, and lose it.
    for number in range(5):
        say(f"meanwhile {number}")
    with GelfReceiver("tcp", port=graylog.port) as again:
        say("after")
        wait_until(lambda: len(again.documents) == 6, "the records")
    assert again.messages() == [*(f"meanwhile {number}" for number in range(5)), "after"]
    assert handler().dropped == 0
    assert "dropped" not in stream.getvalue()


def test_records_that_do_not_fit_the_queue_are_counted_and_named_and_then_records_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("replica_cli.logs.graylog.QUEUE_RECORDS", 10)
    before = dropped_records() or 0
    with GelfReceiver("tcp") as graylog:
        stream = start("tcp", graylog.port)
        say("before")
        wait_until(lambda: graylog.documents, "the record")
    for number in range(50):
        say(f"meanwhile {number}")
    wait_until(lambda: " record(s) dropped, " in stream.getvalue(), "the report")
    with GelfReceiver("tcp", port=graylog.port) as again:
        wait_until(lambda: len(again.documents) >= 10, "the records of the queue")
        say("after")
        wait_until(lambda: "after" in again.messages(), "the record after them")
        close_logging()
    arrived = len(again.documents) - 1
    assert arrived in {10, 11}  # the thread may have taken one of them before the queue was full
    assert (dropped_records() or 0) - before == 50 - arrived


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_dead_or_silent_graylog_never_blocks_and_what_is_lost_is_counted(*, is_listening: bool) -> None:
    with socket.socket() as graylog:
        graylog.bind(("127.0.0.1", 0))
        if is_listening:
            graylog.listen(0)
        stream = start("tcp", graylog.getsockname()[1], timeout_seconds=0.5)
        made = handler()
        # If calls waited for the socket, half a second each, this would take hours.
        for _ in range(15_000):
            say("x" * 1000)
        close_logging()
    assert made.dropped > 1000
    assert f"{made.dropped} in all" in stream.getvalue()
    assert stream.getvalue().count("record(s) dropped") <= 3
