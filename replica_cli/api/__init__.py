"""What other programs read of a command: its metrics. A command loads it only if it is asked for that."""
