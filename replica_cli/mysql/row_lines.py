"""Read many rows as text from the socket, and send the rows that a LOAD DATA LOCAL asks for.

The driver makes a packet, a row and a tuple of each row. This module handles millions of rows, of which only the bytes
matter. Hundreds of short texts, such as a server's variables, are read in the same way: they are most of what a short
command reads.
Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymysql.err import MySQLError, OperationalError, raise_mysql_exception  # the number and text of an error packet
from pymysql.protocol import OKPacketWrapper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.driver import DriverConnection

_READ_BYTES = 256 * 1024
_SEND_BYTES = 1024 * 1024
_WHOLE = 0xFFFFFF
_NULL, _EIGHT, _ERROR = 251, 254, 255
# How many bytes the length of a text takes, by the first of them. 0 if the byte does not begin a text, or begins one
# whose length takes eight bytes after it.
_HEADS = {_NULL: 0, 252: 3, 253: 4, _EIGHT: 0, _ERROR: 0}
_LENGTHS = {252: 2, 253: 3}
# The packet at the end of the rows is shorter than any text whose length takes eight bytes after the first.
_END_BYTES = 9
_ONE = ord("1")


@dataclass(slots=True)
class Lines:
    """The rows of one read: their texts, None for NULL. `is_flagged` is True if the flag of any of the rows is 1."""

    texts: list[bytes | None] = field(default_factory=list)
    is_flagged: bool = False


def read_lines(connection: DriverConnection, sql: bytes) -> Iterator[Lines]:
    """Run a query of two columns, a text and a flag of 0 or 1, and yield the rows of each read.

    Raises what the driver raises. If the caller stops reading before the end, the connection is closed.
    """
    _start_query(connection, sql)
    stream, rest, is_over = connection.stream, b"", False
    try:
        while not is_over:
            missing = _missing(rest)
            # A large row is read in one call: if it grew by small reads, it would be copied each time.
            data = stream.read(missing) if missing > _READ_BYTES else stream.read1(_READ_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection in the middle of a query's rows")
            lines = Lines()
            rest, is_over = _cut(rest + data, lines)
            if lines.texts or is_over:
                yield lines
    except MySQLError:
        # An error packet is also the end of the answer.
        is_over = True
        raise
    finally:
        if not is_over:
            connection.drop()


def read_texts(connection: DriverConnection, sql: bytes) -> list[list[str | None]]:
    """Run a query and return its rows, each value as text, None for NULL. Each row must be below 16 MB.

    Raises what the driver raises. If reading stops before the end, the connection is closed.
    """
    _start_query(connection, sql)
    read, is_over = connection.stream.read, False
    rows: list[list[str | None]] = []
    try:
        while not is_over:
            head = read(4)
            row = read(int.from_bytes(head[:3], "little"))
            if not row:
                raise ConnectionResetError("the server closed the connection in the middle of a query's rows")
            if row[0] == _ERROR:
                is_over = True
                raise_mysql_exception(row)
            is_over = row[0] == _EIGHT and len(row) < _END_BYTES
            if not is_over:
                rows.append(_texts(row))
    finally:
        if not is_over:
            connection.drop()
    return rows


def _start_query(connection: DriverConnection, sql: bytes) -> None:
    """Send a query, and read its answer up to the first row."""
    first = connection.start_query(sql)
    if first.is_load_local_packet():
        raise RuntimeError("LOAD_LOCAL")  # the driver raises the same
    columns = first.read_length_encoded_integer() or 0  # None is a NULL, which no server sends here
    for _ in range(columns + 1):  # and the packet that ends the columns
        connection.read_packet()


def _texts(row: bytes) -> list[str | None]:
    texts: list[str | None] = []
    at, end = 0, len(row)
    while at < end:
        length = row[at]
        at += 1
        if length == _NULL:
            texts.append(None)
            continue
        if length > _NULL:
            size = _LENGTHS.get(length, 8)
            length = int.from_bytes(row[at : at + size], "little")
            at += size
        texts.append(row[at : at + length].decode())
        at += length
    return texts


def give_text(connection: DriverConnection, text: bytes) -> tuple[int, int]:
    """Send the text that a LOAD DATA LOCAL asks for; return the number of rows and the number of warnings.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
    """
    connection.forget_result()
    # The driver would open the file that the server asks for.
    if not connection.read_packet().is_load_local_packet():
        raise OperationalError(0, "the server did not ask for the rows of a LOAD DATA LOCAL")
    for begin in range(0, len(text), _SEND_BYTES):
        connection.write_packet(text[begin : begin + _SEND_BYTES])
    connection.write_packet(b"")
    answer = OKPacketWrapper(connection.read_packet())
    return answer.affected_rows, answer.warning_count


def _missing(data: bytes) -> int:
    """Return how many bytes of the row at the beginning are missing, or of the header of its next packet.

    The number is 0 or negative if the row is complete.
    """
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 3], "little")
        at += 4 + length
        if length < _WHOLE:
            return at - len(data)
    return at + 4 - len(data)


def _cut(data: bytes, lines: Lines) -> tuple[bytes, bool]:
    """Move the complete rows of `data` into `lines`; return the rest, and whether the end of the rows was reached."""
    texts = lines.texts
    at, end = 0, len(data)
    while end - at >= 4:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        begin, stop = at + 4, at + 4 + length
        row = data
        if length == _WHOLE:
            if _missing(data[at:]) > 0:
                break
            row, stop = _joined(data, at)
            begin, length = 0, len(row)
        elif stop > end:
            break
        last = begin + length - 1
        head = _HEADS.get(row[begin], 1)
        if head:
            texts.append(row[begin + head : last - 1])
        elif _is_end(row[begin : last + 1], texts):
            return data[stop:], True
        if row[last] == _ONE:
            lines.is_flagged = True
        at = stop
    return data[at:], False


def _is_end(row: bytes, texts: list[bytes | None]) -> bool:
    """Add a NULL or a text of 16 MB and more to `texts`; return True if the row is the end of the rows instead.

    Raises what the driver raises for an error packet.
    """
    if row[0] == _ERROR:
        raise_mysql_exception(row)
    if row[0] == _NULL:
        texts.append(None)
        return False
    if len(row) < _END_BYTES:
        return True
    texts.append(row[_END_BYTES:-2])
    return False


def _joined(data: bytes, at: int) -> tuple[bytes, int]:
    parts = []
    length = _WHOLE
    while length == _WHOLE:
        length = int.from_bytes(data[at : at + 3], "little")
        parts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return b"".join(parts), at
