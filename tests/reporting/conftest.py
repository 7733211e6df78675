"""A day's figures made up, and a browser to look at their page with."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest

from airflow_provider_sms.reporting.figures import (
    Account,
    Attention,
    Counts,
    Day,
    DayFigures,
    Failure,
    Group,
    Hour,
    Latency,
    Names,
    OpenPage,
    Refusal,
    UnknownSend,
)
from airflow_provider_sms.reporting.page import render

DAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 15, 50, tzinfo=UTC)
#: What a vendor that is hostile, or mad, may answer as its code.
HOSTILE = "$\\frac{1$ 13812345678\x00\x1b[2J\u202e<b>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")


def _hour(hour: int) -> Counts:
    if hour < 7:
        return Counts()
    return Counts(1000 + hour, 990 + hour, 900, 60 + hour, 20)


def _summed(counts) -> Counts:
    return Counts(*map(sum, zip(*counts, strict=True)))


@pytest.fixture
def busy_day() -> DayFigures:
    """Make up a day on which everything happened; names are as long and as strange as they get."""
    hours = tuple(Hour(f"{hour:02}", _hour(hour)) for hour in range(24))
    total = _summed(hour.counts for hour in hours)
    days = [Day(DAY - timedelta(days=ago), _hour(7 + ago)) for ago in range(13, 0, -1)]
    return DayFigures(
        day=DAY,
        timezone="Asia/Shanghai",
        as_of=NOW,
        silent_after_hours=72,
        conn_ids=(),
        total=total,
        latency=Latency(
            (47.2, 260.0, 610.0, 4000.0),
            (0, 3, 40, 300, 900, 2400, 5200, 4000, 1500, 800, 100, 40, 12, 4, 1),
        ),
        hours=hours,
        days=(*days, Day(DAY, total)),
        accounts=(
            Account(
                "sms_smsadmin_marketing_华东_with_a_name_that_goes_on_and_on",
                "smsadmin", _hour(10), 62.0, 11800, "money", Decimal("14812.35"), NOW, Decimal("590.00"),
                Decimal(2000), NOW - timedelta(days=7),
            ),
            Account("sms_<b>&wavecom", "wavecom", _hour(11), None, 6010, "messages", Decimal(1200), NOW),
            Account("sms_linkws", "linkws", _hour(12), 8.0, 500),
        ),
        carriers=(
            Group(Names("中国移动", "China Mobile"), _hour(13)),
            Group(Names("未知", "Unknown"), _hour(14)),
        ),
        provinces=tuple(
            Group(Names(f"省{number}", f"Province {number}"), _hour(7 + number)) for number in range(14)
        ),
        failures=(
            Failure("smsadmin", "UNDELIV", 612),
            Failure("beidoutong", "<script>alert(1)</script>", 211),
            Failure("wavecom", "", 60),
        ),
        refusals=(
            Refusal("wavecom", "rejected", "-3", 3, 300),
            Refusal("smsadmin", "unknown", "", 1, 100),
            Refusal("linkws", "not_sent", "", 2, 60),
            Refusal("linkws", "rejected", HOSTILE, 1, 50),
            Refusal("linkws", "unknown", HOSTILE, 1, 40),
        ),
        attention=Attention(
            sends=(UnknownSend("nightly 13812345678", 3, "sms_smsadmin", 100, NOW - timedelta(hours=3)),),
            unknown_batches=4,
            unknown_messages=321,
            pages=(
                OpenPage("page-1", "sms_wavecom", "reports", "suspect", NOW),
                OpenPage("page-2", "sms_beidoutong", "replies", "quarantined", NOW),
            ),
            quarantined=1,
            suspect=1,
        ),
    )  # fmt: skip


@pytest.fixture
def empty_day() -> DayFigures:
    """Make up a day on which nothing was sent."""
    return DayFigures(
        day=DAY,
        timezone="UTC",
        as_of=NOW,
        silent_after_hours=24,
        conn_ids=("sms_main",),
        total=Counts(),
        latency=Latency(),
        hours=tuple(Hour(f"{hour:02}", Counts()) for hour in range(24)),
        days=tuple(Day(DAY - timedelta(days=ago), Counts()) for ago in range(6, -1, -1)),
        accounts=(),
        carriers=(),
        provinces=(),
        failures=(),
        refusals=(),
        attention=Attention(),
    )


@pytest.fixture(scope="session")
def rendered():
    """Render figures as the package does, each page once: to draw its pictures takes a second."""
    return cache(render)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Start a browser of this machine once; tests give it a width by the ``look`` fixture."""
    if not CHROMIUM or not CHROMEDRIVER:
        pytest.skip("no chromium and chromedriver on this machine")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def look(browser, tmp_path):
    """Open a page from a file: ``look(html, width=390, dark=True)``."""

    def open_file(html: str, width: int = 1280, *, dark: bool = False, media: str = "screen"):
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(file.as_uri())
        return browser

    return open_file
