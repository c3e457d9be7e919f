"""A package for `python -m tests.bench` and `python -m tests.torture` alone.

Without this file any installed package named `tests` would win.
"""
