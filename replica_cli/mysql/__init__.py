"""Talk to MariaDB and MySQL servers. Only this package and the reader's dump connection use pymysql."""

from replica_cli.mysql.late_cryptography import load_driver

load_driver()
