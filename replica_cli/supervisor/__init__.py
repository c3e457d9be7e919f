"""The parent process of `replica stream`: it starts a worker process for each secondary and handles signals for them.

It works in the main thread, in `replica demo` in a thread. A pipe connects it with each worker: configuration and
requests go to the worker; status, report and log records come back.
"""
