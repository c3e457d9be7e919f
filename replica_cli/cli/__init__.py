"""The command line: declarations, requests and rendering; the only user of typer and rich."""
