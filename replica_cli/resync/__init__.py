"""Copies of tables beside a running stream, until the stream takes them over without a gap.

A table is copied, then a catch-up applies its changes from the start of the copy, then the hand-over: the stream stops
at a transaction boundary, the catch-up applies up to exactly there, and the stream goes on with the table.
"""
