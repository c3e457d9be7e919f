"""The process of one secondary: it connects, copies what is missing, streams, and decides what to do about errors.

One process for each secondary, started by the supervisor. Its threads:

- the main thread reads transactions from the queue and applies them (`worker`, `streaming`);
- `reader` reads the primary's binary log into the queue;
- `heartbeat` writes the status to the secondary, and `lock watch` asks what a batch waits for;
- `health monitor` looks at both servers each half minute;
- `messages` hears the supervisor;
- `resync`, with copy workers of its own, while tables are copied beside the stream.
"""
