"""Copy tables in key ranges: the primary formats the rows as SQL, and a copy can be resumed after any kill."""
