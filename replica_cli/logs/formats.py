"""A record as one line: text for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from replica_cli.core.commands import fill
from replica_cli.core.printable import printable, printable_json
from replica_cli.logs.records import fields_of, tag_of
from replica_cli.logs.redaction import redact


class TextFormatter(logging.Formatter):
    """`2026-01-01T00:00:00.000Z [INSERT] [db2] shop.orders 12 row(s) affected (position binlog.000042:1187)`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        parts = [timestamp(record.created), f"[{tag_of(record)}]"]
        fields = fields_of(record)
        if "instance" in fields:
            parts.append(f"[{fields['instance']}]")
        if "table" in fields:
            table = str(fields["table"])
            parts.append(f"{fields['schema']}.{table}" if "schema" in fields else table)
        message = record.getMessage()
        parts.append(message)
        if "position" in fields and not _is_named(str(fields["position"]), message):
            parts.append(f"(position {fields['position']})")
        trace = trace_of(record)
        if trace:
            parts.append(f"| {trace}")
        # One record is one line, whatever a server's message or a table's name holds.
        return printable(fill(redact(" ".join(parts)), instance_of(record)))


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, tag, logger, project, message, and the fields that are there."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        document: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname,
            "tag": tag_of(record),
            "project": self._project,
            "logger": record.name,
            "message": fill(redact(record.getMessage()), instance_of(record)),
        }
        # Values are masked one by one: masking the finished line could eat a quote or a brace.
        document |= {n: redact(v) if isinstance(v, str) else v for n, v in fields_of(record).items()}
        trace = trace_of(record)
        if trace:
            document["trace"] = redact(trace)
        return printable_json(json.dumps(document, ensure_ascii=False, default=lambda value: redact(str(value))))


def _is_named(position: str, message: str) -> bool:
    """Say whether a message names a position, and not one that its digits begin or end."""
    return re.search(rf"(?<![\w.]){re.escape(position)}(?!\d)", message) is not None


def timestamp(seconds: float) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instance_of(record: logging.LogRecord) -> str:
    """Return the instance of a record, empty if it has none."""
    return str(fields_of(record).get("instance", ""))


def trace_of(record: logging.LogRecord) -> str:
    """Return the record's traceback as text, empty where there is none."""
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""
