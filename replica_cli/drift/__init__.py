"""Drift: where the two catalogs differ, and the SQL that ends it."""
