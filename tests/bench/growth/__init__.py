"""`python -m tests.bench growth`: how cost grows with tables, rows, links, secondaries and idle time."""
