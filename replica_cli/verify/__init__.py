"""Compare the rows of a secondary with the primary's while both are in use, and prove that they are equal."""
