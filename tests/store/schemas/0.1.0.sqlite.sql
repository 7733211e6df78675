-- A store of release 0.1.0, as the package makes it, with some rows. Never changed.

CREATE TABLE sms_meta (
  name VARCHAR(64) NOT NULL, 
  value VARCHAR(250) NOT NULL, 
  PRIMARY KEY (name)
);

CREATE TABLE sms_sends (
  send_id INTEGER NOT NULL, 
  send_key VARCHAR(250) NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  fingerprint VARCHAR(64) NOT NULL, 
  recipients INTEGER NOT NULL, 
  batches INTEGER NOT NULL, 
  dag_id VARCHAR(250), 
  task_id VARCHAR(250), 
  run_id VARCHAR(250), 
  map_index INTEGER, 
  created_at DATETIME NOT NULL, 
  PRIMARY KEY (send_id), 
  UNIQUE (send_key)
);

CREATE TABLE sms_batches (
  send_key VARCHAR(250) NOT NULL, 
  batch_no INTEGER NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  state VARCHAR(16) NOT NULL, 
  reference VARCHAR(128) NOT NULL, 
  vendor_batch_id VARCHAR(128), 
  vendor_code VARCHAR(64), 
  vendor_text TEXT, 
  recipients INTEGER NOT NULL, 
  segments INTEGER NOT NULL, 
  accepted_count INTEGER, 
  dag_id VARCHAR(250), 
  task_id VARCHAR(250), 
  run_id VARCHAR(250), 
  map_index INTEGER, 
  prepared_at DATETIME NOT NULL, 
  submitted_at DATETIME, 
  settled_at DATETIME, 
  content TEXT NOT NULL, 
  templated BOOLEAN NOT NULL, 
  extno VARCHAR(32) NOT NULL, 
  send_at DATETIME, 
  attempts INTEGER NOT NULL, 
  claim_owner VARCHAR(250), 
  claim_expires_at DATETIME, 
  settled_by VARCHAR(16), 
  error TEXT, 
  send_id INTEGER NOT NULL, 
  message_id VARCHAR(128), 
  message_ids TEXT, 
  purged_at DATETIME, 
  PRIMARY KEY (send_key, batch_no)
);

CREATE UNIQUE INDEX sms_batches_send ON sms_batches (send_id, batch_no);

CREATE INDEX sms_batches_state ON sms_batches (state, vendor);

CREATE INDEX sms_batches_submitted ON sms_batches (submitted_at);

CREATE TABLE sms_recipients (
  send_id INTEGER NOT NULL, 
  batch_no INTEGER NOT NULL, 
  seq INTEGER NOT NULL, 
  mobile VARCHAR(32) NOT NULL, 
  segments INTEGER NOT NULL, 
  content TEXT, 
  template_values TEXT, 
  mobile_hash VARCHAR(32), 
  PRIMARY KEY (send_id, batch_no, seq)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX sms_recipients_mobile ON sms_recipients (send_id, mobile);

CREATE TABLE sms_batch_ids (
  send_id INTEGER NOT NULL, 
  batch_no INTEGER NOT NULL, 
  vendor_message_id VARCHAR(128) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  kind VARCHAR(16) NOT NULL, 
  PRIMARY KEY (send_id, batch_no, vendor_message_id)
);

CREATE INDEX sms_batch_ids_id ON sms_batch_ids (vendor_message_id, vendor);

CREATE TABLE sms_pages (
  page_id VARCHAR(64) NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  queue VARCHAR(16) NOT NULL, 
  source VARCHAR(8) NOT NULL, 
  state VARCHAR(16) NOT NULL, 
  owner VARCHAR(250), 
  started_at DATETIME NOT NULL, 
  read_at DATETIME, 
  landed_at DATETIME, 
  http_status INTEGER, 
  framing_complete BOOLEAN, 
  framing_problem TEXT, 
  declared INTEGER, 
  records INTEGER, 
  error TEXT, 
  dismissed_at DATETIME, 
  purged_at DATETIME, 
  body BLOB, 
  PRIMARY KEY (page_id)
);

CREATE INDEX sms_pages_queue ON sms_pages (conn_id, queue, state, started_at);

CREATE INDEX sms_pages_landed ON sms_pages (conn_id, queue, landed_at);

CREATE TABLE sms_reports (
  page_id VARCHAR(64) NOT NULL, 
  seq INTEGER NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  vendor_message_id VARCHAR(128) NOT NULL, 
  mobile VARCHAR(32) NOT NULL, 
  status VARCHAR(16) NOT NULL, 
  vendor_status VARCHAR(64) NOT NULL, 
  error_code VARCHAR(64) NOT NULL, 
  extno VARCHAR(32) NOT NULL, 
  reported_at DATETIME NOT NULL, 
  time_source VARCHAR(8) NOT NULL, 
  landed_at DATETIME NOT NULL, 
  mobile_hash VARCHAR(32), 
  PRIMARY KEY (page_id, seq)
);

CREATE INDEX sms_reports_id ON sms_reports (vendor_message_id, mobile);

CREATE TABLE sms_replies (
  page_id VARCHAR(64) NOT NULL, 
  seq INTEGER NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  vendor_message_id VARCHAR(128) NOT NULL, 
  mobile VARCHAR(32) NOT NULL, 
  content TEXT NOT NULL, 
  extno VARCHAR(32) NOT NULL, 
  received_at DATETIME NOT NULL, 
  time_source VARCHAR(8) NOT NULL, 
  landed_at DATETIME NOT NULL, 
  mobile_hash VARCHAR(32), 
  PRIMARY KEY (page_id, seq)
);

CREATE INDEX sms_replies_received ON sms_replies (conn_id, received_at);

CREATE INDEX sms_replies_mobile ON sms_replies (mobile, received_at);

CREATE TABLE sms_leases (
  conn_id VARCHAR(200) NOT NULL, 
  queue VARCHAR(16) NOT NULL, 
  owner VARCHAR(250), 
  expires_at DATETIME, 
  last_read_at DATETIME, 
  next_read_at DATETIME, 
  PRIMARY KEY (conn_id, queue)
);

CREATE TABLE sms_waits (
  wait_id VARCHAR(64) NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  queue VARCHAR(16) NOT NULL, 
  condition TEXT NOT NULL, 
  owner VARCHAR(250) NOT NULL, 
  registered_at DATETIME NOT NULL, 
  expires_at DATETIME NOT NULL, 
  PRIMARY KEY (wait_id)
);

CREATE TABLE sms_watches (
  watcher VARCHAR(250) NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  queue VARCHAR(16) NOT NULL, 
  told_until DATETIME NOT NULL, 
  PRIMARY KEY (watcher)
);

CREATE TABLE sms_push_queues (
  conn_id VARCHAR(200) NOT NULL, 
  queue VARCHAR(16) NOT NULL, 
  PRIMARY KEY (conn_id, queue)
);

CREATE TABLE sms_pushed_events (
  event_key VARCHAR(64) NOT NULL, 
  page_id VARCHAR(64) NOT NULL, 
  seq INTEGER NOT NULL, 
  twin_page_id VARCHAR(64), 
  twin_seq INTEGER, 
  landed_at DATETIME NOT NULL, 
  PRIMARY KEY (event_key)
);

CREATE INDEX sms_pushed_events_twin ON sms_pushed_events (twin_page_id);

CREATE TABLE sms_storms (
  conn_id VARCHAR(200) NOT NULL, 
  mobile VARCHAR(32) NOT NULL, 
  digest VARCHAR(64) NOT NULL, 
  since DATETIME NOT NULL, 
  sent INTEGER NOT NULL, 
  suppressed INTEGER NOT NULL, 
  pending_until DATETIME, 
  PRIMARY KEY (conn_id, mobile, digest)
);

CREATE TABLE sms_balances (
  id VARCHAR(64) NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  checked_at DATETIME NOT NULL, 
  remaining FLOAT NOT NULL, 
  unit VARCHAR(16) NOT NULL, 
  total FLOAT, 
  pay_mode VARCHAR(16) NOT NULL, 
  PRIMARY KEY (id)
);

CREATE INDEX sms_balances_conn ON sms_balances (conn_id, checked_at);

CREATE TABLE sms_delivery_daily (
  day DATE NOT NULL, 
  conn_id VARCHAR(200) NOT NULL, 
  vendor VARCHAR(40) NOT NULL, 
  carrier VARCHAR(64) NOT NULL, 
  intended BIGINT NOT NULL, 
  accepted BIGINT NOT NULL, 
  delivered BIGINT NOT NULL, 
  failed BIGINT NOT NULL, 
  silent BIGINT NOT NULL, 
  delivery_rate FLOAT, 
  latency_p50_seconds FLOAT, 
  latency_p95_seconds FLOAT, 
  PRIMARY KEY (day, conn_id, vendor, carrier)
);

INSERT INTO sms_balances (id, conn_id, vendor, checked_at, remaining, unit, pay_mode) VALUES ('00660ed0e65abb4e8e47069873d39dfc', 'sms_main', 'wavecom', '2026-11-23 08:05:25.323000', 1234.5, 'messages', '');

INSERT INTO sms_batch_ids (send_id, batch_no, vendor_message_id, vendor, kind) VALUES (1, 1, 'acceptedref1', 'wavecom', 'reference');

INSERT INTO sms_batch_ids (send_id, batch_no, vendor_message_id, vendor, kind) VALUES (1, 1, '77', 'wavecom', 'message');

INSERT INTO sms_batch_ids (send_id, batch_no, vendor_message_id, vendor, kind) VALUES (2, 1, 'unknownref1', 'wavecom', 'reference');

INSERT INTO sms_batches (send_key, batch_no, conn_id, vendor, state, reference, recipients, segments, dag_id, task_id, run_id, map_index, prepared_at, submitted_at, settled_at, content, templated, extno, attempts, claim_owner, settled_by, send_id, message_id) VALUES ('accepted', 1, 'sms_main', 'wavecom', 'accepted', 'acceptedref1', 3, 3, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.259000', '2026-11-23 08:05:25.265000', '2026-11-23 08:05:25.272000', '您好，这是''测试''【公司】', 0, '', 1, 'worker', 'answer', 1, '77');

INSERT INTO sms_batches (send_key, batch_no, conn_id, vendor, state, reference, recipients, segments, dag_id, task_id, run_id, map_index, prepared_at, submitted_at, settled_at, content, templated, extno, attempts, claim_owner, settled_by, send_id) VALUES ('unknown', 1, 'sms_main', 'wavecom', 'unknown', 'unknownref1', 3, 3, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.276000', '2026-11-23 08:05:25.280000', '2026-11-23 08:05:25.286000', '您好，这是''测试''【公司】', 0, '', 1, 'worker', 'answer', 2);

INSERT INTO sms_batches (send_key, batch_no, conn_id, vendor, state, reference, recipients, segments, dag_id, task_id, run_id, map_index, prepared_at, content, templated, extno, attempts, send_id) VALUES ('planned', 1, 'sms_main', 'wavecom', 'prepared', 'plannedplanned', 3, 3, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.287000', '您好，这是''测试''【公司】', 0, '', 0, 3);

INSERT INTO sms_meta (name, value) VALUES ('written', '');

INSERT INTO sms_meta (name, value) VALUES ('schema_version', '1');

INSERT INTO sms_pages (page_id, conn_id, vendor, queue, source, state, owner, started_at, read_at, landed_at, http_status, framing_complete, records, body) VALUES ('00660ed0e653dee09a72bd6297aa4e2f', 'sms_main', 'wavecom', 'reports', 'pull', 'landed', 'reader', '2026-11-23 08:05:25.296000', '2026-11-23 08:05:25.300000', '2026-11-23 08:05:25.304000', 200, 1, 3, x'3c7261773ed2b33c2f7261773e');

INSERT INTO sms_pages (page_id, conn_id, vendor, queue, source, state, owner, started_at, read_at, landed_at, http_status, framing_complete, records, body) VALUES ('00660ed0e656f53b54f6cd307eb04149', 'sms_main', 'wavecom', 'replies', 'pull', 'landed', 'reader', '2026-11-23 08:05:25.308000', '2026-11-23 08:05:25.310000', '2026-11-23 08:05:25.319000', 200, 1, 1, x'3c7261773ed2b33c2f7261773e');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (1, 1, 0, '13800000001', 1, 'f45f6e902995dbbb394e94f2a9197f3d');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (1, 1, 1, '13800000002', 1, 'a33102470cc7be063395335b4be7f49c');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (1, 1, 2, '18600000003', 1, '62b1004ab42935494ef2348b4d057c99');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (2, 1, 0, '13800000001', 1, 'f45f6e902995dbbb394e94f2a9197f3d');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (2, 1, 1, '13800000002', 1, 'a33102470cc7be063395335b4be7f49c');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (2, 1, 2, '18600000003', 1, '62b1004ab42935494ef2348b4d057c99');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (3, 1, 0, '13800000001', 1, 'f45f6e902995dbbb394e94f2a9197f3d');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (3, 1, 1, '13800000002', 1, 'a33102470cc7be063395335b4be7f49c');

INSERT INTO sms_recipients (send_id, batch_no, seq, mobile, segments, mobile_hash) VALUES (3, 1, 2, '18600000003', 1, '62b1004ab42935494ef2348b4d057c99');

INSERT INTO sms_replies (page_id, seq, conn_id, vendor, vendor_message_id, mobile, content, extno, received_at, time_source, landed_at, mobile_hash) VALUES ('00660ed0e656f53b54f6cd307eb04149', 0, 'sms_main', 'wavecom', '', '13800000001', '退订
谢谢', '12', '2026-11-23 08:05:25.295000', 'vendor', '2026-11-23 08:05:25.319000', 'f45f6e902995dbbb394e94f2a9197f3d');

INSERT INTO sms_reports (page_id, seq, conn_id, vendor, vendor_message_id, mobile, status, vendor_status, error_code, extno, reported_at, time_source, landed_at, mobile_hash) VALUES ('00660ed0e653dee09a72bd6297aa4e2f', 0, 'sms_main', 'wavecom', '77', '13800000001', 'delivered', 'DELIVRD', '', '', '2026-11-23 08:05:25.295000', 'vendor', '2026-11-23 08:05:25.304000', 'f45f6e902995dbbb394e94f2a9197f3d');

INSERT INTO sms_reports (page_id, seq, conn_id, vendor, vendor_message_id, mobile, status, vendor_status, error_code, extno, reported_at, time_source, landed_at, mobile_hash) VALUES ('00660ed0e653dee09a72bd6297aa4e2f', 1, 'sms_main', 'wavecom', '77', '13800000002', 'failed', 'UNDELIV', 'MK:0001', '', '2026-11-23 08:05:25.295000', 'vendor', '2026-11-23 08:05:25.304000', 'a33102470cc7be063395335b4be7f49c');

INSERT INTO sms_reports (page_id, seq, conn_id, vendor, vendor_message_id, mobile, status, vendor_status, error_code, extno, reported_at, time_source, landed_at, mobile_hash) VALUES ('00660ed0e653dee09a72bd6297aa4e2f', 2, 'sms_main', 'wavecom', '77', '18600000003', 'pending', '', '', '', '2026-11-23 08:05:25.300000', 'read', '2026-11-23 08:05:25.304000', '62b1004ab42935494ef2348b4d057c99');

INSERT INTO sms_sends (send_id, send_key, conn_id, vendor, fingerprint, recipients, batches, dag_id, task_id, run_id, map_index, created_at) VALUES (1, 'accepted', 'sms_main', 'wavecom', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 3, 1, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.259000');

INSERT INTO sms_sends (send_id, send_key, conn_id, vendor, fingerprint, recipients, batches, dag_id, task_id, run_id, map_index, created_at) VALUES (2, 'unknown', 'sms_main', 'wavecom', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 3, 1, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.276000');

INSERT INTO sms_sends (send_id, send_key, conn_id, vendor, fingerprint, recipients, batches, dag_id, task_id, run_id, map_index, created_at) VALUES (3, 'planned', 'sms_main', 'wavecom', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 3, 1, 'dag', 'task', 'run', -1, '2026-11-23 08:05:25.287000');

CREATE VIEW sms_messages AS SELECT sms_batches.send_key, sms_recipients.batch_no, sms_recipients.seq, sms_recipients.mobile, coalesce(sms_recipients.content, sms_batches.content) AS content, sms_recipients.segments, coalesce(sms_batches.message_id, json_extract(sms_batches.message_ids, '$[' || sms_recipients.seq || ']')) AS vendor_message_id, sms_recipients.template_values, sms_recipients.mobile_hash 
FROM sms_recipients JOIN sms_batches ON sms_batches.send_id = sms_recipients.send_id AND sms_batches.batch_no = sms_recipients.batch_no;

CREATE VIEW sms_message_status AS SELECT ranked.send_key, ranked.batch_no, ranked.seq, ranked.conn_id, ranked.vendor, ranked.mobile, ranked.segments, ranked.state, CASE WHEN (ranked.status IN ('delivered', 'failed')) THEN ranked.status WHEN ((ranked.state NOT IN ('accepted', 'unknown'))) THEN NULL WHEN (ranked.status IS NULL) THEN 'silent' ELSE 'pending' END AS delivery, ranked.submitted_at, ranked.reported_at, CASE WHEN (round((julianday(ranked.reported_at) - julianday(CASE WHEN (ranked.send_at > ranked.submitted_at) THEN ranked.send_at ELSE ranked.submitted_at END)) * 86400.0, 3) < 0) THEN 0.0 ELSE round((julianday(ranked.reported_at) - julianday(CASE WHEN (ranked.send_at > ranked.submitted_at) THEN ranked.send_at ELSE ranked.submitted_at END)) * 86400.0, 3) END AS latency_seconds, ranked.error_code 
FROM (SELECT told.send_key AS send_key, told.batch_no AS batch_no, told.seq AS seq, told.conn_id AS conn_id, told.vendor AS vendor, told.mobile AS mobile, told.segments AS segments, told.state AS state, told.submitted_at AS submitted_at, told.send_at AS send_at, told.status AS status, told.reported_at AS reported_at, told.error_code AS error_code, told.page_id AS page_id, told.report_seq AS report_seq, row_number() OVER (PARTITION BY told.send_key, told.mobile ORDER BY CASE WHEN (told.status IN ('delivered', 'failed')) THEN 2 WHEN (told.status IS NOT NULL) THEN 1 ELSE 0 END DESC, told.reported_at DESC, told.page_id DESC, told.report_seq DESC) AS place 
FROM (SELECT sms_batches.send_key AS send_key, sms_recipients.batch_no AS batch_no, sms_recipients.seq AS seq, sms_batches.conn_id AS conn_id, sms_batches.vendor AS vendor, sms_recipients.mobile AS mobile, sms_recipients.segments AS segments, sms_batches.state AS state, sms_batches.submitted_at AS submitted_at, sms_batches.send_at AS send_at, NULL AS status, NULL AS reported_at, NULL AS error_code, NULL AS page_id, NULL AS report_seq 
FROM sms_recipients JOIN sms_batches ON sms_batches.send_id = sms_recipients.send_id AND sms_batches.batch_no = sms_recipients.batch_no UNION ALL SELECT sms_batches.send_key AS send_key, sms_recipients.batch_no AS batch_no, sms_recipients.seq AS seq, sms_batches.conn_id AS conn_id, sms_batches.vendor AS vendor, sms_recipients.mobile AS mobile, sms_recipients.segments AS segments, sms_batches.state AS state, sms_batches.submitted_at AS submitted_at, sms_batches.send_at AS send_at, sms_reports.status AS status, sms_reports.reported_at AS reported_at, sms_reports.error_code AS error_code, sms_reports.page_id AS page_id, sms_reports.seq AS report_seq 
FROM sms_batch_ids JOIN sms_reports ON sms_reports.vendor_message_id = sms_batch_ids.vendor_message_id AND sms_reports.vendor = sms_batch_ids.vendor JOIN sms_recipients ON sms_recipients.send_id = sms_batch_ids.send_id AND sms_recipients.mobile = sms_reports.mobile AND sms_recipients.batch_no = sms_batch_ids.batch_no JOIN sms_batches ON sms_batches.send_id = sms_recipients.send_id AND sms_batches.batch_no = sms_recipients.batch_no) AS told) AS ranked 
WHERE ranked.place = 1;
