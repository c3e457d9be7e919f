"""A package for `python -m tests.bench` alone: without this file any installed package named `tests` would win."""
