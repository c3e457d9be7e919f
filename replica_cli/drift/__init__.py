"""Find drift between primary and secondary, and write the SQL that repairs it."""
