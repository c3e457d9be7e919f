"""What each process that writes to a secondary needs: sessions, status, heartbeat, checks before the start, and copies.

Used by the worker of a stream, by the re-sync of tables while the stream runs, and by `replica transfer`.
"""
