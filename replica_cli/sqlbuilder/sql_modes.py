"""The sql_mode of this package's own sessions, on both servers."""

from __future__ import annotations

# A value is the same on both servers: nothing is cut without an error, and zero dates and ids of 0 stay as they are.
SQL_MODE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
# For the error value of an ENUM, which a strict session refuses.
LENIENT_MODE = SQL_MODE.replace("STRICT_ALL_TABLES,", "")
