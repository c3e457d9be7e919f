"""Read the state of the primary's binary log with statements: its end, GTID sets, purged transactions, snapshots."""
