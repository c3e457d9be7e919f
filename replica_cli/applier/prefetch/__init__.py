"""Read rows ahead of the applier into the buffer pool of the secondary."""
