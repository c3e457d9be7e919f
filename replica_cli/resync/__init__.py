"""Re-sync: copy tables while the stream runs, until the stream takes them over.

A thread of the worker runs it, with connections of its own to both servers. The steps of a table: it is copied; a
catch-up applies its changes from the start of the copy; in the hand-over the stream waits at a transaction boundary,
the catch-up applies up to exactly that position, and the stream goes on with the table. `runtime.copying` makes the
copy, as it does without a running stream.
"""
