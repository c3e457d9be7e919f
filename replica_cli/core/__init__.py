"""Values that every floor speaks in: standard library only, no I/O."""
