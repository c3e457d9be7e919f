"""Whether all is well: what both servers and the state schema say, turned into checks."""
