"""The floor that talks to servers: the only user of pymysql beside the reader's dump connection."""
