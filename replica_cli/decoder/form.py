"""What is wanted from a row image: which columns, and as what kind of literal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Form(Enum):
    """What a literal is for: VALUE is put into the column, KEY is compared with it by an index.

    RAW is no literal but what the event holds, numbers or bytes: it tells rows of one table apart.
    """

    VALUE = "value"
    KEY = "key"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Output:
    """One literal of the result; `ordinal` is the column's number in the table map."""

    ordinal: int
    form: Form
