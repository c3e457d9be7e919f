"""Parse the events of the binary log, one kind of event in each module. Pure functions from bytes to values."""
