"""Decide about the statements of the log, and run them on the secondary."""
