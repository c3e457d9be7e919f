"""Parse logged statements, and decide what they change and whether they can run on the secondary."""
