DELETE FROM `pa``rent` WHERE `i``d` = 1;
INSERT INTO t VALUES (4, NULL, 2);
