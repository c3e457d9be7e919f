"""The one place that sets tables aside: recorded with reason and position, and said once with the next command."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.core.quarantine import copy_advice, is_copy_refused
from replica_cli.core.wording import told_once
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.checkpoint.tables import TableRecord, TableStore

logger = logging.getLogger(__name__)


def _copy_advice(record: TableRecord) -> str:
    return copy_advice([record.name], is_refused=is_copy_refused(record.reason))


def quarantine(
    store: TableStore,
    records: Sequence[TableRecord],
    *,
    instance: str,
    advice: Callable[[TableRecord], str] = _copy_advice,
    level: int = logging.ERROR,
) -> None:
    """Write the records of tables that are set aside, all of them at once, and log each.

    `advice` returns what to type, if a copy is not what brings the table back. Raises ServerError.
    """
    store.save(*records)
    for record in records:
        name = record.name
        log(
            logger, level, Tag.SKIPPED, "is quarantined: %s; %s", told_once(record.reason, name), advice(record),
            instance=instance, schema=name.schema, table=name.table, position=record.start,
        )  # fmt: skip
