"""Pages of 北斗通's queues: what is kept of them, and what is said of the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_sms import errors
from airflow_provider_sms.records import DeliveryStatus
from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor
from airflow_provider_sms.wire import WireResponse

VENDOR = BeidoutongVendor()


def page(*boxes: str, status="1"):
    """Make a page of reports of the form protocol."""
    body = f"<WsStatusResponse><ReturnStatus>{status}</ReturnStatus><StatusList>{''.join(boxes)}</StatusList>"
    return WireResponse(200, f"{body}</WsStatusResponse>".encode())


def box(**fields: str):
    """Make a report; a field of ``None`` is left out."""
    usual = {
        "Mobile": "13800138000",
        "TaskID": "213143",
        "Status": "10",
        "ReceiveTime": "2019-04-15 09:08:10",
        "ErrorCode": "DELIVRD",
        "Extno": "",
    }
    cells = (f"<{name}>{value}</{name}>" for name, value in (usual | fields).items() if value is not None)
    return f"<WsStatusBox>{''.join(cells)}</WsStatusBox>"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"Mobile": None}, "has no readable Mobile"),
        ({"Mobile": "=cmd"}, "has no readable Mobile"),
        ({"TaskID": ""}, "has no readable TaskID"),
        ({"TaskID": "0"}, "has no readable TaskID"),
        ({"Status": "ten"}, "has no readable Status"),
        ({"Status": None}, "has no readable Status"),
        ({"ReceiveTime": "yesterday"}, "has no readable ReceiveTime"),
        ({"Extno": "<a/>"}, "has further elements inside of Extno"),
        ({"Extno": None, "Kennung": "5"}, "has no Extno, but an unknown element"),
    ],
)
def test_a_report_that_cannot_be_read_leaves_a_gap(account, fields, what):
    """What stands before and after it is kept; place and field are named, its content is not."""
    found = VENDOR.parse_reports(account, page(box(TaskID="1"), box(**fields), box(TaskID="3")))
    assert [report.vendor_message_id for report in found.records] == ["1", "3"]
    assert (found.complete, found.gaps) == (False, (1,))
    assert found.problem == f"2 records can be read; WsStatusBox 2 {what}"


def test_of_many_unreadable_records_three_are_named(account):
    found = VENDOR.parse_reports(account, page(*[box(Status="?")] * 100, box()))
    assert len(found.records) == 1
    assert found.gaps == tuple(range(100))
    assert found.problem.count("WsStatusBox") == 3
    assert found.problem.endswith("; 100 in all cannot be read")


def test_statuses(account):
    """§4.3: 10 delivered, 20 failed; others are not listed, so their meaning is unknown."""
    found = VENDOR.parse_reports(account, page(*[box(Status=status) for status in ("10", "20", "0", "-1")]))
    assert [(report.status, report.vendor_status) for report in found.records] == [
        (DeliveryStatus.DELIVERED, "10"),
        (DeliveryStatus.FAILED, "20"),
        (DeliveryStatus.UNKNOWN, "0"),
        (DeliveryStatus.UNKNOWN, "-1"),
    ]


@pytest.mark.parametrize("status", ["0", "-1", "", "Faild"])
def test_records_are_kept_whatever_the_status_says(account, status):
    """The page is their only copy; that the two don't fit is a problem of the page."""
    found = VENDOR.parse_reports(account, page(box(), status=status))
    assert len(found.records) == 1
    assert not found.complete
    assert "ReturnStatus is not 1" in found.problem


def test_an_empty_list_under_1_is_an_empty_queue(account):
    assert VENDOR.parse_reports(account, page()).empty


@pytest.mark.parametrize("status", ["1", "0"])
@pytest.mark.parametrize(
    "inner", [f"<![CDATA[{box()}]]>", box().replace("<", "&lt;"), f"{box()}{box()} &amp; more", f"x{box()}"]
)
def test_text_in_the_list_is_not_passed_over(account, status, inner):
    """Records that are written as text would be taken for an empty queue, and their bytes not kept."""
    found = VENDOR.parse_reports(account, page(inner, status=status))
    assert not found.complete
    assert "holds text beside its records" in found.problem
    assert len(found.records) == inner.count("</WsStatusBox>") * ("CDATA" not in inner)


def test_blanks_between_records_are_none(account):
    assert VENDOR.parse_reports(account, page("\r\n  ", box(), "\r\n", box(), "\r\n")).complete


def test_a_page_without_status_and_records_is_no_page(account):
    body = b"<WsStatusResponse><StatusList /></WsStatusResponse>"
    with pytest.raises(errors.WireFormatError, match="without ReturnStatus"):
        VENDOR.parse_reports(account, WireResponse(200, body))


def test_a_cut_failure_is_not_yet_a_failure(account):
    """What comes behind the cut may be records; only a whole answer says that nothing was handed over."""
    body = b"<WsStatusResponse><ReturnStatus>-1</ReturnStatus><Message>"
    found = VENDOR.parse_reports(account, WireResponse(200, body, complete=False, problem="time-out"))
    assert (found.records, found.complete) == ([], False)
    assert "time-out" in found.problem


def test_times_are_those_of_the_connection(account_of):
    account = account_of(VENDOR, timezone="UTC")
    found = VENDOR.parse_reports(account, page(box(ReceiveTime="2019-04-15 09:08:10")))
    assert found.records[0].occurred_at == datetime(2019, 4, 15, 9, 8, 10, tzinfo=UTC)


def test_a_page_of_ten_thousand_reports(account):
    found = VENDOR.parse_reports(account, page(*[box(TaskID=str(n + 1)) for n in range(10_000)]))
    assert found.complete
    assert [int(report.vendor_message_id) for report in found.records] == list(range(1, 10_001))
