"""Define what a caller wants from a row image: which columns, and as which kind of literal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Form(Enum):
    """The purpose of a literal: a VALUE is written into the column, a KEY is compared with the column through an index.

    RAW is not a literal. It is what the event holds: a number, bytes, or None for NULL. It serves to tell the rows of a
    table apart.
    """

    VALUE = "value"
    KEY = "key"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Output:
    """One literal of the result; `ordinal` is the column's number in the table map, from 0."""

    ordinal: int
    form: Form
