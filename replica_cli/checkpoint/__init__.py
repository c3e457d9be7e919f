"""Keep the state of an instance on the secondary: positions, table states, copy progress and the writer's lock."""
