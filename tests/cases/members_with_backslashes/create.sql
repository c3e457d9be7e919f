CREATE TABLE t (id INT PRIMARY KEY, e ENUM('it''s', 'a,b', 'c\\\\d'), s SET('x\\\\', 'y'));
INSERT INTO t VALUES (1, 1, 1), (2, 3, 3);
