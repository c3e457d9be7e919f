SET GLOBAL binlog_row_metadata = MINIMAL;
INSERT INTO t VALUES (2, ST_GeomFromText('POINT(3 4)'), _sjis x'955C', ST_GeomFromText('POINT(0 0)'), _latin1 x'E9FF', x'5C27');
SET GLOBAL binlog_row_metadata = FULL;
UPDATE t SET s = _sjis x'835C61', l = CONCAT(l, l) WHERE id = 1;
SET GLOBAL binlog_row_metadata = DEFAULT;
