"""Tests, the benchmark (`python -m tests.bench`) and torture (`python -m tests.torture`)."""
