"""
### Do what people answer, within seconds.

A customer who was asked to confirm an appointment answers `1`; one who wants no more messages answers `TD` or
`退订`. The trigger of the asset's watcher polls the account's replies, and starts this DAG when some landed,
whoever collected them: the watcher, another DAG, or the vendor's own push.

**An event is a wake-up, not a parcel.** Several may start one run, and one may be told twice. So **handle**
asks the tables which replies it has not handled yet, and writes each down together with what it meant, in a
transaction of its own: each is handled once, and none is forgotten. The hourly schedule is for a wake-up that
came while the DAG was paused.

Runs may overlap; the tables' keys keep them apart. With `max_active_runs=1` a reply would sometimes wait for
half a minute: Airflow notes that a DAG has as many runs as it may when its file is parsed during one, and may
not look again before it parses the file the next time.

What is kept is in two tables of the user's own, made on first use in the database of `customers`:
`appointment_replies`, one row per handled reply, and `sms_opt_outs`, whom not to text again.
"""

from __future__ import annotations

import logging
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, dag, task

from airflow_provider_sms.assets import queue_asset
from airflow_provider_sms.triggers.sms import SmsQueueEventTrigger

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

CHINA = "Asia/Shanghai"
SMS_CONN_ID = "sms_beidoutong"
CUSTOMERS_CONN_ID = "customers"
#: Replies older than this are nobody's answer any more.
OLDEST = timedelta(days=31)
log = logging.getLogger(__name__)

# [START howto_asset_watcher_sms]
replies = queue_asset(
    SMS_CONN_ID,
    "replies",
    watchers=[
        AssetWatcher(
            name="sms_replies",
            trigger=SmsQueueEventTrigger(sms_conn_id=SMS_CONN_ID, queue="replies", poll_interval=2),
        )
    ],
)
# [END howto_asset_watcher_sms]


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("7 * * * *", timezone=CHINA), assets=[replies]
    ),
    start_date=pendulum.datetime(2026, 1, 1, tz=CHINA),
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["example", "sms"],
)
def example_sms_reply_driven() -> None:
    """Handle what landed."""

    # [START howto_handle_replies]
    @task
    def handle() -> dict[str, int]:
        """Do what each new reply says; give how many said what."""
        from airflow.providers.common.compat.sdk import BaseHook

        landed = replies_since(datetime.now(UTC) - OLDEST)
        customers = BaseHook.get_hook(CUSTOMERS_CONN_ID).get_sqlalchemy_engine()
        counts = {"acknowledged": 0, "opted_out": 0, "other": 0}
        for page_id, seq, mobile, content in not_handled(customers, landed):
            meaning = meaning_of(content)
            if write_down(customers, page_id, seq, mobile, meaning):
                counts[meaning] += 1
        log.info(
            "%(acknowledged)d acknowledged, %(opted_out)d opted out, %(other)d said something else", counts
        )
        return counts

    # [END howto_handle_replies]

    handle()


def meaning_of(content: str) -> str:
    """Read an answer; people type full-width digits, blanks and small letters."""
    text = unicodedata.normalize("NFKC", content).strip(" .。!！'\"").upper()
    if text == "1":
        return "acknowledged"
    return "opted_out" if text in {"TD", "T", "退订"} else "other"


def replies_since(moment: datetime) -> list[tuple[str, int, str, str]]:
    """Give the account's replies from the SMS store: page, place on it, number, text."""
    from sqlalchemy import select

    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.store.schema import replies as table

    wanted = select(table.c.page_id, table.c.seq, table.c.mobile, table.c.content)
    wanted = wanted.where(table.c.conn_id == SMS_CONN_ID, table.c.received_at >= moment)
    with SmsHook.for_connection(SMS_CONN_ID).store().reading() as store:
        return [tuple(row) for row in store.execute(wanted.order_by(table.c.received_at))]


def not_handled(customers: Engine, landed: list[tuple[str, int, str, str]]) -> list[tuple[Any, ...]]:
    """Leave out the replies that an earlier run has handled."""
    from sqlalchemy import text

    with customers.begin() as connection:
        connection.execute(
            text("""
                CREATE TABLE IF NOT EXISTS appointment_replies (
                    page_id VARCHAR(64), seq INTEGER, mobile VARCHAR(32), meaning VARCHAR(16),
                    handled_at VARCHAR(32), PRIMARY KEY (page_id, seq)
                )
            """)
        )
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS sms_opt_outs (mobile VARCHAR(32) PRIMARY KEY, since VARCHAR(32))"
            )
        )
        handled = {
            tuple(row) for row in connection.execute(text("SELECT page_id, seq FROM appointment_replies"))
        }
    return [reply for reply in landed if reply[:2] not in handled]


def write_down(customers: Engine, page_id: str, seq: int, mobile: str, meaning: str) -> bool:
    """Keep what a reply meant, unless another run was quicker; the tables' keys let nothing be done twice."""
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        with customers.begin() as connection:
            connection.execute(
                text("INSERT INTO appointment_replies VALUES (:page_id, :seq, :mobile, :meaning, :now)"),
                {"page_id": page_id, "seq": seq, "mobile": mobile, "meaning": meaning, "now": now},
            )
            if meaning == "opted_out":
                # One parameter in two places of a statement has two types to some drivers of PostgreSQL.
                known = connection.execute(
                    text("SELECT 1 FROM sms_opt_outs WHERE mobile = :mobile"), {"mobile": mobile}
                )
                if known.first() is None:
                    connection.execute(
                        text("INSERT INTO sms_opt_outs VALUES (:mobile, :now)"),
                        {"mobile": mobile, "now": now},
                    )
    except IntegrityError:
        return False
    return True


example_sms_reply_driven()
