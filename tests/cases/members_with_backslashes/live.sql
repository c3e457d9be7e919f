SET GLOBAL binlog_row_metadata = FULL;
INSERT INTO t VALUES (3, 3, 1);
UPDATE t SET e = 2 WHERE id = 2;
SET GLOBAL binlog_row_metadata = DEFAULT;
