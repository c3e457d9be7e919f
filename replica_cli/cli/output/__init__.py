"""Shows results and progress: as tables for people, as JSON for machines, and live on a terminal."""
