from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.position import Position
from replica_cli.core.settings import LogFormat, Logging, Secret
from replica_cli.logs import Tag, close_logging, install_redactor, log, setup_logging
from replica_cli.logs.formats import TextFormatter
from replica_cli.logs.redaction import redact

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


def _fail(message: str) -> None:
    raise ValueError(message)


def written(form: LogFormat, verbosity: int = 0) -> io.StringIO:
    stream = io.StringIO()
    setup_logging(Logging(format=form), verbosity, stream=stream)
    return stream


def test_a_line_of_text_begins_with_time_tag_instance_and_table() -> None:
    record = logging.makeLogRecord(
        {"created": 1767225600.0, "msg": "%d row(s) affected", "args": (12,), "tag": "INSERT", "instance": "db2",
         "schema": "shop", "table": "orders", "position": "binlog.000042:1187"}
    )  # fmt: skip
    assert TextFormatter().format(record) == (
        "2026-01-01T00:00:00.000Z [INSERT] [db2] shop.orders 12 row(s) affected (position binlog.000042:1187)"
    )


def test_a_position_that_the_sentence_names_is_not_repeated() -> None:
    place = Position("binlog.000042", 1187)
    record = logging.makeLogRecord(
        {"created": 1767225600.0, "msg": "streaming from %s", "args": (place,), "tag": "INFO", "position": place}
    )
    assert TextFormatter().format(record) == "2026-01-01T00:00:00.000Z [INFO] streaming from binlog.000042:1187"
    for named in ("binlog.000042:11875", "db.binlog.000042:1187"):
        record.args = (named,)
        assert TextFormatter().format(record).endswith(f"from {named} (position binlog.000042:1187)")


def test_a_record_is_one_line_even_with_a_trace() -> None:
    stream = written(LogFormat.TEXT)
    try:
        _fail("first\nsecond")
    except ValueError:
        logger.exception("it\nfailed")
    assert stream.getvalue().count("\n") == 1
    assert r"it\nfailed | Traceback" in stream.getvalue()
    assert "[ERROR]" in stream.getvalue()


def test_json_lines_carry_the_fields() -> None:
    stream = written(LogFormat.JSON)
    log(logger, logging.INFO, Tag.UPDATE, "%d row(s) affected", 3, instance="db2", schema="shop", table="orders",
        rows=3, position=Position("binlog.000042", 1187))  # fmt: skip
    document = json.loads(stream.getvalue())
    assert document.pop("time").endswith("Z")
    assert document == {
        "level": "INFO", "tag": "UPDATE", "project": "naluconcept", "logger": "replica_cli.applier.test",
        "message": "3 row(s) affected", "instance": "db2", "schema": "shop", "table": "orders", "rows": 3,
        "position": "binlog.000042:1187",
    }  # fmt: skip


@pytest.mark.parametrize(("verbosity", "expected"), [(-2, []), (-1, ["e"]), (0, ["e", "i"]), (1, ["e", "i", "d"])])
def test_verbosity(verbosity: int, expected: list[str]) -> None:
    stream = written(LogFormat.JSON, verbosity)
    log(logger, logging.ERROR, Tag.ERROR, "e")
    log(logger, logging.INFO, Tag.INFO, "i")
    log(logger, logging.DEBUG, Tag.INFO, "d")
    logging.getLogger("somebody.else").info("never")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == expected


@pytest.mark.parametrize("secret", ["s3cret", 'it\'s "quoted" \\ back', "p@ss/wörd+1", "%d percent"])
@pytest.mark.parametrize("form", list(LogFormat))
def test_no_form_of_a_secret_is_written(secret: str, form: LogFormat) -> None:
    install_redactor([Secret(secret)])
    stream = written(form)
    logger.info("plain %s repr %r bytes %r", secret, secret, secret.encode())
    log(logger, logging.INFO, Tag.INFO, "connected", instance=secret)
    logger.error("%s", [secret])
    try:
        _fail(secret)
    except ValueError:
        logger.exception("failed")
    text = stream.getvalue()
    assert "***" in text
    for shown in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], repr(secret.encode())[2:-1]):
        assert shown not in text


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    install_redactor([Secret("db")])
    assert redact("password db of dbase, db2") == "password *** of dbase, db2"


def test_the_public_default_is_left_alone() -> None:
    install_redactor([Secret("replica"), Secret("")])
    assert redact("run `replica stream`") == "run `replica stream`"
