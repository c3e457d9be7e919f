"""How results and progress look: tables for people, JSON for machines, a live display on a terminal."""
