"""Write `transfer_progress_<instance>.json`, which shows people how far a copy is. The copy never depends on it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.core.status import TableState
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from replica_cli.core.status import TableProgress

logger = logging.getLogger(__name__)


class ProgressFile:
    """The progress file of one instance.

    If its folder is full, read-only or missing, that is logged once and the copy goes on.
    """

    def __init__(self, folder: Path, instance: str) -> None:
        self._file = folder / f"transfer_progress_{instance}.json"
        self._instance = instance
        self._has_warned = False

    def write(self, tables: Mapping[str, TableProgress], current_schema: str) -> None:
        """Write the progress of the tables, by their names. An error of the file system is only logged."""
        schemas: dict[str, bool] = {}
        for name, table in tables.items():
            schema = name.partition(".")[0]
            schemas[schema] = schemas.get(schema, True) and table.state is TableState.COPIED
        document = {
            "DatabasesProcessed": [schema for schema, is_done in schemas.items() if is_done],
            "CurrentDatabase": current_schema,
            "TablesProcessed": {name: table.rows_copied for name, table in tables.items()},
            "LastCheckpoint": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        # The file is written under another name and then renamed: a reader never sees half of it. Other users may not
        # read it.
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(document, indent=2), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            if not self._has_warned:
                self._has_warned = True
                log(
                    logger, logging.WARNING, Tag.WARN, "%s cannot be written (%s): the copy goes on without it",
                    self._file, error.strerror or type(error).__name__, instance=self._instance,
                )  # fmt: skip
