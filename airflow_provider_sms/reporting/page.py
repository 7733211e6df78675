"""The page: one HTML file that needs no other, and no script."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.reporting.drawing import need_matplotlib
from airflow_provider_sms.reporting.speaking import Speaker, count, share, share_of, shown, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template
    from markupsafe import Markup

    from airflow_provider_sms.reporting.figures import Attention, DayFigures


#: Outcomes whose colours are explained.
_LEGEND = ("delivered", "failed", "silent", "waiting")


class Tile(NamedTuple):
    """One of the few figures at the head of the page."""

    name: Markup
    figure: Markup | str
    aside: Markup
    role: str = ""


class Matter(NamedTuple):
    """One kind of thing that waits for a person, and the command that shows more of it."""

    name: Markup
    number: str
    note: Markup
    command: str


class Listing(NamedTuple):
    """Things that wait, one a row."""

    title: Markup
    head: tuple[tuple[Markup, bool], ...]
    rows: list[tuple[Markup | str, ...]]
    more: str


def render(figures: DayFigures, language: str = "both") -> str:
    """
    Make the page.

    Equal figures and an equal matplotlib give equal text.

    :param figures: everything it tells.
    :param language: ``zh``, ``en``, or ``both`` with a switch.
    :return: HTML; it refers to nothing outside of itself.
    :raises PreflightError: matplotlib is not installed.
    """
    need_matplotlib()
    from airflow_provider_sms.reporting.exhibits import exhibits

    speaker = Speaker(language, figures.timezone)
    return _template().render(
        figures=figures,
        speaker=speaker,
        say=speaker.say,
        style=_style(),
        whose=_whose(figures, speaker),
        tiles=list(_tiles(figures, speaker)),
        unreported=_unreported(figures, speaker),
        legend=[*_LEGEND, *(["no_reports"] if _any_unreported(figures) else [])],
        attention=figures.attention,
        matters=list(_matters(figures.attention, speaker)),
        lists=list(_listings(figures.attention, speaker)),
        exhibits=exhibits(figures, speaker),
        hours=f"{figures.silent_after_hours:g}",
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("airflow_provider_sms.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2")


@cache
def _style() -> Markup:
    from markupsafe import Markup

    # Our own file; escaped, its quotation marks would break it.
    return Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8").strip())  # noqa: S704


def _whose(figures: DayFigures, speaker: Speaker) -> Markup:
    if not figures.conn_ids:
        return speaker.say("all_accounts")
    return speaker.say("only_accounts", accounts=shown(", ".join(figures.conn_ids)))


def _tiles(figures: DayFigures, speaker: Speaker) -> Iterator[Tile]:
    say, total = speaker.say, figures.total
    rate_note, of_accepted = (
        ("rate_note_owed", "of_owed") if total.no_reports else ("rate_note", "of_accepted")
    )
    yield Tile(say("rate"), share(total.rate), say(rate_note))
    yield Tile(
        say("accepted"),
        count(total.accepted),
        say("of_count_intended", count=count(total.intended)),
    )
    for key, number in (("delivered", total.delivered), ("failed", total.failed), ("silent", total.silent)):
        yield Tile(say(key), count(number), say(of_accepted, share=share_of(number, total.owed)), key)
    percentiles = figures.latency.percentiles
    yield Tile(
        say("median"),
        speaker.names(span(percentiles[0] if percentiles else None)),
        say("p95_note", span=span(percentiles[2])) if percentiles else say("no_latency"),
    )


def _any_unreported(figures: DayFigures) -> bool:
    return any(day.counts.no_reports for day in figures.days)


def _unreported(figures: DayFigures, speaker: Speaker) -> Markup | str:
    """Say which accounts give no reports, where anything of the day went out by them."""
    accounts = ", ".join(shown(each.conn_id) for each in figures.accounts if each.counts.no_reports)
    if not accounts:
        return ""
    return speaker.say("no_reports_note", accounts=accounts, count=count(figures.total.no_reports))


def _matters(attention: Attention, speaker: Speaker) -> Iterator[Matter]:
    found = (
        ("unknown_batches", "unknown_note", attention.unknown_batches, "airflow sms settle"),
        ("suspect", "suspect_note", attention.suspect, "airflow sms pages --state suspect"),
        ("quarantined", "quarantined_note", attention.quarantined, "airflow sms replay --all-quarantined"),
        ("unlanded", "unlanded_note", attention.unlanded, "airflow sms pages --state read"),
        ("spooled", "spooled_note", attention.spooled, "airflow sms pages --state spooled"),
        ("torn", "torn_note", attention.torn, "airflow sms pages --state torn"),
        ("unreadable", "unreadable_note", attention.unreadable, "airflow sms pages --state unreadable"),
    )
    for name, note, number, command in found:
        if number:
            said = speaker.say(note, count=count(attention.unknown_messages))
            yield Matter(speaker.say(name), count(number), said, command)


def _listings(attention: Attention, speaker: Speaker) -> Iterator[Listing]:
    say = speaker.say
    if attention.sends:
        yield Listing(
            say("unknown_batches"),
            _head(speaker, "send_key", "batch#", "account", "recipients#", "submitted"),
            [
                (
                    shown(send.send_key),
                    str(send.batch_no),
                    shown(send.conn_id),
                    count(send.recipients),
                    speaker.time(send.submitted_at),
                )
                for send in attention.sends
            ],
            _more(attention.unknown_batches, len(attention.sends)),
        )
    if attention.pages:
        yield Listing(
            say("open_pages"),
            _head(speaker, "page", "account", "queue", "state", "started"),
            [
                (
                    page.page_id,
                    shown(page.conn_id),
                    say(f"queue_{page.queue}"),
                    say(f"page_{page.state}"),
                    speaker.time(page.started_at),
                )
                for page in attention.pages
            ],
            _more(attention.suspect + attention.quarantined + attention.unlanded, len(attention.pages)),
        )


def _head(speaker: Speaker, *columns: str) -> tuple[tuple[Markup, bool], ...]:
    return tuple((speaker.say(column.rstrip("#")), column.endswith("#")) for column in columns)


def _more(total: int, shown: int) -> str:
    return count(total - shown) if total > shown else ""
