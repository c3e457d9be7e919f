"""Conditions that only the decoder meets."""

from __future__ import annotations

from replica_cli.core.errors import ApplyRefused


class ColumnAbsent(ApplyRefused):
    """A column is asked for that the row image does not carry (binlog_row_image is not FULL)."""

    code = "column_absent"
