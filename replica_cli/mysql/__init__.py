"""Talk to MariaDB and MySQL servers. Only this package and the reader's dump connection use pymysql."""
