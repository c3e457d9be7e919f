"""From batches of source transactions to commits on the secondary: rows and position together, or neither."""
