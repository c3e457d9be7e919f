"""Defines the tag and the fields of log records: instance, schema, table, rows and position."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position

FIELDS = ("instance", "schema", "table", "rows", "position")


class Tag(StrEnum):
    """The tag of a log record: the prefix of its line, and the field `_tag` in Graylog."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    WARN = "WARN"
    PANIC = "PANIC"
    RETRY = "RETRY"
    DRIFT = "DRIFT"
    SKIPPED = "SKIPPED"
    FAILURE = "FAILURE"
    HEALTH = "HEALTH"
    TRANSFER = "TRANSFER"
    VERIFY = "VERIFY"
    INFO = "INFO"
    ROTATE = "ROTATE"
    RECONNECT = "RECONNECT"

    @classmethod
    def of(cls, level: int) -> Tag:
        """Return the tag that has no other meaning than the level: INFO, WARN or ERROR."""
        return cls.ERROR if level >= logging.ERROR else cls.WARN if level >= logging.WARNING else cls.INFO


def log(
    logger: logging.Logger,
    level: int,
    tag: Tag,
    message: str,
    *args: object,
    instance: str | None = None,
    schema: str | None = None,
    table: str | None = None,
    rows: int | None = None,
    position: Position | str | None = None,
    subject: str | None = None,
) -> None:
    """Log one record with its fields; `message` and `args` are as in `logging`.

    Records with the same `subject` repeat each other, such as attempts to reconnect: above a live display only one of
    them in five minutes is shown.
    """
    if not logger.isEnabledFor(level):
        return
    fields = {"instance": instance, "schema": schema, "table": table, "rows": rows}
    extra: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
    if position is not None:
        extra["position"] = str(position)
    if subject is not None:
        extra["subject"] = subject
    logger.log(level, message, *args, extra={"tag": str(tag), **extra}, stacklevel=2)


def tag_of(record: logging.LogRecord) -> str:
    """Return the tag of a record; for a record of a library, which has none, a tag made from its level."""
    tag = getattr(record, "tag", None)
    if tag is not None:
        return str(tag)
    if record.levelno >= logging.CRITICAL:
        return str(Tag.PANIC)
    return str(Tag.of(record.levelno)) if record.levelno >= logging.INFO else "DEBUG"


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields that a record has, in the order of FIELDS."""
    values = {name: getattr(record, name, None) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}
