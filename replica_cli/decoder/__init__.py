"""Decode row images, which are bytes, directly into SQL literals. Pure functions without a connection."""
