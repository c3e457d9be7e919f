-- A first copy was killed in the middle of a table.
-- Made by replica 4ecb21e; README.md says how.
-- part: primary
CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE u (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO u VALUES (1, 1), (2, 2);
CREATE TABLE big (id INT PRIMARY KEY, v INT NOT NULL);
INSERT INTO big SELECT seq, seq * 7 FROM seq_1_to_5000;
-- part: secondary
CREATE TABLE `big` (
  `id` int(11) NOT NULL,
  `v` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO big SELECT seq, seq * 7 FROM seq_1_to_1700;
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
INSERT INTO binlog_position SET instance='db1', file='@p6.file@', pos=@p6.pos@, gtid='@p6.gtid@', source_identity='@identity@', source_time=0, row_count=0, transaction_count=0, skipped_count=0, filters='3c33c2179e1e108d', filters_text='schemas upgraded; tables all', token=1795988687061, updated_at='2026-11-29 21:44:47.061698';
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
INSERT INTO stream_status SET instance='db1', holder='host:1', connection_id=922, beat_at='2026-11-29 21:44:47.087652', moved_at='2026-11-29 21:44:45.923000', phase='transferring', is_pause_wanted=0, snapshot='{"instance": "db1", "phase": "transferring", "position": null, "lag_seconds": null, "seconds_since_event": null, "rows_per_second": 0.0, "transactions_per_second": 0.0, "rows_total": 0, "transactions_total": 0, "quarantined": [], "skipped_rows": 0, "rows_uncommitted": 0, "reconnects": 0, "message": "", "transfer": null, "counters": {}, "deaths": 0, "death": "", "findings": [], "copied": [], "connections": [850, 922, 1068, 1069, 1070, 1071, 1072, 1073, 1074, 1075, 1076, 1077, 1078, 1079, 1080, 1081, 1082]}';
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
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='big', state='copying', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='', end_pos=0, end_gtid='', reason='', row_count=0, updated_at='2026-11-29 21:44:47.216121';
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='t', state='copying', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='', end_pos=0, end_gtid='', reason='', row_count=0, updated_at='2026-11-29 21:44:47.201309';
INSERT INTO table_status SET instance='db1', schema_name='upgraded', table_name='u', state='copying', start_file='@p6.file@', start_pos=@p6.pos@, start_gtid='@p6.gtid@', end_file='', end_pos=0, end_gtid='', reason='', row_count=0, updated_at='2026-11-29 21:44:47.201644';
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
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='big', range_number=0, last_key=NULL, high_key=x'65626531663065663661383035656633386532316561353738626465656266386164656264316338353935626631386531336463303130393265613931363533', row_count=0, byte_count=0, is_done=0, updated_at='2026-11-29 21:44:47.217742';
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='big', range_number=1, last_key=x'283137303029', high_key=NULL, row_count=1700, byte_count=19404, is_done=0, updated_at='2026-11-29 21:44:47.271469';
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='t', range_number=0, last_key=NULL, high_key=x'63303464343633333836656430626161633337313930383363663532393737656638616363316135303366343763663963383863656133313637666363663833', row_count=0, byte_count=0, is_done=1, updated_at='2026-11-29 21:44:47.231728';
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='t', range_number=1, last_key=NULL, high_key=NULL, row_count=3, byte_count=17, is_done=1, updated_at='2026-11-29 21:44:47.214967';
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='u', range_number=0, last_key=NULL, high_key=x'39353436346361343866373738613335383062653534613866373538646161636662636164373139353939383565376166326264303264623837323436666561', row_count=0, byte_count=0, is_done=1, updated_at='2026-11-29 21:44:47.235902';
INSERT INTO transfer_progress SET instance='db1', schema_name='upgraded', table_name='u', range_number=1, last_key=NULL, high_key=NULL, row_count=2, byte_count=11, is_done=1, updated_at='2026-11-29 21:44:47.216644';
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
