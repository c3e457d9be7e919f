"""Read length-encoded integers, which the protocol and the binary log use.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
"""

from __future__ import annotations


def read_lenenc(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at an offset, and the offset after it. Raises IndexError if it is cut or not one."""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    if not width or at + 1 + width > len(data):
        raise IndexError(f"no length-encoded integer at {at}")
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width
