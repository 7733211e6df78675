"""The page as text: whole, self-contained, safe, in two languages, the same each time."""

from __future__ import annotations

import re
from dataclasses import replace

import html5lib
import pytest

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.reporting import drawing
from airflow_provider_sms.reporting.figures import Attention, Counts, Day
from airflow_provider_sms.reporting.page import render

PICTURES = {
    "funnel", "latency", "hours", "days", "carriers", "provinces", "failures", "refusals", "accounts",
}  # fmt: skip
#: Attributes by which a page can ask for something elsewhere.
ASKING = ("src", "srcset", "poster", "data", "action", "formaction", "background", "cite", "longdesc", "ping")


def parsed(html: str):
    """Parse as browsers do, and refuse what they would only put up with."""
    parser = html5lib.HTMLParser(
        tree=html5lib.getTreeBuilder("lxml"), strict=True, namespaceHTMLElements=False
    )
    return parser.parse(html).getroot()


@pytest.fixture(params=["busy_day", "empty_day"])
def figures(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["both", "zh", "en"])
def language(request):
    return request.param


def test_it_is_html_that_asks_for_nothing(rendered, figures, language):
    html = rendered(figures, language)
    root = parsed(html)
    assert "://" not in html
    assert not re.search(r"url\(|@import|<script|<iframe|<object|<embed|<link|<base|<img|<form\b", html)
    for element in root.iter():
        asked = [name for name in element.attrib if name in ASKING or name.startswith("on")]
        assert asked == [], element.tag
        assert element.get("href", "#").startswith("#")
    policy = root.find(".//meta[@http-equiv='Content-Security-Policy']").get("content")
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"} <= set(policy.split("; "))
    assert len(html.encode()) < 500_000


def test_every_id_is_there_once_and_every_reference_leads_to_one(rendered, figures, language):
    root = parsed(rendered(figures, language))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for name in ("aria-labelledby", "for"):
            assert element.get(name, ids[0]) in ids
        assert element.get("href", f"#{ids[0]}")[1:] in ids


def test_each_picture_has_a_title_and_its_table(rendered, busy_day):
    root = parsed(rendered(busy_day, "en"))
    figures = {figure.get("id"): figure for figure in root.iter("figure")}
    assert set(figures) == PICTURES
    for name, figure in figures.items():
        assert figure.find(f".//*[@id='{name}-title']").text
        [svg] = [each for each in figure.iter() if str(each.tag).endswith("svg")]
        assert (svg.get("role"), svg.get("aria-labelledby")) == ("img", f"{name}-title")
        head = figure.findall(".//thead/tr/th")
        rows = figure.findall(".//tbody/tr")
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_no_picture_is_large(rendered, busy_day):
    """A picture that is a hundred kilobytes draws too much."""
    pictures = re.findall(r"<svg.*?</svg>", rendered(busy_day, "both"), re.DOTALL)
    assert len(pictures) == len(PICTURES)
    assert max(map(len, pictures)) < 40_000


def test_a_day_without_messages_says_so_and_draws_nothing(rendered, empty_day):
    html = rendered(empty_day, "en")
    assert "<svg" not in html
    assert "<table" not in html
    assert "No message was planned or sent on this day." in html
    assert "Nothing waits for a person" in html
    assert "Accounts: sms_main" in html
    assert "24 hours" in html


@pytest.mark.parametrize(("language", "tag"), [("zh", "zh-CN"), ("en", "en")])
def test_one_language_has_no_switch_and_none_of_the_other(rendered, busy_day, language, tag):
    root = parsed(rendered(busy_day, language))
    assert root.get("lang") == tag
    assert not list(root.iter("input", "label"))
    assert not [element for element in root.iter() if element.get("lang") not in {None, tag}]
    if language == "en":
        text = " ".join(root.itertext())
        # What is left is an account's own name.
        assert set(re.findall(r"[\u4e00-\u9fff]", text)) == set("华东")


def test_everything_is_said_in_both_languages(rendered, busy_day):
    root = parsed(rendered(busy_day, "both"))
    zh, en = ([element for element in root.iter() if element.get("lang") == tag] for tag in ("zh-CN", "en"))
    # The page's own tag is the first language.
    assert len(zh) == len(en) + 1
    for element in zh[1:]:
        assert element.getnext().get("lang") == "en"
        assert re.search(r"[\u4e00-\u9fff]", "".join(element.itertext()))


def test_equal_figures_give_equal_bytes(busy_day, language):
    first = render(busy_day, language)
    assert render(replace(busy_day), language) == first
    assert render(replace(busy_day, total=busy_day.total._replace(failed=1)), language) != first


def test_names_are_text_and_numbers_of_people_are_masked(rendered, busy_day):
    html = rendered(busy_day, "both")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "sms_&lt;b&gt;&amp;wavecom" in html
    assert "13812345678" not in html
    assert "138****5678" in html


def test_a_vendors_code_is_text_whatever_is_in_it(rendered, busy_day, language):
    """In tables and pictures: no formula, no control character, nothing that turns a text round."""
    html = rendered(busy_day, language)
    section = html[html.index('<figure id="refusals"') : html.index('<figure id="accounts"')]
    picture, _, rows = section.partition("</svg>")
    assert rows.count("$\\frac{1$ 138****5678\ufffd\ufffd[2J\ufffd&lt;b&gt;") == 2
    assert picture.count("$\\fra…") == 2
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e]", html)
    parsed(html)


def test_the_page_says_whose_latencies_run_to_the_reading(rendered, busy_day, language):
    """Reports of wavecom carry no time."""
    html = rendered(busy_day, language)
    assert "wavecom" in html[html.index('id="latency-title"') :].partition("<svg")[0]


def test_what_waits_is_counted_listed_and_has_a_command(rendered, busy_day):
    html = rendered(busy_day, "en")
    section = html[html.index('id="attention-title"') : html.index('class="exhibits"')]
    assert "reached 321 people" in section
    for command in ("airflow sms settle", "--state suspect", "--all-quarantined"):
        assert command in section
    assert "page-1" in section
    # Of four unknown batches one is listed.
    assert "3 more are not listed" in section
    spooled = render(replace(busy_day, attention=Attention(unlanded=2, spooled=7)), "en")
    assert "--state read" in spooled
    assert "--state spooled" in spooled
    assert "airflow sms settle" not in spooled


def test_files_that_nobody_can_land_are_told_in_words(empty_day, language):
    attention = Attention(torn=1234, unreadable=5678)
    html = render(replace(empty_day, attention=attention), language)
    section = html[html.index('id="attention-title"') : html.index('class="exhibits"')]
    for told in ("<b>1,234</b>", "<b>5,678</b>", "--state torn", "--state unreadable"):
        assert told in section
    for tongue, words in (("zh", "残缺的暂存文件"), ("en", "Torn files in the spool")):
        assert (words in section) is (language in {tongue, "both"})


def test_accounts_that_give_no_reports_are_named(rendered, busy_day, language):
    """Their messages are in no rate: neither is the rate one of all that were accepted."""
    assert 'class="no_reports"' not in rendered(busy_day, language)
    total = busy_day.total._replace(accepted=busy_day.total.accepted + 4321, no_reports=4321)
    [*others, linkws] = busy_day.accounts
    accounts = (*others, linkws._replace(counts=Counts(4321, 4321, no_reports=4321)))
    days = (*busy_day.days[:-1], Day(busy_day.day, total))
    figures = replace(busy_day, total=total, accounts=accounts, days=days)
    assert total.rate == busy_day.total.rate
    html = render(figures, language)
    parsed(html)
    head = html[: html.index('id="attention-title"')]
    for tongue, words in (
        ("zh", "这些账户的供应商不提供状态报告：sms_linkws。其接受的 4,321 条"),
        ("en", "These accounts give no reports: sms_linkws. Their 4,321 accepted"),
    ):
        assert (words in head) is (language in {tongue, "both"})
    assert '<li class="no_reports">' in html


def test_the_accounts_say_since_when_their_balances_moved(rendered, busy_day):
    """A balance that was checked a week ago has not fallen within the day alone."""
    html = rendered(busy_day, "both")
    table = html[html.index('<figure id="accounts"') :]
    assert "<td>2026-11-15 23:50</td>" in table
    assert "当天减少" not in html
    assert "before the day, which may be days ago" in table


def test_times_are_those_of_the_zone_that_the_page_names(rendered, busy_day):
    assert "2026-11-22 23:50" in rendered(busy_day, "en")
    html = render(replace(busy_day, timezone="Europe/Berlin"), "en")
    assert "Times are in Europe/Berlin" in html
    assert "2026-11-22 16:50" in html
    assert "23:50" not in html


def test_without_matplotlib_it_says_what_to_install(busy_day, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(PreflightError, match="pip install matplotlib"):
        render(busy_day)
    monkeypatch.undo()
    drawing.need_matplotlib()
