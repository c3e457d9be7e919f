"""The HTTP server of `stream` and `transfer`: probes, metrics, status page and REST API, in a thread of the process.

Nothing of it is loaded unless an address to listen on is set (`health --textfile` loads the metrics).
`serving` begins; FastAPI and uvicorn are loaded in the thread. The JSON is that of `--json`, from `documents`.
"""
