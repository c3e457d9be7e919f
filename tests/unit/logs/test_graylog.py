from __future__ import annotations

import io
import json
import logging
import socket
import zlib
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Graylog, Logging, Secret
from replica_cli.logs import Tag, close_logging, install_redactor, log, setup_logging
from replica_cli.logs.graylog import GraylogHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("replica_cli.applier.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    level = logging.root.level
    yield
    close_logging()
    install_redactor([])
    logging.captureWarnings(capture=False)
    logging.root.setLevel(level)
    logging.getLogger("replica_cli").setLevel(logging.NOTSET)


def test_records_arrive_over_udp_with_their_fields_and_no_secret() -> None:
    install_redactor([Secret("geheim")])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as graylog:
        graylog.bind(("127.0.0.1", 0))
        graylog.settimeout(5)
        _start(Graylog(is_enabled=True, host="127.0.0.1", port=graylog.getsockname()[1]))
        log(logger, logging.INFO, Tag.INSERT, "%d row(s) affected by %s", 12, "geheim", instance="db2", schema="shop",
            table="orders", rows=12, position="binlog.000042:1187")  # fmt: skip
        found = json.loads(zlib.decompress(graylog.recv(65535)))
    assert found["host"] == "binlog-sync"
    assert found["short_message"] == "12 row(s) affected by ***"
    assert {k: v for k, v in found.items() if k.startswith("_")} == {
        "_tag": "INSERT", "_instance": "db2", "_schema": "shop", "_table": "orders", "_rows": 12,
        "_position": "binlog.000042:1187", "_project": "naluconcept",
    }  # fmt: skip


def test_records_arrive_over_tcp_ended_by_a_null_byte() -> None:
    with socket.create_server(("127.0.0.1", 0)) as graylog:
        _start(Graylog(is_enabled=True, host="127.0.0.1", port=graylog.getsockname()[1], protocol="tcp"))
        log(logger, logging.WARNING, Tag.WARN, "over tcp")
        connection, _ = graylog.accept()
        with connection:
            connection.settimeout(5)
            data = b""
            while not data.endswith(b"\0"):
                data += connection.recv(65536)
    assert json.loads(data[:-1])["short_message"] == "over tcp"


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_dead_or_silent_graylog_never_blocks_and_what_is_lost_is_counted(*, is_listening: bool) -> None:
    stream = io.StringIO()
    with socket.socket() as graylog:
        graylog.bind(("127.0.0.1", 0))
        if is_listening:
            graylog.listen(0)
        port = graylog.getsockname()[1]
        settings = Graylog(is_enabled=True, host="127.0.0.1", port=port, protocol="tcp", timeout_seconds=0.5)
        setup_logging(Logging(graylog=settings), stream=stream)
        handler = next(h for h in logging.root.handlers if isinstance(h, GraylogHandler))
        # If calls waited for the socket, half a second each, this would take hours.
        for _ in range(15_000):
            log(logger, logging.INFO, Tag.INFO, "x" * 1000)
        close_logging()
    assert handler.dropped > 1000
    assert f"{handler.dropped} in all" in stream.getvalue()
    assert stream.getvalue().count("record(s) dropped") <= 3


def _start(graylog: Graylog) -> None:
    setup_logging(Logging(graylog=graylog), stream=io.StringIO())
