-- The stream was killed after a statement had run, and before the position after it was saved.
-- Made by replica 4ecb21e; README.md says how.
-- part: primary
CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE u (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO u VALUES (1, 1), (2, 2);
INSERT INTO t VALUES (4, 4);
DELETE FROM u WHERE id = 2;
ALTER TABLE t ADD COLUMN w INT NOT NULL DEFAULT 5;
INSERT INTO t VALUES (7, 7, 7);
-- part: secondary
CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  `w` int(11) NOT NULL DEFAULT 5,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO t SET id=1, v=1, w=5;
INSERT INTO t SET id=2, v=2, w=5;
INSERT INTO t SET id=3, v=3, w=5;
INSERT INTO t SET id=4, v=4, w=5;
CREATE TABLE `u` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO u SET id=1, v=1;
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
INSERT INTO binlog_position SET instance='db1', file='@p6.file@', pos=@p6.pos@, gtid='@p6.gtid@', source_identity='@identity@', source_time=1767225606, row_count=2, transaction_count=2, skipped_count=0, filters='3c33c2179e1e108d', filters_text='schemas upgraded; tables all', token=1795988742310, updated_at='2026-11-29 21:45:48.328582';
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
INSERT INTO ddl_intent SET instance='db1', file='@p6.file@', pos=@p6.pos@, gtid='@t7.gtid@', statement_hash='36ecc61ef25f53d06a726d1590ad42765b2c801a9b06d6895ce81a1eef677143', before_hash='e72f84c18abda92fe9ad196d3004165851bece651bccefda7a782dcaa8cd712c', statement='ALTER TABLE t ADD COLUMN w INT NOT NULL DEFAULT 5', started_at='2026-11-29 21:45:48.348683';
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
INSERT INTO stream_status SET instance='db1', holder='host:1', connection_id=450, beat_at='2026-11-29 21:45:48.059243', moved_at='2026-11-29 21:45:47.652452', phase='starting', is_pause_wanted=0, snapshot='{"instance": "db1", "phase": "starting", "position": null, "lag_seconds": null, "seconds_since_event": null, "rows_per_second": 0.0, "transactions_per_second": 0.0, "rows_total": 0, "transactions_total": 0, "quarantined": [], "skipped_rows": 0, "rows_uncommitted": 0, "reconnects": 0, "message": "", "transfer": null, "counters": {}, "deaths": 0, "death": "", "findings": [], "copied": [], "connections": [439, 440, 450]}';
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
INSERT INTO uncompared_table SET instance='db1', schema_name='upgraded', table_name='t', noted_at='2026-11-29 21:45:48.349418';
CREATE TABLE `xa_prepared` (
  `instance` varchar(191) NOT NULL,
  `xid` varchar(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `number` int(10) unsigned NOT NULL,
  `data` longblob NOT NULL,
  `prepared_at` datetime(6) NOT NULL,
  PRIMARY KEY (`instance`,`xid`,`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- part: later
INSERT INTO t VALUES (8, 8, 8);
INSERT INTO u VALUES (10, 10);
