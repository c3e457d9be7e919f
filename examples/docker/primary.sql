CREATE USER 'replica'@'%' IDENTIFIED BY 'change-me';
GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'replica'@'%';
GRANT SELECT, LOCK TABLES ON `shop`.* TO 'replica'@'%';
CREATE DATABASE shop;
CREATE TABLE shop.product (sku VARCHAR(24) PRIMARY KEY, title VARCHAR(120) NOT NULL, price DECIMAL(10, 2) NOT NULL);
INSERT INTO shop.product VALUES ('tea-1', 'Tea', 4.50), ('cup-1', 'Cup', 7.00);
