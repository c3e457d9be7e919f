"""What a process that writes to a secondary works with: sessions, status, heartbeat, checks before the start.

The stream's worker, the re-sync of tables beside the stream, and `replica transfer` use it.
"""
