"""Make, from a row image of the log, the same text of a row that a server makes of it (sqlbuilder/rows/row_texts).

So a row that changes all the time is compared with what the log says that it was at the position of the snapshot.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING

from replica_cli.decoder.form import Form, Output
from replica_cli.decoder.json_binary import json_text
from replica_cli.sqlbuilder.rows.row_digests import unquoted
from replica_cli.sqlbuilder.rows.row_texts import CURRENT, WELL_KNOWN_POINT, TextForm, unmeasured_bytes
from replica_cli.sqlbuilder.statements.system_versioning import LAST_MOMENTS
from replica_cli.verify.sides import with_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn, ValueText


class ImageTexts:
    """Hashes row images of one table as the secondary hashes its rows."""

    def __init__(self, columns: Sequence[ComparedColumn], ordinals: Sequence[int], *, logs_json: bool) -> None:
        """Prepare for some columns.

        Args:
            columns: the compared columns on the secondary.
            ordinals: the number of each column in the row image.
            logs_json: documents that are text on the other server are JSON on the primary.
        """
        self._is_json_logged = logs_json
        self._texts = tuple(c.text for c in columns)
        self._shorts = tuple(_FUNCTIONS.get(text.form) for text in self._texts)
        unmeasured = unmeasured_bytes(self._texts)
        self._has_short = tuple(t.has_short and number != unmeasured for number, t in enumerate(self._texts))
        self.outputs = tuple(
            Output(ordinal, Form.RAW if self._is_raw(text) else Form.VALUE)
            for ordinal, text in zip(ordinals, self._texts, strict=True)
        )

    def _is_raw(self, text: ValueText) -> bool:
        return text.form is TextForm.DOCUMENT or (text.is_document_across and self._is_json_logged)

    @property
    def is_complete(self) -> bool:
        """Return True if the hash can be made of an image, False if only a server can make one of the texts."""
        return all(self._shorts)  # a function each

    def hash_of(self, row: Sequence[bytes | None]) -> str:
        """Return the hash of a row, from the values of `outputs`."""
        shorts, values, longs, documents = [], [], [], []
        for text, short, has_short, literal in zip(self._texts, self._shorts, self._has_short, row, strict=True):
            value = None if literal == b"NULL" else literal
            if text.is_document_across:
                documents.append(None if value is None else self._document(value))
                continue
            made = text.null.encode() if value is None or short is None else short(text, value)
            if text.is_long:
                longs.append(made)
                continue
            if has_short:
                shorts.append(made)
            if text.value and value is not None:
                values.append(_bytes_of(text, value))
        joined = b"#".join([*shorts, *values]) if shorts else b"#"
        row_hash = hashlib.sha256(joined + b"".join(longs)).hexdigest()
        return with_documents(row_hash, documents) if documents else row_hash

    def _document(self, value: bytes) -> bytes:
        return json_text(value) if self._is_json_logged else unquoted(value)


def _number(text: ValueText, literal: bytes) -> bytes:
    if not text.digits:
        return literal
    whole, _, fraction = literal.partition(b".")
    return whole + b"." + fraction.ljust(text.digits, b"0")


def _bytes_of(text: ValueText, literal: bytes) -> bytes:
    if text.form is TextForm.REAL:
        return WELL_KNOWN_POINT.pack(0, 1, 1, float(literal), 0.0)
    if text.form is TextForm.REAL_WITHOUT_SIGN_OF_ZERO:
        return WELL_KNOWN_POINT.pack(0, 1, 1, float(literal) + 0.0, 0.0)
    return unquoted(literal)


def _not_null(_: ValueText, __: bytes) -> bytes:
    return b"0"


def _rounded_real(text: ValueText, literal: bytes) -> bytes:
    value = float(literal)
    shortest = Decimal(repr(value))
    # A server does not write more digits than those that distinguish the number: it appends zeros. Fewer are rounded.
    exact = Decimal(value) if -int(shortest.as_tuple().exponent) > text.digits else shortest
    return f"{exact:.{text.digits}f}".encode()


def _rounded_real_without_sign_of_zero(text: ValueText, literal: bytes) -> bytes:
    return _rounded_real(text, b"0" if not float(literal) else literal)


def _moment(text: ValueText, literal: bytes) -> bytes:
    made = unquoted(literal)
    whole, _, fraction = made.partition(b".")
    return whole + b"." + fraction.ljust(text.digits, b"0") if text.digits else made


def _last_moment(_: ValueText, literal: bytes) -> bytes:
    made = unquoted(literal)
    return CURRENT.encode() if made.decode() in LAST_MOMENTS.values() else made


def _hexadecimal(_: ValueText, literal: bytes) -> bytes:
    return unquoted(literal).hex().upper().encode()


def _length(_: ValueText, literal: bytes) -> bytes:
    return b"%d" % len(unquoted(literal))


def _hashed(_: ValueText, literal: bytes) -> bytes:
    return hashlib.sha256(unquoted(literal)).hexdigest().encode()


def _document(_: ValueText, document: bytes) -> bytes:
    return hashlib.sha256(json_text(document)).hexdigest().encode()


_FUNCTIONS: dict[TextForm, Callable[[ValueText, bytes], bytes]] = {
    TextForm.NUMBER: _number,
    TextForm.REAL: _not_null,
    TextForm.REAL_WITHOUT_SIGN_OF_ZERO: _not_null,
    TextForm.ROUNDED_REAL: _rounded_real,
    TextForm.ROUNDED_REAL_WITHOUT_SIGN_OF_ZERO: _rounded_real_without_sign_of_zero,
    TextForm.MOMENT: _moment,
    TextForm.LAST_MOMENT: _last_moment,
    TextForm.HEXADECIMAL: _hexadecimal,
    TextForm.BYTES: _length,
    TextForm.HASHED: _hashed,
    TextForm.DOCUMENT: _document,
    TextForm.DOCUMENT_ACROSS: _document,  # not called: it has no short text
}
