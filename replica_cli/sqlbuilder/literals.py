"""Literals that mean the same in every session: no escapes, no charset of the connection."""

from __future__ import annotations


def text_literal(text: str) -> str:
    """Return text as a utf8mb4 literal; hex, so that no sql_mode and no quote can change it."""
    return f"_utf8mb4 x'{text.encode().hex()}'"


def hex_literal(value: bytes) -> str:
    """Return bytes as a binary literal."""
    return f"x'{value.hex()}'"
