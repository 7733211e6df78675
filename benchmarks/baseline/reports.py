"""
Three DAG functions as a good engineer writes them in an evening: read a queue until it is empty, keep it.

They are right as long as nothing fails. Each makes its client anew, as every task does, takes the objects
that the client gives, and hands one frame to ``to_sql``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import requests
from zeep import Client

if TYPE_CHECKING:
    from sqlalchemy import Engine

TABLE = "reports"
_STATUSES = {"10": "delivered", "20": "failed", "-1": "pending"}
_TIMEOUT = 30


def collect_beidoutong(connection: dict[str, Any], engine: Engine, page_size: int) -> int:
    """Read beidoutong's reports by SOAP; how many there were."""
    client = Client(f"{_address(connection)}/SmsWebService.asmx?WSDL")
    total = 0
    while True:
        answer = client.service.QueryStatus(
            userid=connection["extra"]["userid"],
            account=connection["login"],
            password=connection["password"],
            statusNum=page_size,
        )
        if str(answer.ReturnStatus) == "0":
            return total
        if str(answer.ReturnStatus) != "1":
            raise RuntimeError(answer.Message)
        rows = [
            {
                "mobile": box.Mobile,
                "task_id": box.TaskID,
                "status": _STATUSES.get(str(box.Status), "unknown"),
                "error_code": box.ErrorCode,
                "extno": box.Extno,
                "reported_at": box.ReceiveTime,
            }
            for box in answer.StatusList.WsStatusBox
        ]
        frame = pd.DataFrame(rows)
        frame["reported_at"] = _utc(frame["reported_at"])
        frame.to_sql(TABLE, engine, if_exists="append", index=False)
        total += len(frame)


def collect_wavecom(connection: dict[str, Any], engine: Engine, *, page_by_page: bool = False) -> int:
    """
    Read wavecom's reports; how many there were.

    :param page_by_page: write each page as it comes, which loses less when something fails.
    """
    rows: list[dict[str, Any]] = []
    total = 0
    while True:
        answer = requests.get(
            f"{_address(connection)}/get_report_txt.asp",
            params={"us_name": connection["login"], "us_pwd": connection["password"]},
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        count, _, records = answer.content.decode("gbk").strip().partition("|")
        if int(count) < 0:
            raise RuntimeError(f"wavecom says {count}")
        page = []
        for record in filter(None, records.split("|")):
            message_id, mobile, status = record.split(";")
            page.append(
                {"message_id": message_id, "mobile": mobile, "status": _STATUSES.get(status, "unknown")}
            )
        total += len(page)
        rows += page
        if rows and (page_by_page or not page):
            frame = pd.DataFrame(rows)
            frame["read_at"] = pd.Timestamp.now("UTC")
            frame.to_sql(TABLE, engine, if_exists="append", index=False)
            rows = []
        if not page:
            return total


def collect_smsadmin(connection: dict[str, Any], engine: Engine, *, page_by_page: bool = False) -> int:
    """Read smsadmin's reports, without its pause of 5 s between two reads; as :func:`collect_wavecom`."""
    rows: list[dict[str, Any]] = []
    total = 0
    while True:
        answer = requests.get(
            f"{_address(connection)}/smsmarketing/wwwroot/api/report/",
            params={"uid": connection["login"], "pwd": connection["password"]},
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        page = []
        for line in answer.content.decode("gb18030").splitlines():
            if line.count("/") < 4:  # noqa: PLR2004 - a code, not a record
                continue
            mobile, time, linkid, word, extno = line.split("/")
            status = "delivered" if word == "DELIVRD" else "failed"
            page.append(
                {
                    "mobile": mobile,
                    "linkid": linkid,
                    "status": status,
                    "word": word,
                    "extno": extno,
                    "time": time,
                }
            )
        total += len(page)
        rows += page
        if rows and (page_by_page or not page):
            frame = pd.DataFrame(rows)
            frame["time"] = _utc(frame["time"])
            frame.to_sql(TABLE, engine, if_exists="append", index=False)
            rows = []
        if not page:
            return total


def _address(connection: dict[str, Any]) -> str:
    return f"{connection['schema']}://{connection['host']}:{connection['port']}"


def _utc(times: pd.Series) -> pd.Series:
    return pd.to_datetime(times).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
