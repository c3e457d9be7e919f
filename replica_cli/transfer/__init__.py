"""The first copy: keyset ranges that the primary formats and the secondary takes, resumable after any death."""
