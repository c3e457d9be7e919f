"""What ends one run of a contestant without ending the benchmark."""

from __future__ import annotations


class RunFailed(Exception):
    """A contestant did not do its work, or did it wrong: the report says so, and the benchmark exits with 1."""


class Missing(Exception):
    """A program that a contestant needs is not installed: the contestant is left out, and the report says so."""
