"""Move the rows: cut tables into ranges, read chunks from the primary, and write them to the secondary."""
