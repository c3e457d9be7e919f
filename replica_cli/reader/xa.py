"""XA_PREPARE events.

Layout: MySQL's control_events.h (XA_prepare_event): one-phase flag, format id, lengths of gtrid and bqual, their bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from replica_cli.core.errors import CorruptEvent


@dataclass(frozen=True, slots=True)
class XaPrepared:
    """`xid` is written as servers write it in their XA statements: X'gtrid',X'bqual',format."""

    is_one_phase: bool
    xid: bytes


def parse_xa_prepare(body: bytes) -> XaPrepared:
    """Read an XA_PREPARE event's body. Raises CorruptEvent."""
    if len(body) < 13:
        raise CorruptEvent(f"an XA_PREPARE event of {len(body)} bytes")
    one_phase, format_id, gtrid_length, bqual_length = struct.unpack_from("<BIII", body)
    gtrid = body[13 : 13 + gtrid_length]
    bqual = body[13 + gtrid_length : 13 + gtrid_length + bqual_length]
    return XaPrepared(bool(one_phase), f"X'{gtrid.hex()}',X'{bqual.hex()}',{format_id}".encode())
