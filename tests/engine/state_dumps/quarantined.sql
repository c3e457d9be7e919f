-- A row was missing on the secondary, so that its table is quarantined.
-- Made by replica 4ecb21e; README.md says how.
-- part: primary
CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE u (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO u VALUES (1, 1), (2, 2);
INSERT INTO t VALUES (4, 4);
DELETE FROM u WHERE id = 2;
INSERT INTO t VALUES (5, 5);
UPDATE u SET v = 9 WHERE id = 1;
INSERT INTO t VALUES (6, 6);
-- part: secondary
CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO t SET id=1, v=1;
INSERT INTO t SET id=2, v=2;
INSERT INTO t SET id=3, v=3;
INSERT INTO t SET id=4, v=4;
INSERT INTO t SET id=5, v=5;
INSERT INTO t SET id=6, v=6;
CREATE TABLE `u` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
-- part: state
CREATE TABLE `binlog_position` (
  `instance` varchar(191) NOT NULL,
  `file` varchar(255) NOT NULL,
  `pos` bigint(20) unsigned NOT NULL,
  `gtid` mediumtext NOT NULL,
  `source_identity` varchar(255) NOT NULL,
  `source_time` bigint(20) unsigned NOT NULL DEFAULT 0,
  `row_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `transaction_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `skipped_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `filters` varchar(64) NOT NULL,
  `filters_text` mediumtext NOT NULL,
  `token` bigint(20) unsigned NOT NULL DEFAULT 0,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO binlog_position SET instance='db1', file='@p9.file@', pos=@p9.pos@, gtid='@p9.gtid@', source_identity='@identity@', source_time=1767225609, row_count=4, transaction_count=5, skipped_count=1, filters='3c33c2179e1e108d', filters_text='schemas upgraded; tables all', token=1795988708842, updated_at='2026-01-01 00:00:09.000000';
CREATE TABLE `ddl_intent` (
  `instance` varchar(191) NOT NULL,
  `file` varchar(255) NOT NULL,
  `pos` bigint(20) unsigned NOT NULL,
  `gtid` mediumtext NOT NULL,
  `statement_hash` char(64) NOT NULL,
  `before_hash` char(64) NOT NULL,
  `statement` mediumtext NOT NULL,
  `started_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `stream_status` (
  `instance` varchar(191) NOT NULL,
  `holder` varchar(255) NOT NULL,
  `connection_id` bigint(20) unsigned NOT NULL DEFAULT 0,
  `beat_at` datetime(6) NOT NULL,
  `moved_at` datetime(6) DEFAULT NULL,
  `phase` varchar(32) NOT NULL,
  `is_pause_wanted` tinyint(4) NOT NULL DEFAULT 0,
  `snapshot` mediumtext DEFAULT NULL,
  PRIMARY KEY (`instance`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO stream_status SET instance='db1', holder='host:1', connection_id=21, beat_at='2026-11-29 21:45:16.280362', moved_at='2026-11-29 21:45:16.279440', phase='finished', is_pause_wanted=0, snapshot='{"instance": "db1", "phase": "finished", "position": {"file": "binlog.000001", "pos": 2370, "gtid": "0-1001-10"}, "lag_seconds": null, "seconds_since_event": 0.03925545699894428, "rows_per_second": 0.0, "transactions_per_second": 0.0, "rows_total": 2, "transactions_total": 3, "quarantined": ["upgraded.u"], "skipped_rows": 1, "rows_uncommitted": 0, "reconnects": 0, "message": "", "transfer": null, "counters": {}, "deaths": 0, "death": "", "findings": [], "copied": [], "connections": [21]}';
CREATE TABLE `table_status` (
  `instance` varchar(191) NOT NULL,
  `schema_name` varchar(64) NOT NULL,
  `table_name` varchar(64) NOT NULL,
  `state` varchar(16) NOT NULL,
  `start_file` varchar(255) NOT NULL DEFAULT '',
  `start_pos` bigint(20) unsigned NOT NULL DEFAULT 0,
  `start_gtid` mediumtext DEFAULT NULL,
  `end_file` varchar(255) NOT NULL DEFAULT '',
  `end_pos` bigint(20) unsigned NOT NULL DEFAULT 0,
  `end_gtid` mediumtext DEFAULT NULL,
  `reason` mediumtext DEFAULT NULL,
  `row_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`,`schema_name`,`table_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='u', state='quarantined', start_file='@p7.file@', start_pos=@p7.pos@, start_gtid='@p7.gtid@', end_file='@p7.file@', end_pos=@p7.pos@, end_gtid='@t8.gtid@', reason='upgraded.u: UPDATE: 1 row not found (compared by its key, id), in the transaction at binlog.000001:1928', row_count=0, updated_at='2026-11-29 21:45:15.855746';
CREATE TABLE `transfer_progress` (
  `instance` varchar(191) NOT NULL,
  `schema_name` varchar(64) NOT NULL,
  `table_name` varchar(64) NOT NULL,
  `range_number` int(10) unsigned NOT NULL,
  `last_key` longblob DEFAULT NULL,
  `high_key` longblob DEFAULT NULL,
  `row_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `byte_count` bigint(20) unsigned NOT NULL DEFAULT 0,
  `is_done` tinyint(4) NOT NULL DEFAULT 0,
  `updated_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`,`schema_name`,`table_name`,`range_number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `uncompared_table` (
  `instance` varchar(191) NOT NULL,
  `schema_name` varchar(64) NOT NULL,
  `table_name` varchar(64) NOT NULL,
  `noted_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`,`schema_name`,`table_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `xa_prepared` (
  `instance` varchar(191) NOT NULL,
  `xid` varchar(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `number` int(10) unsigned NOT NULL,
  `data` longblob NOT NULL,
  `prepared_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`,`xid`,`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- part: later
INSERT INTO t VALUES (10, 10);
UPDATE t SET v = v + 1 WHERE id = 1;
INSERT INTO u VALUES (10, 10);
