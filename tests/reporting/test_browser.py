"""The page in a browser: opened from a file, on a desk, on a phone, in the dark, on paper."""

from __future__ import annotations

import base64
import json
import re

import pytest

SCHEMES = {"light": "rgb(251, 251, 249)", "dark": "rgb(18, 23, 27)"}


def shown(browser, selector):
    from selenium.webdriver.common.by import By

    return [each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]


def style(browser, selector, name):
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    return browser.execute_script(script, selector, name)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("figures", ["busy_day", "empty_day"])
def test_nothing_is_wider_than_the_screen_and_nothing_is_asked_for(rendered, request, look, figures, width):
    page = look(rendered(request.getfixturevalue(figures), "both"), width)
    for language in ("zh", "en"):
        page.execute_script("document.getElementById(arguments[0]).click()", f"choose-{language}")
        page.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
        # The room beside the scroll bar, and what would have to be scrolled to.
        room, needed = page.execute_script(
            "const root = document.documentElement; return [root.clientWidth, root.scrollWidth]"
        )
        assert (width - 20 < room <= width, needed) == (True, room)
    assert page.get_log("browser") == []
    events = [json.loads(each["message"])["message"] for each in page.get_log("performance")]
    asked = [
        each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"
    ]
    assert [url.partition(":")[0] for url in asked] == ["file"]


def test_pictures_are_drawn_within_their_frames(rendered, look, busy_day):
    page = look(rendered(busy_day, "both"))
    pictures = shown(page, "figure svg")
    assert len(pictures) == 9
    for picture in pictures:
        boxes = page.execute_script(
            """return [...arguments[0].querySelectorAll('path, text')].map(each => {
                 const box = each.getBoundingClientRect();
                 return [each.tagName, box.left, box.right, box.top, box.bottom, each.textContent] })""",
            picture,
        )
        frame = picture.rect
        drawn = [box for box in boxes if box[2] > box[1] or box[4] > box[3]]
        assert len({box[0] for box in drawn}) == 2
        for name, left, right, top, bottom, text in drawn:
            inside = (
                left >= frame["x"] - 2
                and right <= frame["x"] + frame["width"] + 2
                and top >= frame["y"] - 2
                and bottom <= frame["y"] + frame["height"] + 2
            )
            assert inside, (picture.get_attribute("aria-labelledby"), name, text)


def test_no_two_texts_of_a_picture_overlap(rendered, look, busy_day):
    page = look(rendered(busy_day, "both"))
    for language in ("zh", "en"):
        page.execute_script("document.getElementById(arguments[0]).click()", f"choose-{language}")
        overlapping = page.execute_script(
            """return [...document.querySelectorAll('figure svg')].flatMap(svg => {
                 const texts = [...svg.querySelectorAll('text')]
                   .map(text => [text.textContent, text.getBoundingClientRect()])
                   .filter(([_, box]) => box.width > 0);
                 return texts.flatMap(([a, one], i) => texts.slice(i + 1)
                   .filter(([_, two]) => Math.min(one.right, two.right) - Math.max(one.left, two.left) > 1
                       && Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 4)
                   .map(([b, _]) => `${a} / ${b}`)) })"""
        )
        assert overlapping == []


def test_the_switch_changes_every_word_without_a_script(rendered, look, busy_day):
    page = look(rendered(busy_day, "both"))
    body = shown(page, "body")[0]
    assert "送达率" in body.text
    assert "Delivery rate" not in body.text
    [label] = shown(page, "label[for=choose-en]")
    label.click()
    assert "Delivery rate" in body.text
    # The switch itself names both, and an account has a Chinese name.
    assert set(re.findall(r"[\u4e00-\u9fff]", body.text)) <= set("中文华东")
    drawn = [each.text for each in shown(page, "svg tspan")]
    assert "China Mobile" in drawn
    assert "中国移动" not in drawn


def test_the_switch_works_by_keyboard(rendered, look, busy_day):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page = look(rendered(busy_day, "both"))
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "Delivery rate" in shown(page, "body")[0].text


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_follows_the_readers_light_or_dark(rendered, look, busy_day, scheme):
    page = look(rendered(busy_day, "both"), dark=scheme == "dark")
    assert style(page, "body", "backgroundColor") == SCHEMES[scheme]
    for selector in ("h1", ".note", "figure svg text", "td", "summary", ".attention dd"):
        ink = _luminance(style(page, selector, "fill" if "svg" in selector else "color"))
        paper = _luminance(SCHEMES[scheme])
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast > 4.5, selector


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_paper_has_the_tables_and_no_switch(rendered, look, busy_day):
    # A4 between its margins.
    page = look(rendered(busy_day, "en"), 688, media="print")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 688
    assert shown(page, "figure table")
    assert style(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    printed = base64.b64decode(page.print_page())
    assert printed.startswith(b"%PDF")
