"""The benchmark: `replica` beside the servers' own replication and the usual tools, on the same work and settings."""
