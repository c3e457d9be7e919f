"""Build and parse SQL text. These modules are pure functions and open no connection."""
