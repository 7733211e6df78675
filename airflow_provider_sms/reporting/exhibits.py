"""Each picture of the page with the table that says the same in figures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sms.reporting import meanings, pictures
from airflow_provider_sms.reporting.drawing import DELIVERED, FAILED, PLAIN, SILENT, WAITING, draw
from airflow_provider_sms.reporting.figures import LATENCY_ENDS, PERCENTILES, Names
from airflow_provider_sms.reporting.pictures import BarRow, Column, Places
from airflow_provider_sms.reporting.speaking import amount, count, share, share_of, shown, span
from airflow_provider_sms.reporting.wording import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

    from airflow_provider_sms.reporting.drawing import Canvas
    from airflow_provider_sms.reporting.figures import Account, Counts, DayFigures, Group
    from airflow_provider_sms.reporting.speaking import Speaker

#: Rows of bars in one picture; the table has all.
_MOST_BARS = 10
#: Units of the scale of latencies.
_UNITS = ((3600, "时", "h"), (60, "分", "m"), (1, "秒", "s"))
#: Names of states and of accounts are longer than those of provinces.
_STATES = Places(bars=(116, 276))
_ACCOUNTS = Places(bars=(128, 222), figures=(284, 416))


class Exhibit(NamedTuple):
    """
    One figure of the page.

    :param name: of its ids; title and note stand in the wording under it.
    :param svg: empty where there is nothing to show; then ``empty`` says so.
    :param legend: whether the colours of the outcomes are explained.
    :param head: of the table; texts, and whether each column holds numbers.
    :param rows: of the table.
    """

    name: str
    title: Markup
    note: Markup
    svg: str = ""
    empty: Markup | str = ""
    legend: bool = False
    head: tuple[tuple[Markup, bool], ...] = ()
    rows: tuple[tuple[Markup | str, ...], ...] = ()


def exhibits(figures: DayFigures, speaker: Speaker) -> list[Exhibit]:
    """Make all of them, in the page's order; those without a picture say why."""
    make = _Maker(figures, speaker)
    return [
        make.funnel(),
        make.latency(),
        make.hours(),
        make.days(),
        make.groups("carriers", "carrier", figures.carriers),
        make.groups("provinces", "province", figures.provinces),
        make.failures(),
        make.refusals(),
        make.accounts(),
    ]


class _Maker:
    def __init__(self, figures: DayFigures, speaker: Speaker) -> None:
        self._figures = figures
        self._say = speaker.say
        self._names = speaker.names
        self._speaker = speaker

    def funnel(self) -> Exhibit:
        total = self._figures.total
        steps = [
            ("intended", total.intended, PLAIN),
            ("accepted", total.accepted, PLAIN),
            ("reported", total.reported, PLAIN),
            ("delivered", total.delivered, DELIVERED),
            ("failed", total.failed, FAILED),
            ("silent", total.silent, SILENT),
            ("waiting", total.waiting, WAITING),
        ]
        if total.no_reports:
            steps.append(("no_reports", total.no_reports, PLAIN))
        rows = [
            BarRow(WORDS[key], ((colour, number),), (count(number), share_of(number, total.intended)))
            for key, number, colour in steps
        ]
        table = [
            (
                self._say(key),
                count(number),
                share_of(number, total.intended),
                _of_accepted(total, key, number),
            )
            for key, number, _ in [*steps, ("refused", total.refused, "")]
        ]
        return self._exhibit(
            "funnel",
            pictures.bars(rows, gap_after=4) if total.intended else None,
            ("step", "messages#", "share_intended#", "share_accepted#"),
            table,
            empty="empty_day",
        )

    def latency(self) -> Exhibit:
        latency = self._figures.latency
        total = sum(latency.classes)
        labels = [_class_label(end) for end in LATENCY_ENDS]
        table: list[tuple[Markup | str, ...]] = [
            (self._say("percentile", percent=percent), self._names(span(seconds)), "")
            for percent, seconds in zip(PERCENTILES, latency.percentiles, strict=False)
        ]
        ends = [self._say("at_most", span=span(end)) for end in LATENCY_ENDS]
        ends.append(self._say("longer", span=span(LATENCY_ENDS[-1])))
        table += [
            (end, count(number), share_of(number, total))
            for end, number in zip(ends, latency.classes, strict=True)
        ]
        return self._exhibit(
            "latency",
            pictures.distribution(latency, labels) if total else None,
            ("within", "messages#", "share_delivered#"),
            table,
            empty="empty_latency" if self._figures.total.intended else "empty_day",
        )

    def hours(self) -> Exhibit:
        hours = self._figures.hours
        columns = [Column(hour.label, hour.counts) for hour in hours]
        table = [(f"{hour.label}:00", *_counted(hour.counts)) for hour in hours if hour.counts.intended]
        return self._exhibit(
            "hours",
            pictures.over_time(columns) if self._figures.total.intended else None,
            ("hour", *_COUNTED),
            table,
            empty="empty_day",
            legend=True,
        )

    def days(self) -> Exhibit:
        days = self._figures.days
        columns = [Column(f"{day.day:%m-%d}", day.counts) for day in days]
        table = [(day.day.isoformat(), *_counted(day.counts)) for day in reversed(days)]
        exhibit = self._exhibit(
            "days",
            pictures.over_time(columns, to_last=True) if any(day.counts.intended for day in days) else None,
            ("day", *_COUNTED),
            table,
            empty="empty_days",
            legend=True,
        )
        title = self._say("days", count=len(days)) if len(days) > 1 else self._say("one_day")
        return exhibit._replace(title=title)

    def groups(self, name: str, thing: str, groups: Sequence[Group]) -> Exhibit:
        rows = [
            BarRow(
                group.names,
                pictures.outcome(group.counts),
                (count(group.counts.accepted), share(group.counts.rate)),
            )
            for group in groups[:_MOST_BARS]
        ]
        table = [(self._names(group.names), *_counted(group.counts)) for group in groups]
        return self._exhibit(
            name,
            pictures.bars(rows) if rows else None,
            (thing, *_COUNTED),
            table,
            empty="empty_day",
            legend=True,
        )

    def failures(self) -> Exhibit:
        failures = self._figures.failures
        total = self._figures.total.failed
        codes: Counter[str] = Counter()
        for failure in failures:
            codes[failure.code] += failure.messages
        rows = [
            BarRow(_code(code), ((FAILED, number),), (count(number), share_of(number, total)))
            for code, number in codes.most_common(_MOST_BARS)
        ]
        table = [
            (
                self._names(_code(failure.code)),
                self._names(meanings.of_report(failure.code)),
                failure.vendor,
                count(failure.messages),
                share_of(failure.messages, total),
            )
            for failure in failures
        ]
        return self._exhibit(
            "failures",
            pictures.bars(rows) if rows else None,
            ("code", "meaning", "vendor", "messages#", "share_failed#"),
            table,
            empty="empty_failures",
        )

    def refusals(self) -> Exhibit:
        table = [
            (
                self._say(f"state_{refusal.state}"),
                self._names(_code(refusal.code))
                if refusal.state == "rejected"
                else shown(refusal.code) or "–",
                self._names(meanings.of_answer(refusal.vendor, refusal.code) or Names("–", "–")),
                refusal.vendor,
                count(refusal.batches),
                count(refusal.recipients),
            )
            for refusal in self._figures.refusals
        ]
        rows = [
            BarRow(
                WORDS[f"state_{refusal.state}"],
                ((FAILED if refusal.state == "rejected" else WAITING, refusal.recipients),),
                (_plain(refusal.code), count(refusal.recipients)),
            )
            for refusal in self._figures.refusals[:_MOST_BARS]
        ]
        return self._exhibit(
            "refusals",
            pictures.bars(rows, places=_STATES) if rows else None,
            ("state", "code", "meaning", "vendor", "batches#", "recipients#"),
            table,
            empty="empty_refusals" if self._figures.total.intended else "empty_day",
        )

    def accounts(self) -> Exhibit:
        accounts = self._figures.accounts
        rows = [
            BarRow(
                _plain(account.conn_id),
                ((PLAIN, account.segments),),
                (count(account.segments), _remaining(account)),
            )
            for account in accounts[:_MOST_BARS]
        ]
        table = [
            (
                shown(account.conn_id),
                account.vendor,
                *_counted(account.counts),
                self._names(span(account.median)),
                count(account.segments),
                self._names(amount(account.remaining, account.unit)),
                self._speaker.time(account.checked_at),
                self._names(amount(account.spent, account.unit)),
                self._names(amount(account.topped_up, account.unit)),
                self._speaker.time(account.moved_since),
            )
            for account in accounts
        ]
        return self._exhibit(
            "accounts",
            pictures.bars(rows, places=_ACCOUNTS) if rows else None,
            ("account", "vendor", *_COUNTED, "median_short#", "segments#", "balance#", "checked", "spent#",
             "topped_up#", "moved_since"),
            table,
            empty="empty_accounts",
        )  # fmt: skip

    def _exhibit(
        self,
        name: str,
        picture: tuple[int, Callable[[Canvas], None]] | None,
        head: Sequence[str],
        rows: Sequence[tuple[Markup | str, ...]],
        *,
        empty: str,
        legend: bool = False,
    ) -> Exhibit:
        """Put together; a column whose name ends with ``#`` holds numbers."""
        drawn = picture is not None
        return Exhibit(
            name=name,
            title=self._say(name) if name != "days" else self._say("one_day"),
            note=self._say(f"{name}_note"),
            svg=draw(name, *picture, self._speaker.in_picture) if picture else "",
            empty=self._say(empty),
            legend=legend and drawn,
            head=tuple((self._say(column.rstrip("#")), column.endswith("#")) for column in head),
            rows=tuple(rows) if drawn else (),
        )


_COUNTED = ("intended#", "accepted#", "delivered#", "failed#", "silent#", "waiting#", "rate_short#")


def _counted(counts: Counts) -> tuple[str, ...]:
    return (
        *(
            count(number)
            for number in (
                counts.intended,
                counts.accepted,
                counts.delivered,
                counts.failed,
                counts.silent,
                counts.waiting,
            )
        ),
        share(counts.rate),
    )


def _of_accepted(total: Counts, key: str, number: int) -> str:
    """Tell which share of the accepted messages a step of the funnel is; the first one is none of them."""
    return "" if key in {"intended", "refused"} else share_of(number, total.accepted)


def _class_label(seconds: int) -> Names:
    """Write the end of a class as shortly as a scale needs it."""
    for size, zh, en in _UNITS:
        if seconds >= size:
            return Names(f"{seconds // size}{zh}", f"{seconds // size}{en}")
    return Names(str(seconds), str(seconds))


def _code(code: str) -> Names:
    return _plain(code) if code else WORDS["no_code"]


def _plain(text: str) -> Names:
    return Names(shown(text), shown(text))


def _remaining(account: Account) -> Names:
    return amount(account.remaining, account.unit) if account.unit else WORDS["balance_unknown"]
