"""The routes of the HTTP API: probes, what can be read, what can be changed, plans and jobs."""
