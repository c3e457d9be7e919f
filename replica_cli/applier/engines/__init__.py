"""Engines: they turn the row events of transactions into statements for the secondary."""
