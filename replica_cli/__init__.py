"""Keep MariaDB and MySQL secondaries in step with a primary."""

__version__ = "0.1.0"
