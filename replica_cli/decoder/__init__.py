"""Row images, as bytes, straight to SQL literals: pure functions, no connection."""
