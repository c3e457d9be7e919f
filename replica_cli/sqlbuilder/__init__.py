"""SQL text out, nothing in: pure functions, no connection."""
