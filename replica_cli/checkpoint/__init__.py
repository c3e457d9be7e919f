"""What the tool remembers, on the secondary itself: positions, table states, copy progress, the writer's lock."""
