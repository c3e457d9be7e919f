"""Value types and helpers that all other packages use: standard library only, no I/O."""
