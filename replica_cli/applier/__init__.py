"""Apply batches of the primary's transactions on the secondary. Each commit holds the rows and their position."""
