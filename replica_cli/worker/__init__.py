"""The process of one secondary: it connects, copies missing tables, streams, and decides what to do about errors.

The supervisor starts one worker process for each secondary. The threads of the process:

- The main thread takes transactions from the queue and applies them (`worker`, `streaming`).
- The reader thread reads the primary's binary log into the queue.
- The prefetch thread reads the rows of a large batch a little before the applier, so that disk waits overlap.
- The heartbeat thread writes the status to the secondary. The lock watch thread asks what a waiting batch waits for.
- The health monitor thread checks both servers each half minute.
- The messages thread waits for the supervisor's messages and for SIGTERM.
- The re-sync thread copies tables while the stream runs, with copy workers and a reader thread of its own.
"""
