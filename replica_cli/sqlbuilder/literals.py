"""Write values as literals that mean the same in every session, whatever its sql_mode and its charset."""

from __future__ import annotations


def text_literal(text: str) -> str:
    """Return text as a utf8mb4 literal. It is hexadecimal, so no sql_mode and no quote in the text can change it."""
    return f"_utf8mb4 x'{text.encode().hex()}'"


def hex_literal(value: bytes) -> str:
    """Return bytes as a binary literal."""
    return f"x'{value.hex()}'"
