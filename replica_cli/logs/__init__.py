"""Logging: writes tagged records to stderr as text or JSON lines, and to Graylog without waiting for it."""

from replica_cli.logs.records import Tag, log
from replica_cli.logs.redaction import install_redactor, redact
from replica_cli.logs.setup import close_logging, dropped_records, set_level, setup_logging

__all__ = ["Tag", "close_logging", "dropped_records", "install_redactor", "log", "redact", "set_level", "setup_logging"]
