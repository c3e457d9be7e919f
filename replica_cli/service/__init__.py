"""One use case a file: build what it needs, run it, return a value."""
