"""Turn what both servers and the state schema say into health checks."""
