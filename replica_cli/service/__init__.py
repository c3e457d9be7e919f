"""The use cases of the commands, one in each file: build what a use case needs, run it, return a report."""
