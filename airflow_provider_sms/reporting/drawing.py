"""
Matplotlib figures as SVG that an HTML page can hold: its colours, fonts and languages are the page's.

A figure is drawn with colours that stand for roles and with texts that stand for words. Both are replaced
in the SVG: a colour by a variable of the page's style sheet, which knows light and dark; a word by its
spellings in the page's languages, set in the reader's own fonts. So the drawing needs no font for Chinese,
and the same figures give the same bytes on every machine with the same matplotlib.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.reporting.inlining import inline

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from airflow_provider_sms.reporting.figures import Names

#: Roles, as the style sheet names its variables, and the colours they have while they are drawn.
DELIVERED, FAILED, SILENT, WAITING = "#010101", "#010102", "#010103", "#010104"
INK, QUIET, GRID, TRACK, PLAIN = "#010105", "#010106", "#010107", "#010108", "#010109"
_ROLES = {
    DELIVERED: "delivered",
    FAILED: "failed",
    SILENT: "silent",
    WAITING: "waiting",
    INK: "ink",
    QUIET: "quiet",
    GRID: "grid",
    TRACK: "track",
    PLAIN: "plain",
}
#: What one unit of the drawing is: a point, at 72 to the inch.
WIDTH = 416
_DPI = 72
TEXT = 12
SMALL = 11
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "airflow-provider-sms",
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "path.simplify": True,
}


@dataclass
class Canvas:
    """
    A figure being drawn.

    :param figure: matplotlib's.
    :param words: the words used so far; a word's place in here is what is drawn.
    """

    figure: Figure
    words: list[Names] = field(default_factory=list)

    def word(self, names: Names) -> str:
        """Give the text to draw for a word: letters that every font has."""
        self.words.append(names)
        return f"w{len(self.words) - 1}w"


def need_matplotlib() -> None:
    """
    Find out early whether pictures can be drawn.

    :raises PreflightError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        problem = "matplotlib is not installed: pip install matplotlib"
        raise PreflightError([problem], "the delivery report", "nothing was written") from None
    del mpl


def draw(name: str, height: int, paint: Callable[[Canvas], None], spell: Callable[[Names], str]) -> str:
    """
    Draw a picture.

    :param name: unique on the page; the picture's ids begin with it, and it is labelled by ``<name>-title``.
    :param height: in units of which the width has :data:`WIDTH`.
    :param paint: draws.
    :param spell: makes SVG text of a word, marked up for each language.
    :return: an ``svg`` element without namespace declarations, as HTML takes it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS):
        canvas = Canvas(Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI))
        paint(canvas)
        buffer = io.BytesIO()
        # Without a date and a version in it.
        canvas.figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    colours = {colour: f"var(--{role})" for colour, role in _ROLES.items()}
    words = {f"w{place}w": spell(names) for place, names in enumerate(canvas.words)}
    return inline(buffer.getvalue(), name, {**colours, **words})


def tidy(axes: Axes) -> None:
    """Leave of an axes what carries meaning: quiet labels, no frame, no ticks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="both", length=0, labelcolor=QUIET, labelsize=SMALL, pad=6)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
