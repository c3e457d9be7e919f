CREATE TABLE `pa``rent` (`i``d` INT PRIMARY KEY, n INT);
CREATE TABLE t (id INT PRIMARY KEY, `p` INT, `pa``rent` INT COMMENT '\n  CONSTRAINT `a`b` FOREIGN KEY (`p`)',
  CONSTRAINT `a``b` FOREIGN KEY (`pa``rent`) REFERENCES `pa``rent` (`i``d`) ON DELETE CASCADE,
  CONSTRAINT plain FOREIGN KEY (p) REFERENCES `pa``rent` (`i``d`) ON DELETE SET NULL);
INSERT INTO `pa``rent` VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 1, 3);
