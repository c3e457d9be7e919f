"""Plan a copy before anything is written: what the tables are, what exists on the secondary, and what the copy does."""
