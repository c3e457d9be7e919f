-- A first copy is done, and nothing was streamed: the tables are inside their replay windows.
-- Made by replica 4ecb21e; README.md says how.
-- part: primary
CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE u (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO u VALUES (1, 1), (2, 2);
CREATE TABLE big (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO big SELECT seq, seq * 7 FROM seq_1_to_5000;
UPDATE t SET v = 30 WHERE id = 3;
DELETE FROM u WHERE id = 2;
DELETE FROM big WHERE id = 5000;
-- part: secondary
CREATE TABLE `big` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO big SELECT seq, seq * 7 FROM seq_1_to_4999;
CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO t SET id=1, v=1;
INSERT INTO t SET id=2, v=2;
INSERT INTO t SET id=3, v=3;
CREATE TABLE `u` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO u SET id=1, v=1;
INSERT INTO u SET id=2, v=2;
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
INSERT INTO binlog_position SET instance='db1', file='@p6.file@', pos=@p6.pos@, gtid='@p6.gtid@', source_identity='@identity@', source_time=0, row_count=0, transaction_count=0, skipped_count=0, filters='3c33c2179e1e108d', filters_text='schemas upgraded; tables all', token=1795988665821, updated_at='2026-11-29 21:44:25.821922';
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
INSERT INTO stream_status SET instance='db1', holder='host:1', connection_id=475, beat_at='2026-11-29 21:44:29.108526', moved_at='2026-11-29 21:44:29.108526', phase='finished', is_pause_wanted=0, snapshot='{"instance": "db1", "phase": "finished", "position": {"file": "binlog.000001", "pos": 46861, "gtid": "0-1001-7"}, "lag_seconds": null, "seconds_since_event": null, "rows_per_second": 0.0, "transactions_per_second": 0.0, "rows_total": 0, "transactions_total": 0, "quarantined": [], "skipped_rows": 0, "rows_uncommitted": 0, "reconnects": 0, "message": "", "transfer": {"instance": "db1", "tables": [{"table": "upgraded.big", "rows_copied": 4999, "rows_estimated": 4998, "bytes_copied": 42882, "state": "copied"}, {"table": "upgraded.t", "rows_copied": 3, "rows_estimated": 3, "state": "copied"}, {"table": "upgraded.u", "rows_copied": 2, "rows_estimated": 1, "state": "copied"}], "elapsed_seconds": 0.31331531599425944, "rows_per_second": 10529.328863260691, "errors": 0, "position": {"file": "binlog.000001", "pos": 46861, "gtid": "0-1001-7"}, "totals": {"tables": 3, "tables_done": 3, "rows_copied": 5004, "rows_estimated": 5004, "rows_per_second": 10529.328863260691, "steps": []}, "ended": []}, "counters": {}, "deaths": 0, "death": "", "findings": [], "copied": [{"table": "upgraded.t", "rows": 3, "at": "2026-11-29T21:44:29.063308+00:00"}, {"table": "upgraded.u", "rows": 2, "at": "2026-11-29T21:44:29.063775+00:00"}, {"table": "upgraded.big", "rows": 4999, "at": "2026-11-29T21:44:29.093089+00:00"}], "connections": [474, 475]}';
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
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='big', state='copied', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='@p9.file@', end_pos=@p9.pos@, end_gtid='@p9.gtid@', reason='', row_count=4999, updated_at='2026-11-29 21:44:29.105434';
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='t', state='copied', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='@p9.file@', end_pos=@p9.pos@, end_gtid='@p9.gtid@', reason='', row_count=3, updated_at='2026-11-29 21:44:29.105434';
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='u', state='copied', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='@p9.file@', end_pos=@p9.pos@, end_gtid='@p9.gtid@', reason='', row_count=2, updated_at='2026-11-29 21:44:29.105434';
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
UPDATE big SET v = v + 1 WHERE id IN (7, 4999);
DELETE FROM big WHERE id = 8;
