"""Build the statements and queries that write, read, compare and find rows."""
