"""Check what must be right on both servers before a row is copied or applied: variables, privileges, limits."""
