"""The command line: declares commands, sends requests to services and shows results. Only it uses typer and rich."""
