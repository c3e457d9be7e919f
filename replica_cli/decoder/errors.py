"""Define the errors that only the decoder raises."""

from __future__ import annotations

from replica_cli.core.errors import ApplyRefused


class ColumnAbsent(ApplyRefused):
    """A wanted column is not in the row image, because binlog_row_image is not FULL."""

    code = "column_absent"
