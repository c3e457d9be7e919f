"""Read the XA transactions of the log: the events that prepare one, and the statements that start or complete one.

Layouts: MySQL's control_events.h (XA_prepare_event): one-phase flag, format id, lengths of gtrid and bqual, gtrid and
bqual. MariaDB's log_event.h (Gtid_log_event): the format id and what follows it, after the GTID event's flags, with
lengths of one byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from replica_cli.core.errors import CorruptEvent
from replica_cli.core.events import XaPhase, XaStep
from replica_cli.reader.parsers.event_types import MARIADB_COMPLETED_XA, MARIADB_GROUP_COMMIT_ID, MARIADB_PREPARED_XA

_MARIADB_FIXED = 13
_WORDS = {
    b"XA START": XaPhase.PREPARE,
    b"XA COMMIT": XaPhase.COMMIT,
    b"XA ROLLBACK": XaPhase.ROLLBACK,
}


@dataclass(frozen=True, slots=True)
class XaPrepared:
    """The content of an XA_PREPARE event.

    `xid` has the form that servers use in their XA statements: X'gtrid',X'bqual',format. `is_one_phase` says that the
    event commits the transaction too.
    """

    is_one_phase: bool
    xid: str


def parse_xa_prepare(body: bytes) -> XaPrepared:
    """Read the body of MySQL's XA_PREPARE event. Raises CorruptEvent if it is cut."""
    if len(body) < 13:
        raise CorruptEvent(f"an XA_PREPARE event has only {len(body)} bytes")
    one_phase, format_id, gtrid_length, bqual_length = struct.unpack_from("<BIII", body)
    return XaPrepared(bool(one_phase), _xid(body, 13, format_id, gtrid_length, bqual_length))


def prepared_by_gtid(body: bytes, flags: int) -> XaStep | None:
    """Return the PREPARE step if the group of a MariaDB GTID event prepares an XA transaction, else None.

    Raises:
        CorruptEvent: the event has no complete XA id.
    """
    if not flags & MARIADB_PREPARED_XA or flags & MARIADB_COMPLETED_XA:
        return None
    at = _MARIADB_FIXED + (8 if flags & MARIADB_GROUP_COMMIT_ID else 0)
    if len(body) < at + 6:
        raise CorruptEvent(f"a GTID event of {len(body)} bytes has no XA id")
    format_id, gtrid_length, bqual_length = struct.unpack_from("<IBB", body, at)
    return XaStep(XaPhase.PREPARE, _xid(body, at + 6, format_id, gtrid_length, bqual_length))


def parse_xa_statement(text: bytes) -> XaStep | None:
    """Read XA START, XA COMMIT or XA ROLLBACK as servers log them; return None for any other text."""
    for words, phase in _WORDS.items():
        if text.startswith(words + b" "):
            return XaStep(phase, text[len(words) + 1 :].decode("ascii", "backslashreplace").strip())
    return None


def _xid(body: bytes, at: int, format_id: int, gtrid_length: int, bqual_length: int) -> str:
    gtrid = body[at : at + gtrid_length]
    bqual = body[at + gtrid_length : at + gtrid_length + bqual_length]
    if len(gtrid) + len(bqual) != gtrid_length + bqual_length:
        raise CorruptEvent("an XA id is cut")
    return f"X'{gtrid.hex()}',X'{bqual.hex()}',{format_id}"
