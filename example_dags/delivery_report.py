"""
The chart and the CSV of ``example_sms_nightly_delivery_etl``: a frame in, bytes out.

Characters that the default font lacks are shown as code points: servers rarely have a font for Chinese.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

# Colours that people with any colour vision can tell apart, and that differ in lightness when printed.
_PARTS = (
    ("delivered", "delivered", "#1f7a8c"),
    ("failed", "failed", "#e4572e"),
    ("silent", "silent (no report in time)", "#f2b134"),
    ("open", "no report yet", "#dde3e8"),
)
_INK = "#22303c"
_QUIET = "#6b7a88"
_TEAL = _PARTS[0][2]
_LEGEND: dict[str, Any] = {
    "bbox_to_anchor": (-0.01, 1.0),
    "frameon": False,
    "fontsize": 9,
    "borderaxespad": 0.1,
}
_MOST_ROWS = 24
#: How much room an account's name takes above its first row, in rows.
_HEADING = 1.9


def to_csv(daily: pd.DataFrame) -> bytes:
    """
    Write the table as CSV for people: a spreadsheet neither guesses the charset nor runs a cell.

    :param daily: rows of ``sms_delivery_daily``.
    :return: UTF-8 with a byte order mark; text that a spreadsheet would take for a formula begins with ``'``.
    """
    from airflow_provider_sms.spreadsheets import defuse

    shown = daily.assign(day=daily["day"].dt.strftime("%Y-%m-%d"))
    for name in shown.columns:
        if shown[name].dtype.kind not in "biuf":
            shown[name] = shown[name].map(defuse)
    return shown.round(4).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def to_png(daily: pd.DataFrame) -> bytes:
    """
    Draw one day: what became of the messages of each account and carrier, and how fast.

    :param daily: rows of ``sms_delivery_daily`` of one day; none gives a chart that says so.
    """
    from matplotlib.figure import Figure

    rows = daily.sort_values(["conn_id", "accepted"], ascending=[True, False]).head(_MOST_ROWS)
    places = _places(rows["conn_id"].tolist())
    height = 2.0 + 0.36 * max([*places, 2])
    figure = Figure(figsize=(10.4, height), dpi=110, facecolor="white")
    outcome, latency = figure.subplots(
        1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2], "wspace": 0.16}
    )
    figure.subplots_adjust(left=0.15, right=0.965, top=1 - 1.12 / height, bottom=0.72 / height)
    title = (
        f"SMS delivery on {daily['day'].iloc[0]:%Y-%m-%d}" if len(daily) else "SMS delivery: nothing was sent"
    )
    figure.text(0.022, 1 - 0.4 / height, title, weight="bold", size=15, color=_INK)
    figure.text(0.022, 1 - 0.66 / height, _summed_up(daily, len(daily) - len(rows)), size=9.5, color=_QUIET)
    if places:
        _draw_outcome(outcome, rows, places)
        _draw_latency(latency, rows, places)
        _draw_names(outcome, rows, places)
    else:
        outcome.set_axis_off()
        latency.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"optimize": True})
    return buffer.getvalue()


def _places(conn_ids: Sequence[str]) -> list[float]:
    """Give each row its place from above; an account's first row leaves room for its name."""
    places: list[float] = []
    place = 0.0
    for index, conn_id in enumerate(conn_ids):
        place += _HEADING if index == 0 or conn_id != conn_ids[index - 1] else 1.0
        places.append(place)
    return places


def _summed_up(daily: pd.DataFrame, hidden: int) -> str:
    sums = {name: int(daily[name].sum()) for name in ("accepted", "delivered", "failed", "silent")}
    shares = f" ({sums['delivered'] / sums['accepted']:.1%})" if sums["accepted"] else ""
    more = f"; {hidden} rows are in the CSV only" if hidden else ""
    return (
        f"{sums['accepted']:,} messages accepted by the vendors: {sums['delivered']:,} delivered{shares}, "
        f"{sums['failed']:,} failed, {sums['silent']:,} silent{more}"
    )


def _draw_outcome(axes: Axes, rows: pd.DataFrame, places: Sequence[float]) -> None:
    counts = rows.assign(open=rows["accepted"] - rows["delivered"] - rows["failed"] - rows["silent"])
    left = [0] * len(rows)
    for name, label, colour in _PARTS:
        widths = counts[name].tolist()
        if any(widths):
            axes.barh(places, widths, left=left, height=0.6, color=colour, label=label)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    widest = max(*left, 1)
    for place, end, rate in zip(places, left, rows["delivery_rate"].tolist(), strict=True):
        text = "–" if math.isnan(rate) else f"{rate:.1%}"
        axes.text(end + widest * 0.015, place, text, va="center", size=9, color=_INK)
    axes.set_xlim(0, widest * 1.13)
    if any(left):
        axes.legend(loc="lower left", ncols=4, handlelength=1, columnspacing=1.2, **_LEGEND)
    axes.set_xlabel("messages accepted; the figure is the share delivered", color=_QUIET, size=9)
    _tidy(axes)


def _draw_latency(axes: Axes, rows: pd.DataFrame, places: Sequence[float]) -> None:
    columns = (places, rows["latency_p50_seconds"].tolist(), rows["latency_p95_seconds"].tolist())
    known = [row for row in zip(*columns, strict=True) if not any(map(math.isnan, row))]
    for place, half, most in known:
        axes.plot([half, most], [place, place], color="#9fb8c3", linewidth=3.5, zorder=1)
    if known:
        at, halves, mosts = zip(*known, strict=True)
        axes.scatter(halves, at, s=46, color=_TEAL, zorder=3, label="median")
        axes.scatter(
            mosts,
            at,
            s=46,
            facecolor="white",
            edgecolor=_TEAL,
            linewidth=1.8,
            zorder=2,
            label="95th percentile",
        )
        axes.legend(loc="lower left", ncols=2, handletextpad=0.2, columnspacing=1.2, **_LEGEND)
        axes.set_xlim(0, max(mosts) * 1.08 or 1)
    axes.set_xlabel("seconds from sending to the report of delivery", color=_QUIET, size=9)
    axes.tick_params(labelleft=False)
    _tidy(axes)


def _draw_names(axes: Axes, rows: pd.DataFrame, places: Sequence[float]) -> None:
    axes.set_yticks(places, [_drawable(carrier) for carrier in rows["carrier"]], size=9)
    axes.set_ylim(places[-1] + 0.6, 0.45)
    named = ""
    for place, conn_id in zip(places, rows["conn_id"], strict=True):
        if conn_id != named:
            axes.annotate(
                _drawable(conn_id), (-0.215, place - 0.78), xycoords=("axes fraction", "data"),
                weight="bold", size=9.5, color=_INK, va="center", annotation_clip=False,
            )  # fmt: skip
            named = conn_id


def _tidy(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.grid(axis="x", color="#e9edf0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="both", length=0, colors=_INK)
    axes.spines[:].set_visible(False)


def _drawable(text: str) -> str:
    """Show what the default font cannot draw as its code points rather than as empty boxes."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    drawable = get_font(findfont(FontProperties())).get_charmap()
    return "".join(c if ord(c) in drawable else f"U+{ord(c):04X}" for c in text)
