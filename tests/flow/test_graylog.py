"""A stream that sends its log to Graylog: the fields, records of several datagrams, and a Graylog that starts again."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

from tests.support.command import wait_until
from tests.support.gelf import GelfReceiver

if TYPE_CHECKING:
    from tests.support.command import Replica


def prepare(replica: Replica, protocol: str, port: int) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.settings |= {
        "GRAYLOG_ENABLED": "true",
        "GRAYLOG_ENDPOINT": f"127.0.0.1:{port}",
        "GRAYLOG_PROTOCOL": protocol,
    }


def about_t(receiver: GelfReceiver) -> list[dict[str, Any]]:
    return [d for d in tuple(receiver.documents) if d.get("_table") == "t" and "_rows" in d]


def rows(receiver: GelfReceiver) -> int:
    return sum(document["_rows"] for document in about_t(receiver))


def test_each_line_about_rows_arrives_with_its_fields_also_in_chunks(replica: Replica) -> None:
    with GelfReceiver("udp") as graylog:
        prepare(replica, "udp", graylog.port)
        # Each record is longer than a datagram by this field, in which each character is another one.
        source = "".join(map(chr, range(0x4E00, 0x4E00 + 2500)))
        replica.settings["GRAYLOG_SOURCE"] = source
        stream = replica.stream()
        replica.on_primary("INSERT INTO t VALUES (1), (2), (3)", "DELETE FROM t WHERE id > 1")
        replica.wait_until_applied(stream)
        wait_until(lambda: {d["_tag"] for d in about_t(graylog)} == {"INSERT", "DELETE"}, "both lines")
        assert stream.end(signal.SIGTERM).code == 0
        # What was logged last, at the end, is sent before the process ends.
        wait_until(lambda: any("stopped" in d["short_message"] for d in graylog.documents), "the last line")
    inserted, deleted = about_t(graylog)
    assert {name: inserted[name] for name in ("host", "level", "_tag", "_instance", "_schema", "_table", "_rows")} == {
        "host": source, "level": 6, "_tag": "INSERT", "_instance": "db1", "_schema": replica.schema, "_table": "t",
        "_rows": 3,
    }  # fmt: skip
    assert deleted["_rows"] == 2
    assert re.fullmatch(r"\S+\.\d+:\d+", inserted["_position"])
    assert graylog.datagrams > 2 * len(graylog.documents)


def test_records_go_on_when_graylog_is_back_and_those_that_are_lost_are_named(replica: Replica) -> None:
    with GelfReceiver("tcp") as graylog:
        prepare(replica, "tcp", graylog.port)
        stream = replica.stream()
        replica.on_primary("INSERT INTO t VALUES (1), (2)")
        wait_until(lambda: rows(graylog) == 2, "the first line")
    replica.on_primary("INSERT INTO t VALUES (3), (4), (5)")
    stream.wait_for_log(r"\.t 3 row\(s\) affected")
    with GelfReceiver("tcp", port=graylog.port) as again:
        replica.on_primary("INSERT INTO t VALUES (6)")
        wait_until(lambda: rows(again) == 4, "the lines of the time without Graylog, and of the time after it")
    assert "dropped" not in stream.stderr
    replica.on_primary("INSERT INTO t VALUES (7)")
    replica.wait_until_applied(stream)
    ended = stream.end(signal.SIGTERM)
    assert ended.code == 0
    assert re.search(r"Graylog does not answer or is too slow: \d+ record\(s\) dropped, \d+ in all\n", ended.stderr)
