"""Read table definitions from a server: its information_schema, and the texts of SHOW CREATE TABLE."""
