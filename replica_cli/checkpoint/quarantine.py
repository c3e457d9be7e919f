"""Quarantine tables: store the reason and the position, and log each table once with the command to type.

No other module does this.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.core.quarantine_texts import copy_advice, is_copy_refused
from replica_cli.core.wording import short_reason
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
    """Write the records of quarantined tables, all of them at once, and log each. Raises ServerError.

    `advice` returns what to type, if the table does not come back by a copy.
    """
    store.save(*records)
    for record in records:
        name = record.name
        log(
            logger, level, Tag.SKIPPED, "is quarantined: %s; %s", short_reason(record.reason, name), advice(record),
            instance=instance, schema=name.schema, table=name.table, position=record.start,
        )  # fmt: skip
