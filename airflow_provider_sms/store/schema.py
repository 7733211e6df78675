"""
The tables.

Names and documented columns are a public contract: analysts' SQL reads them. Times are UTC, ids are
text. Foreign keys are left out on purpose: every row is written together with its parent in one
transaction, and a check per row would cost more than the row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, Float, Index, Integer, MetaData, String, Table

from airflow_provider_sms.records import BalanceSource
from airflow_provider_sms.store.columns import Amount, UtcDateTime, key, prose, raw

#: Longest values of the key columns, in characters. Together they fit InnoDB's index limit.
SEND_KEY_LENGTH = 250
CONN_ID_LENGTH = 200
VENDOR_LENGTH = 40
ID_LENGTH = 128
MOBILE_LENGTH = 32
#: A keyed hash of the number, where the store has a key (see number_hash.py): a join key for people who
#: need no numbers. No index by default, since it would slow landing down for all.
MOBILE_HASH_LENGTH = 32
CODE_LENGTH = 64

metadata = MetaData()


def _table(name: str, *parts: Any, **options: Any) -> Table:
    return Table(name, metadata, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4", **options)


#: Facts about the store itself: its schema version, and a row that is written to prove it can be.
meta = _table(
    "sms_meta",
    Column("name", key(64), primary_key=True),
    Column("value", key(250), nullable=False),
)

#: One row per send key: what the key was first used for. The number stands for the key in the large
#: tables, where a key of a hundred characters per row would be most of the row.
sends = _table(
    "sms_sends",
    Column("send_id", Integer, primary_key=True, autoincrement=True),
    Column("send_key", key(SEND_KEY_LENGTH), nullable=False, unique=True),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("vendor", key(VENDOR_LENGTH), nullable=False),
    Column("fingerprint", key(64), nullable=False),
    Column("recipients", Integer, nullable=False),
    Column("batches", Integer, nullable=False),
    Column("dag_id", key(250)),
    Column("task_id", key(250)),
    Column("run_id", key(250)),
    Column("map_index", Integer),
    Column("created_at", UtcDateTime, nullable=False),
)

#: One row per vendor call.
batches = _table(
    "sms_batches",
    Column("send_key", key(SEND_KEY_LENGTH), primary_key=True),
    Column("batch_no", Integer, primary_key=True, autoincrement=False),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("vendor", key(VENDOR_LENGTH), nullable=False),
    Column("state", key(16), nullable=False),
    Column("reference", key(ID_LENGTH), nullable=False),
    Column("vendor_batch_id", key(ID_LENGTH)),
    Column("vendor_code", key(CODE_LENGTH)),
    Column("vendor_text", prose()),
    Column("recipients", Integer, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("accepted_count", Integer),
    Column("dag_id", key(250)),
    Column("task_id", key(250)),
    Column("run_id", key(250)),
    Column("map_index", Integer),
    Column("prepared_at", UtcDateTime, nullable=False),
    Column("submitted_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("content", prose(), nullable=False),
    Column("templated", Boolean, nullable=False),
    Column("extno", key(32), nullable=False),
    Column("send_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("claim_owner", key(250)),
    Column("claim_expires_at", UtcDateTime),
    Column("settled_by", key(16)),
    Column("error", prose()),
    Column("send_id", Integer, nullable=False),
    # The id that all its messages bear, or a JSON list with one id per message in their order.
    Column("message_id", key(ID_LENGTH)),
    Column("message_ids", prose()),
    # When texts and numbers went; such a batch cannot be submitted any more.
    Column("purged_at", UtcDateTime),
    # Names the template (see template_id.py); empty where one text went to all.
    Column("template_id", key(64)),
    Index("sms_batches_send", "send_id", "batch_no", unique=True),
    Index("sms_batches_state", "state", "vendor"),
    Index("sms_batches_submitted", "submitted_at"),
)

#: One row per recipient, written once and never changed; ``seq`` is its place in the batch. What all
#: messages of a batch share stands in the batch. Analysts read the view ``sms_messages`` instead.
recipients = _table(
    "sms_recipients",
    Column("send_id", Integer, primary_key=True, autoincrement=False),
    Column("batch_no", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("mobile", key(MOBILE_LENGTH), nullable=False),
    Column("segments", Integer, nullable=False),
    Column("content", prose()),
    Column("template_values", prose()),
    Column("mobile_hash", key(MOBILE_HASH_LENGTH)),
    # No number twice in a send, whatever the planning did.
    Index("sms_recipients_mobile", "send_id", "mobile", unique=True),
    sqlite_with_rowid=False,
)

#: Every id that a report on a batch may bear: our references, the vendor's ids, and ids of reports
#: that proved an unknown batch accepted.
batch_ids = _table(
    "sms_batch_ids",
    Column("send_id", Integer, primary_key=True, autoincrement=False),
    Column("batch_no", Integer, primary_key=True, autoincrement=False),
    Column("vendor_message_id", key(ID_LENGTH), primary_key=True),
    Column("vendor", key(VENDOR_LENGTH), nullable=False),
    Column("kind", key(16), nullable=False),
    Index("sms_batch_ids_id", "vendor_message_id", "vendor"),
    sqlite_with_rowid=False,
)

#: One row per destructive read or push, with the raw bytes.
pages = _table(
    "sms_pages",
    Column("page_id", key(64), primary_key=True),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("vendor", key(VENDOR_LENGTH), nullable=False),
    Column("queue", key(16), nullable=False),
    Column("source", key(8), nullable=False),
    Column("state", key(16), nullable=False),
    Column("owner", key(250)),
    Column("started_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    Column("landed_at", UtcDateTime),
    Column("http_status", Integer),
    Column("framing_complete", Boolean),
    Column("framing_problem", prose()),
    Column("declared", Integer),
    Column("records", Integer),
    Column("error", prose()),
    # When a person said that nothing more can be done about it.
    Column("dismissed_at", UtcDateTime),
    # When its bytes, and the numbers and texts of its rows, went.
    Column("purged_at", UtcDateTime),
    # The body stands last: SQLite walks over what comes before a column to reach it.
    Column("body", raw()),
    Index("sms_pages_queue", "conn_id", "queue", "state", "started_at"),
    Index("sms_pages_landed", "conn_id", "queue", "landed_at"),
)


def _record_columns() -> list[Column[Any]]:
    return [
        Column("page_id", key(64), primary_key=True),
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
        Column("vendor", key(VENDOR_LENGTH), nullable=False),
        Column("vendor_message_id", key(ID_LENGTH), nullable=False),
        Column("mobile", key(MOBILE_LENGTH), nullable=False),
    ]


#: One row per delivery report, named by its page and its place there.
reports = _table(
    "sms_reports",
    *_record_columns(),
    Column("status", key(16), nullable=False),
    Column("vendor_status", key(CODE_LENGTH), nullable=False),
    Column("error_code", key(CODE_LENGTH), nullable=False),
    Column("extno", key(32), nullable=False),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("time_source", key(8), nullable=False),
    Column("landed_at", UtcDateTime, nullable=False),
    Column("mobile_hash", key(MOBILE_HASH_LENGTH)),
    # Vendors count their ids up, so this index grows at its end. One on the numbers would be written
    # all over at random, and landing would get slower with every million rows.
    Index("sms_reports_id", "vendor_message_id", "mobile"),
    # Page ids grow with time, so rows are appended; a rowid beside the key would be a third tree to write.
    sqlite_with_rowid=False,
)

#: One row per reply, named by its page and its place there.
replies = _table(
    "sms_replies",
    *_record_columns(),
    Column("content", prose(), nullable=False),
    Column("extno", key(32), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("time_source", key(8), nullable=False),
    Column("landed_at", UtcDateTime, nullable=False),
    Column("mobile_hash", key(MOBILE_HASH_LENGTH)),
    Index("sms_replies_mobile", "mobile", "received_at"),
    Index("sms_replies_received", "conn_id", "received_at"),
)

#: Who reads which queue, until when; and when the vendor lets it be read again.
leases = _table(
    "sms_leases",
    Column("conn_id", key(CONN_ID_LENGTH), primary_key=True),
    Column("queue", key(16), primary_key=True),
    Column("owner", key(250)),
    Column("expires_at", UtcDateTime),
    Column("last_read_at", UtcDateTime),
    Column("next_read_at", UtcDateTime),
)

#: What deferred sensors wait for, numbers included: their triggers know the id only.
waits = _table(
    "sms_waits",
    Column("wait_id", key(64), primary_key=True),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("queue", key(16), nullable=False),
    Column("condition", prose(), nullable=False),
    Column("owner", key(250), nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

#: Up to which moment a watcher of a queue has told what landed.
watches = _table(
    "sms_watches",
    Column("watcher", key(250), primary_key=True),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("queue", key(16), nullable=False),
    Column("told_until", UtcDateTime, nullable=False),
)

#: Queues that a vendor has pushed to, one row each. Landing holds the row, so that a push and a poll of
#: one event look for each other one after the other; without a row there is nothing to look for.
push_queues = _table(
    "sms_push_queues",
    Column("conn_id", key(CONN_ID_LENGTH), primary_key=True),
    Column("queue", key(16), primary_key=True),
)

#: One row per event that was pushed: which row stands for it, and which copy of it is no row.
pushed_events = _table(
    "sms_pushed_events",
    Column("event_key", key(64), primary_key=True),
    Column("page_id", key(64), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("twin_page_id", key(64)),
    Column("twin_seq", Integer),
    Column("landed_at", UtcDateTime, nullable=False),
    Index("sms_pushed_events_twin", "twin_page_id"),
)

#: What was said to whom how often: one row per number and text (by its digest, which is ``*`` for all
#: texts), for the span that began with the first.
storms = _table(
    "sms_storms",
    Column("conn_id", key(CONN_ID_LENGTH), primary_key=True),
    Column("mobile", key(MOBILE_LENGTH), primary_key=True),
    Column("digest", key(64), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("suppressed", Integer, nullable=False),
    # While an alert is on its way; one whose process died is taken as not sent.
    Column("pending_until", UtcDateTime),
)

#: One row per balance that a vendor told.
balances = _table(
    "sms_balances",
    Column("id", key(64), primary_key=True),
    Column("conn_id", key(CONN_ID_LENGTH), nullable=False),
    Column("vendor", key(VENDOR_LENGTH), nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("remaining", Amount, nullable=False),
    Column("unit", String(16), nullable=False),
    Column("total", Amount),
    Column("pay_mode", String(16), nullable=False),
    # What versions that know only checks write is one.
    Column("source", key(8), nullable=False, server_default=BalanceSource.CHECK.value),
    Index("sms_balances_conn", "conn_id", "checked_at"),
)

#: One row per local day, account and carrier; made anew by pandas.
delivery_daily = _table(
    "sms_delivery_daily",
    Column("day", Date, primary_key=True),
    Column("conn_id", key(CONN_ID_LENGTH), primary_key=True),
    Column("vendor", key(VENDOR_LENGTH), primary_key=True),
    Column("carrier", key(64), primary_key=True),
    Column("intended", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("silent", BigInteger, nullable=False),
    Column("delivery_rate", Float(53)),
    Column("latency_p50_seconds", Float(53)),
    Column("latency_p95_seconds", Float(53)),
)
