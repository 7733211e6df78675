"""Every figure of the page, against messages that went through the sandbox and were counted one by one."""

from __future__ import annotations

import logging
import random
import shutil
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import html5lib
import numpy as np
import phonenumbers.carrier
import phonenumbers.geocoder
import pytest
from sqlalchemy import text

from airflow_provider_sms.collecting import Collector
from airflow_provider_sms.errors import PreflightError, SmsError
from airflow_provider_sms.gateway import Gateway
from airflow_provider_sms.records import Queue
from airflow_provider_sms.reporting import meanings
from airflow_provider_sms.reporting.figures import LATENCY_ENDS
from airflow_provider_sms.reporting.gathering import day_to_tell, gather
from airflow_provider_sms.reporting.page import render
from airflow_provider_sms.reporting.speaking import span
from airflow_provider_sms.sandbox import Fault, Sandbox
from airflow_provider_sms.sending import SendOrder, send
from airflow_provider_sms.store.balances import Balances
from airflow_provider_sms.store.engine import Store
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendor_of_type
from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

CHINA = ZoneInfo("Asia/Shanghai")
TEXT = "您的订单已发货【演示】"
#: Blocks of several carriers and provinces, and one that nobody lists.
BLOCKS = ("1381001", "1301010", "1331010", "1898200", "1500755", "1440000")


class Told(NamedTuple):
    """One message, as the tables have it row by row."""

    conn_id: str
    vendor: str
    mobile: str
    segments: int
    state: str
    code: str
    submitted_at: datetime
    status: str
    error_code: str
    latency: float | None


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory):
    """Fill a store once: give its folder, and the day that the most of it is about."""
    folder = tmp_path_factory.mktemp("filled")
    store = Store.open(f"sqlite:///{folder}/sms.db", spool_dir=folder / "spool")
    day = (store.now().astimezone(CHINA) - timedelta(days=2)).date()
    with (
        Sandbox(linkws_balance_interval=0, failure_share=0.25, silent_share=0.2) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        # The sandbox may be read at any pace.
        patch.setattr(SmsAdminVendor, "intervals", {})
        _send_and_collect(store, sandbox)
    _move(store, day)
    store.close()
    return folder, day


def _send_and_collect(store, sandbox):
    """Send by four vendors, some of it in vain, and collect what three of them report."""
    log = logging.getLogger("test")
    chance = random.Random(7)  # noqa: S311 - which numbers is of no matter
    gateways = {
        vendor: _gateway(sandbox, vendor) for vendor in ("beidoutong", "wavecom", "smsadmin", "linkws")
    }

    def send_to(vendor, numbers, key, content=TEXT):
        send(gateways[vendor], store, SendOrder(key, content), lambda: {"mobile": numbers}, log=log)

    for vendor, gateway in gateways.items():
        Balances(store).record(f"sms_{vendor}", vendor, gateway.balance())
        for number in range(4):
            numbers = [f"{chance.choice(BLOCKS)}{last:04}" for last in chance.sample(range(10_000), 20)]
            send_to(vendor, numbers, f"{vendor}-{number}")
    refused = [f"{block}0001" for block in BLOCKS]
    for fault, key in (("busy", "busy"), ("reset_after", "lost")):
        sandbox.faults.add(Fault(fault, vendor="linkws", operation="send"))
        with pytest.raises(SmsError):
            send_to("linkws", refused[:3], key)
    with pytest.raises(SmsError):
        send_to("wavecom", refused, "forbidden", "赌博【演示】")
    for vendor in ("beidoutong", "wavecom", "smsadmin"):
        Collector(gateways[vendor], store, Queue.REPORTS, owner="test", log=log).run()
        assert not sandbox.waiting(vendor, "reports")
        Balances(store).record(f"sms_{vendor}", vendor, gateways[vendor].balance())
    for gateway in gateways.values():
        gateway.close()


def _gateway(sandbox, vendor):
    fields = sandbox.connection(vendor)
    codec = vendor_of_type(fields.pop("conn_type"), f"sms_{vendor}")
    return Gateway(codec, check_account(codec, f"sms_{vendor}", **fields))


@pytest.fixture
def filled(filled_folder, tmp_path):
    """Give a copy of the filled store."""
    shutil.copy(filled_folder[0] / "sms.db", tmp_path)
    store = Store.open(f"sqlite:///{tmp_path}/sms.db", spool_dir=tmp_path / "spool")
    yield store
    store.close()


@pytest.fixture
def store(filled):
    """Let the fixture ``rows`` ask the filled store."""
    return filled


@pytest.fixture
def day(filled_folder):
    """Give the local day before yesterday."""
    return filled_folder[1]


def _move(store, day):
    """Let sends of even numbers go out on the day, the others on the day before; reports come later."""
    chance = random.Random(3)  # noqa: S311
    morning = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    with store.begin() as connection:
        batches = connection.execute(text("SELECT send_key, batch_no FROM sms_batches ORDER BY 1, 2")).all()
        for place, (send_key, batch_no) in enumerate(batches):
            before = send_key.endswith(("-1", "-3"))
            moment = morning + timedelta(hours=7 + place % 16, minutes=place) - timedelta(days=before)
            connection.execute(
                text(
                    "UPDATE sms_batches SET submitted_at = :at, prepared_at = :at "
                    "WHERE send_key = :send_key AND batch_no = :batch_no"
                ),
                {"at": _stored(moment), "send_key": send_key, "batch_no": batch_no},
            )
        sent = {
            (identity, mobile): datetime.fromisoformat(at).replace(tzinfo=UTC)
            for identity, mobile, at in connection.execute(text(_SENT)).all()
        }
        for page_id, seq, identity, mobile in connection.execute(
            text("SELECT page_id, seq, vendor_message_id, mobile FROM sms_reports ORDER BY 1, 2")
        ).all():
            later = timedelta(seconds=chance.choice([0, 1, 3, 7, 15, 42, 100, 250, 4000, 90_000]))
            connection.execute(
                text("UPDATE sms_reports SET reported_at = :at WHERE page_id = :page_id AND seq = :seq"),
                {"at": _stored(sent[identity, mobile] + later), "page_id": page_id, "seq": seq},
            )
        for place, (ident,) in enumerate(
            connection.execute(text("SELECT id FROM sms_balances ORDER BY checked_at, id")).all()
        ):
            connection.execute(
                text("UPDATE sms_balances SET checked_at = :at WHERE id = :id"),
                {"at": _stored(morning + timedelta(hours=1, minutes=place)), "id": ident},
            )


_SENT = """SELECT i.vendor_message_id, r.mobile, b.submitted_at FROM sms_batch_ids i
           JOIN sms_recipients r ON r.send_id = i.send_id AND r.batch_no = i.batch_no
           JOIN sms_batches b ON b.send_id = i.send_id AND b.batch_no = i.batch_no"""


def _stored(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


@pytest.fixture
def messages(filled, rows):
    """Join messages and reports by hand."""
    assert filled.dialect == "sqlite"
    reports = defaultdict(list)
    for vendor, identity, mobile, status, code, at in rows(
        "SELECT vendor, vendor_message_id, mobile, status, error_code, reported_at FROM sms_reports"
    ):
        reports[vendor, identity, mobile].append((status, code, datetime.fromisoformat(at)))
    ids = defaultdict(set)
    for send_id, batch_no, identity in rows("SELECT send_id, batch_no, vendor_message_id FROM sms_batch_ids"):
        ids[send_id, batch_no].add(identity)
    found = []
    for send_id, batch_no, conn_id, vendor, mobile, segments, state, code, at in rows(
        """SELECT b.send_id, b.batch_no, conn_id, vendor, mobile, r.segments, state, vendor_code, submitted_at
           FROM sms_recipients r JOIN sms_batches b ON b.send_id = r.send_id AND b.batch_no = r.batch_no"""
    ):
        mine = [one for each in ids[send_id, batch_no] for one in reports.get((vendor, each, mobile), ())]
        assert len(mine) <= 1
        submitted = datetime.fromisoformat(at)
        status, error_code, reported = mine[0] if mine else ("", "", None)
        latency = (reported - submitted).total_seconds() if status == "delivered" else None
        moment = submitted.replace(tzinfo=UTC)
        found.append(
            Told(conn_id, vendor, mobile, segments, state, code or "", moment, status, error_code, latency)
        )
    # All that can happen has happened.
    assert {each.status for each in found} == {"", "delivered", "failed"}
    assert {each.state for each in found} == {"accepted", "rejected", "unknown"}
    return found


def counted(messages, silent_before) -> list[str]:
    """Count as the tables of the page do, in plain Python."""
    accepted = [each for each in messages if each.state == "accepted" or each.status]
    delivered = sum(each.status == "delivered" for each in accepted)
    failed = sum(each.status == "failed" for each in accepted)
    # linkws gives no reports: none of its messages is missed, or in a rate.
    owed = [each for each in accepted if each.vendor != "linkws"]
    silent = sum(not each.status and each.submitted_at < silent_before for each in owed)
    waiting = len(owed) - delivered - failed - silent
    numbers = [len(messages), len(accepted), delivered, failed, silent, waiting]
    rate = percent(delivered, len(owed))
    return [*(f"{number:,}" for number in numbers), rate]


def percent(part, whole) -> str:
    if not whole:
        return "–"
    return f"{part / whole:.0%}" if part in {0, whole} else f"{100 * part / whole:.1f}%"


def tables(html: str) -> dict[str, list[list[str]]]:
    """Read the tables behind the pictures."""
    root = html5lib.parse(html, treebuilder="lxml", namespaceHTMLElements=False).getroot()
    return {
        figure.get("id"): [
            ["".join(cell.itertext()) for cell in row] for row in figure.findall(".//tbody/tr")
        ]
        for figure in root.iter("figure")
    }


def grouped(messages, key) -> dict[Any, list[Told]]:
    groups = defaultdict(list)
    for each in messages:
        groups[key(each)].append(each)
    return groups


@pytest.fixture
def told(filled, day, messages):
    """Make the page with half of the day's unreported messages overdue; give its tables and the messages."""
    noon = datetime(day.year, day.month, day.day, 12, 30, tzinfo=CHINA)
    hours = (filled.now() - noon).total_seconds() / 3600
    figures = gather(filled, day, days=3, silent_after_hours=hours)
    of_day = [each for each in messages if each.submitted_at.astimezone(CHINA).date() == day]
    assert 100 < len(of_day) < len(messages)
    return tables(render(figures, "en")), of_day, noon


def test_the_funnel(told):
    page, messages, noon = told
    intended, accepted, delivered, failed, silent, waiting, _ = counted(messages, noon)
    assert int(silent) > 0
    assert int(waiting) > 0
    unreported = sum(each.vendor == "linkws" and each.state == "accepted" for each in messages)
    numbers = {
        "Intended": intended, "Accepted": accepted, "Reported": str(int(delivered) + int(failed)),
        "Delivered": delivered, "Failed": failed, "Silent": silent, "Waiting": waiting,
        "No reports given": str(unreported),
        "Not accepted": str(int(intended) - int(accepted)),
    }  # fmt: skip
    assert {row[0]: row[1] for row in page["funnel"]} == numbers
    for name, number, of_intended, of_accepted in page["funnel"]:
        assert of_intended == percent(int(number), int(intended))
        expected = "" if name in {"Intended", "Not accepted"} else percent(int(number), int(accepted))
        assert of_accepted == expected


def test_the_hours_and_the_days(told, day, messages):
    page, of_day, noon = told
    hours = grouped(of_day, lambda each: f"{each.submitted_at.astimezone(CHINA):%H:00}")
    assert page["hours"] == [[hour, *counted(hours[hour], noon)] for hour in sorted(hours)]
    days = grouped(messages, lambda each: each.submitted_at.astimezone(CHINA).date())
    expected = [day, day - timedelta(days=1), day - timedelta(days=2)]
    assert page["days"] == [[each.isoformat(), *counted(days[each], noon)] for each in expected]


@pytest.mark.parametrize("name", ["carriers", "provinces"])
def test_carriers_and_provinces(told, name):
    page, messages, noon = told

    def place(each):
        number = phonenumbers.parse(each.mobile, "CN")
        if name == "carriers":
            return phonenumbers.carrier.name_for_number(number, "en") or "Unknown"
        place = phonenumbers.geocoder.description_for_number(number, "en").rpartition(", ")[2]
        return "Unknown" if place in {"", "China"} else place

    groups = grouped(messages, place)
    assert len(groups) >= 3
    assert {row[0]: row[1:] for row in page[name]} == {key: counted(groups[key], noon) for key in groups}
    accepted = [int(row[2]) for row in page[name]]
    assert accepted == sorted(accepted, reverse=True)


def test_the_latencies(told):
    page, messages, _ = told
    latencies = sorted(each.latency for each in messages if each.latency is not None)
    bounds = [0.0, *LATENCY_ENDS]
    classes = [
        sum((low < each or low == 0) and each <= high for each in latencies)
        for low, high in zip(bounds, LATENCY_ENDS, strict=False)
    ]
    classes.append(len(latencies) - sum(classes))
    shown = page["latency"]
    assert [int(row[1]) for row in shown[4:]] == classes
    assert [row[2] for row in shown[4:]] == [percent(each, len(latencies)) for each in classes]
    seconds = [round(each) for each in latencies]
    for (name, told_span, _), share in zip(shown, (0.5, 0.9, 0.95, 0.99), strict=False):
        assert name == f"{share:.0%} within"
        assert told_span == span(float(np.quantile(seconds, share))).en


def test_why_messages_failed_and_batches_were_refused(told):
    page, messages, _ = told
    failed = [each for each in messages if each.status == "failed"]
    codes = Counter((each.vendor, each.error_code) for each in failed)
    assert len(codes) > 1
    expected = {
        (code or "no code", meanings.of_report(code).en, vendor, str(count), percent(count, len(failed)))
        for (vendor, code), count in codes.items()
    }
    assert {tuple(row) for row in page["failures"]} == expected
    refused = [each for each in messages if each.state != "accepted"]
    states = {"rejected": "rejected", "unknown": "unknown"}
    shown = {(row[0], row[1], row[3]): (row[4], row[5]) for row in page["refusals"]}
    people = Counter((states[each.state], each.code, each.vendor) for each in refused)
    assert {key: int(count) for key, (_, count) in shown.items()} == {
        (state, code or "–", vendor): count for (state, code, vendor), count in people.items()
    }
    assert ["rejected", "-3", "the text holds a forbidden word"] in [row[:3] for row in page["refusals"]]


def test_accounts_their_balances_and_their_spend(told, rows):
    page, messages, noon = told
    groups = grouped(messages, lambda each: each.conn_id)
    shown = {row[0]: row for row in page["accounts"]}
    assert set(shown) == set(groups)
    for conn_id, mine in groups.items():
        row = shown[conn_id]
        assert row[1] == mine[0].vendor
        assert row[2:9] == counted(mine, noon)
        charged = sum(each.segments for each in mine if each.state == "accepted" or each.status)
        assert row[10] == str(charged)
        told_balances = rows(
            "SELECT CAST(remaining AS FLOAT), unit, checked_at FROM sms_balances WHERE conn_id = :id"
            " ORDER BY checked_at",
            id=conn_id,
        )
        last, unit, _ = told_balances[-1]
        first = datetime.fromisoformat(told_balances[0][2]).replace(tzinfo=UTC).astimezone(CHINA)
        written = "CNY {:,.2f}" if unit == "money" else "{:,.0f} messages"
        moved = [written.format(told_balances[0][0] - last), written.format(0), f"{first:%Y-%m-%d %H:%M}"]
        assert row[11] == written.format(last)
        # linkws was asked once, which tells of no movement.
        assert row[13:] == (["–", "–", "–"] if conn_id == "sms_linkws" else moved)
        # Without a report nobody knows how long it took.
        assert (row[9] == "–") is (conn_id == "sms_linkws")


def test_what_waits_for_a_person(filled, day):
    from airflow_provider_sms.store.journal import Journal

    journal = Journal(filled)
    page_id = journal.begin("sms_wavecom", "wavecom", "reports", "reader")
    with filled.begin() as connection:
        connection.execute(
            text("UPDATE sms_pages SET state = 'suspect' WHERE page_id = :id"), {"id": page_id}
        )
    attention = gather(filled, day).attention
    assert (attention.unknown_batches, attention.unknown_messages) == (1, 3)
    assert [send.send_key for send in attention.sends] == ["lost"]
    assert attention.suspect == 1
    assert [page.page_id for page in attention.pages] == [page_id]
    assert attention.total == 2
    elsewhere = gather(filled, day, conn_ids=["sms_smsadmin"]).attention
    assert elsewhere.total == 0


def test_files_of_the_spool_wait_for_a_person_as_well(filled, day):
    """Torn ones, also those that are found out only now, and those that nobody here may read."""
    filled.spool_dir.mkdir(parents=True, exist_ok=True)
    (filled.spool_dir / "one.torn").write_bytes(b"half")
    (filled.spool_dir / "other.page").write_bytes(b"not whole either")
    # Nobody can read it as a file, not even root.
    (filled.spool_dir / "theirs.page").mkdir()
    for conn_ids, others in ((), 1), (["sms_smsadmin"], 0):
        attention = gather(filled, day, conn_ids=conn_ids).attention
        assert (attention.spooled, attention.torn, attention.unreadable) == (0, 2, 1)
        assert attention.total == others + 3


def test_one_connection_alone(filled, day, messages):
    figures = gather(filled, day, conn_ids=["sms_smsadmin"], days=2)
    mine = [each for each in messages if each.conn_id == "sms_smsadmin"]
    of_day = [each for each in mine if each.submitted_at.astimezone(CHINA).date() == day]
    assert figures.total.intended == len(of_day) > 0
    assert figures.days[0].counts.intended == len(mine) - len(of_day)
    assert [account.conn_id for account in figures.accounts] == ["sms_smsadmin"]
    assert sum(group.counts.intended for group in figures.carriers) == len(of_day)
    assert {failure.vendor for failure in figures.failures} == {"smsadmin"}
    assert figures.refusals == ()


def test_nothing_of_anybodys_is_on_the_page(filled, day, messages):
    html = render(gather(filled, day, days=3), "both")
    assert not any(each.mobile in html or each.mobile[:8] in html for each in messages)
    assert "订单" not in html


def test_another_zones_day_has_other_messages(filled, day, messages):
    figures = gather(filled, day, timezone="America/New_York")
    zone = ZoneInfo("America/New_York")
    expected = [each for each in messages if each.submitted_at.astimezone(zone).date() == day]
    assert figures.total.intended == len(expected)
    found = Counter(f"{each.submitted_at.astimezone(zone):%H}" for each in expected)
    assert {hour.label: hour.counts.intended for hour in figures.hours if hour.counts.intended} == found


def test_an_empty_store_gives_an_empty_page(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/empty.db", spool_dir=tmp_path / "spool")
    figures = gather(store)
    store.close()
    assert figures.total.intended == 0
    assert len(figures.days) == 7
    assert "No message was planned or sent" in render(figures, "en")


def test_what_is_wrong_is_said_at_once(store):
    with pytest.raises(PreflightError) as failure:
        gather(store, days=0, timezone="Mars/Olympus", silent_after_hours=-1)
    for name in ("days", "timezone", "silent_after_hours"):
        assert f"{name} is" in str(failure.value)


def test_the_page_of_the_morning_is_about_yesterday():
    morning = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)  # half past six in China, on the 23rd
    assert str(day_to_tell(morning, "Asia/Shanghai")) == "2026-11-22"
    assert str(day_to_tell(morning + timedelta(hours=6), "Asia/Shanghai")) == "2026-11-23"
    assert str(day_to_tell(morning, "UTC")) == "2026-11-22"
