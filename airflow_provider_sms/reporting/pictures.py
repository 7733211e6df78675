"""The page's pictures: rows of bars, columns over time, and the distribution of a span."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import east_asian_width

from airflow_provider_sms.reporting import drawing
from airflow_provider_sms.reporting.drawing import (
    DELIVERED,
    FAILED,
    GRID,
    INK,
    PLAIN,
    QUIET,
    SILENT,
    WAITING,
    WIDTH,
)
from airflow_provider_sms.reporting.figures import LATENCY_ENDS, PERCENTILES, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from airflow_provider_sms.reporting.drawing import Canvas
    from airflow_provider_sms.reporting.figures import Counts, Latency

#: Heights, in the picture's units.
_ROW = 28
_BAR = 13
_COLUMNS_HEIGHT = 248
#: What the hidden part of a rate's scale may be.
_RATE_STEP = 0.1
_LEAST_HIDDEN = 0.5
#: What a label keeps from its bar, and how wide a letter is, in ems.
_GAP = 10
_NARROW = 0.6
#: Percentiles that the distribution shows.
_MARKED = (50, 95)
#: What fits below a scale of columns.
_MOST_LETTERS = 40


class BarRow(NamedTuple):
    """
    One row of bars.

    :param parts: colour and length of each part, in messages.
    :param figures: the two that stand at its right, the second one quieter.
    """

    names: Names
    parts: tuple[tuple[str, float], ...]
    figures: tuple[str | Names, str | Names]


class Places(NamedTuple):
    """
    Where the parts of a row stand, in the picture's units.

    :param bars: where bars begin and the longest ends.
    :param figures: where the two figures end.
    """

    bars: tuple[int, int] = (104, 276)
    figures: tuple[int, int] = (340, WIDTH)


_PLACES = Places()


class Column(NamedTuple):
    """One column of a chart over time."""

    label: str
    counts: Counts


def outcome(counts: Counts) -> tuple[tuple[str, float], ...]:
    """Part accepted messages by what became of them."""
    return (
        (DELIVERED, counts.delivered),
        (FAILED, counts.failed),
        (SILENT, counts.silent),
        (WAITING, counts.waiting),
        (PLAIN, counts.no_reports),
    )


def bars(
    rows: Sequence[BarRow], *, gap_after: int = 0, places: Places = _PLACES
) -> tuple[int, Callable[[Canvas], None]]:
    """
    Make a painter of rows of bars on one scale.

    :param rows: from above.
    :param gap_after: leave half a row behind so many rows.
    :param places: a label that is longer than its place is cut: the table has all of it.
    :return: the picture's height, and what paints it.
    """
    gap = _ROW // 2 if gap_after else 0
    height = _ROW * len(rows) + gap
    longest = max((sum(length for _, length in row.parts) for row in rows), default=0) or 1

    def paint(canvas: Canvas) -> None:
        axes = _sheet(canvas, height)
        for number, row in enumerate(rows):
            middle = _ROW * (number + 0.5) + (gap if number >= gap_after else 0)
            _row(canvas, axes, row, middle, places, longest)

    return height, paint


def over_time(columns: Sequence[Column], *, to_last: bool = False) -> tuple[int, Callable[[Canvas], None]]:
    """
    Make a painter of the delivery rate over the messages accepted, both over time.

    :param to_last: where not every column has room for its label, give one to the last, not to the first.
    :return: the picture's height, and what paints it.
    """

    def paint(canvas: Canvas) -> None:
        rate, counts = canvas.figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (2, 3), "hspace": 0.28}
        )
        canvas.figure.subplots_adjust(left=0.125, right=0.985, top=0.955, bottom=0.095)
        _paint_rates(rate, [column.counts.rate for column in columns])
        _paint_counts(counts, columns)
        room = _MOST_LETTERS // max(len(column.label) for column in columns)
        step = math.ceil(len(columns) / room)
        places = range((len(columns) - 1) % step if to_last else 0, len(columns), step)
        counts.set_xticks(list(places), [columns[place].label for place in places])
        counts.set_xlim(-0.6, len(columns) - 0.4)

    return _COLUMNS_HEIGHT, paint


def distribution(latency: Latency, labels: Sequence[Names]) -> tuple[int, Callable[[Canvas], None]]:
    """
    Make a painter of how long delivery took.

    :param labels: of the ends of the classes.
    :return: the picture's height, and what paints it.
    """
    total = sum(latency.classes) or 1
    shares = [count / total for count in latency.classes]

    def paint(canvas: Canvas) -> None:
        axes = canvas.figure.subplots()
        canvas.figure.subplots_adjust(left=0.125, right=0.985, top=0.86, bottom=0.095)
        axes.bar(range(len(shares)), shares, width=0.82, color=DELIVERED)
        # Every other end: more do not fit.
        ends = range(0, len(LATENCY_ENDS), 2)
        axes.set_xticks([place + 0.5 for place in ends], [canvas.word(labels[place]) for place in ends])
        axes.set_xlim(-0.6, len(shares) - 0.4)
        _scale(axes, max(shares), percent=True)
        if latency.percentiles:
            told = dict(zip(PERCENTILES, latency.percentiles, strict=True))
            for percent in _MARKED:
                _mark(axes, _class_place(told[percent]), f"{percent}%")
        drawing.tidy(axes)

    return _COLUMNS_HEIGHT, paint


# --- rows ------------------------------------------------------------------------------------------


def _sheet(canvas: Canvas, height: int) -> Axes:
    """Make an axes whose units are the picture's own, the first row above."""
    axes = canvas.figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    return axes


def _row(canvas: Canvas, axes: Axes, row: BarRow, middle: float, places: Places, longest: float) -> None:
    left, end = map(float, places.bars)
    scale = (end - left) / longest
    label = Names(*(_fitted(spelling, left - _GAP) for spelling in row.names))
    axes.text(0, middle, canvas.word(label), va="center_baseline", color=INK, size=drawing.TEXT)
    for colour, length in row.parts:
        if length:
            axes.barh(middle, length * scale, height=_BAR, left=left, color=colour)
            left += length * scale
    first, second = row.figures
    if isinstance(first, Names):
        # A vendor's code may be as long as it likes.
        room = places.figures[0] - places.bars[1] - _GAP
        first = Names(*(_fitted(spelling, room) for spelling in first))
    for place, figure, colour in zip(places.figures, (first, second), (INK, QUIET), strict=True):
        text = canvas.word(figure) if isinstance(figure, Names) else figure
        axes.text(place, middle, text, va="center_baseline", ha="right", color=colour, size=drawing.TEXT)


def _fitted(text: str, room: float) -> str:
    """Cut a text to a room; every reader has another typeface, so the widths are those of a wide one."""
    widths = [1.0 if east_asian_width(character) in "WF" else _NARROW for character in text]
    if sum(widths) * drawing.TEXT <= room:
        return text
    kept, left = "", room / drawing.TEXT - 1
    for character, width in zip(text, widths, strict=True):
        left -= width
        if left < 0:
            break
        kept += character
    return f"{kept}…"


# --- columns ---------------------------------------------------------------------------------------


def _paint_rates(axes: Axes, rates: Sequence[float | None]) -> None:
    known = [rate for rate in rates if rate is not None]
    low = math.floor(min(known, default=0) / _RATE_STEP) * _RATE_STEP
    low = min(low, 1 - _RATE_STEP) if low >= _LEAST_HIDDEN else 0.0
    axes.plot(
        range(len(rates)),
        [math.nan if rate is None else rate for rate in rates],
        color=DELIVERED,
        linewidth=1.8,
        marker="o",
        markersize=4.5,
        markeredgewidth=0,
        clip_on=False,
    )
    axes.set_ylim(low, 1)
    ticks = [low, (low + 1) / 2, 1]
    axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    drawing.tidy(axes)
    axes.tick_params(labelbottom=False)


def _paint_counts(axes: Axes, columns: Sequence[Column]) -> None:
    bottom = [0.0] * len(columns)
    parts = [outcome(column.counts) for column in columns]
    for layer in range(len(parts[0]) if parts else 0):
        heights = [part[layer][1] for part in parts]
        if any(heights):
            axes.bar(range(len(columns)), heights, bottom=bottom, width=0.78, color=parts[0][layer][0])
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    _scale(axes, max(bottom, default=0))
    drawing.tidy(axes)


def _scale(axes: Axes, largest: float, *, percent: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    top = largest or 1
    axes.set_ylim(0, top)
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=not percent).tick_values(0, top)
    ticks = [tick for tick in ticks if 0 <= tick <= top]
    axes.set_yticks(ticks, [f"{tick:.0%}" if percent else _short(tick) for tick in ticks])
    axes.grid(axis="y", color=GRID, linewidth=0.8)


def _short(number: float) -> str:
    """Write a count of a scale shortly: ``250k``, as people of both languages read it."""
    if number >= 1_000_000:  # noqa: PLR2004
        return f"{number / 1_000_000:g}M"
    if number >= 10_000:  # noqa: PLR2004
        return f"{number / 1_000:g}k"
    return f"{number:,.0f}"


# --- the distribution ------------------------------------------------------------------------------


def _class_place(seconds: float) -> float:
    """Find where a span stands on the scale of the classes."""
    low = 0.0
    for place, end in enumerate(LATENCY_ENDS):
        if seconds <= end:
            return place - 0.5 + (seconds - low) / (end - low)
        low = end
    return float(len(LATENCY_ENDS))


def _mark(axes: Axes, place: float, text: str) -> None:
    axes.axvline(place, color=INK, linewidth=1.2, ymax=1.02, clip_on=False)
    axes.annotate(
        text, (place, 1.04), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=INK,
        size=drawing.SMALL, annotation_clip=False,
    )  # fmt: skip
