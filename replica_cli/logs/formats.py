"""Formats a log record as one line: text for people, JSON for machines."""

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
    """Formats a record as one line of text.

    `2026-01-01T00:00:00.000Z [INSERT] [db2] shop.orders 12 row(s) affected (position binlog.000042:1187)`
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, without a line end."""
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
        # The message of a server or the name of a table may contain a line end. A record must stay one line.
        return printable(fill(redact(" ".join(parts)), instance_of(record)))


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line: time, level, tag, project, logger, message, fields and trace."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, without a line end."""
        document: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname,
            "tag": tag_of(record),
            "project": self._project,
            "logger": record.name,
            "message": fill(redact(record.getMessage()), instance_of(record)),
        }
        # Each value is masked alone: a mask on the finished line could replace a quote or a brace of the JSON.
        document |= {n: redact(v) if isinstance(v, str) else v for n, v in fields_of(record).items()}
        trace = trace_of(record)
        if trace:
            document["trace"] = redact(trace)
        return printable_json(json.dumps(document, ensure_ascii=False, default=lambda value: redact(str(value))))


def _is_named(position: str, message: str) -> bool:
    """Return True if a message contains the position, and not as a part of a longer one."""
    return re.search(rf"(?<![\w.]){re.escape(position)}(?!\d)", message) is not None


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as an RFC 3339 time in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instance_of(record: logging.LogRecord) -> str:
    """Return the instance of a record, empty if the record has none."""
    return str(fields_of(record).get("instance", ""))


def trace_of(record: logging.LogRecord) -> str:
    """Return the traceback of a record as text, empty if there is none."""
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""
