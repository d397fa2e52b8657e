"""The one visual language of the charts: colours for light and dark, type, numbers in two languages.

Up is blue and down is orange, which people with any of the common colour deficiencies tell apart; side, sign
or filling says the same again. Everything is placed in points, so that a chart reads alike at any size; it is
measured in DejaVu Sans, which comes with matplotlib, so that the same chart has the same bytes everywhere.

This module and `charts` also run inside Athena for Apache Spark: Python 3.9, matplotlib 3.5, pandas 1.4.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

WIDE = 10.0
"""Width in inches of a chart for a page, a notebook or a slide: 720 points."""
NARROW = 5.0
"""Width in inches of a chart for a phone: 360 points."""

TITLE, TEXT, SMALL = 15.0, 11.0, 9.5
"""Sizes of the type, in points."""
_LINE = 1.35  # from one line of text to the next, in sizes
_MARGIN = 14.0  # points around a chart
_PANEL_GAP = 12.0  # points between panels
_DPI = 144
FAMILY = "DejaVu Sans"
_STACK = "-apple-system, 'Segoe UI', Roboto, Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_POINTS = 72.0


@dataclass(frozen=True)
class Theme:
    """The colours of a chart on a light or a dark page.

    Attributes:
        page: What it stands on.
        ink: Text and what matters most.
        muted: Secondary text; its contrast with the page is above 4.5.
        rule: Axes and edges.
        grid: Lines that the eye may follow and may pass over.
        up: What rises; calls.
        down: What falls; puts.
        neutral: What does neither, or is not in the index.
        accents: Up to six groups or lines, in this order.
        scale: From falling much to rising much, the middle unchanged: seven colours.
        on_scale: Text on each colour of the scale.
    """

    page: str
    ink: str
    muted: str
    rule: str
    grid: str
    up: str
    down: str
    neutral: str
    accents: tuple[str, ...]
    scale: tuple[str, ...]
    on_scale: tuple[str, ...]


THEMES = {
    "light": Theme(
        page="#ffffff",
        ink="#1d2733",
        muted="#4a5768",
        rule="#8a97a6",
        grid="#e3e8ed",
        up="#2563ae",
        down="#c2570c",
        neutral="#9aa5b1",
        accents=("#2563ae", "#c2570c", "#7553c8", "#0f8573", "#b03a78", "#7a6a1f"),
        scale=("#a84300", "#dc7a2e", "#f5c79c", "#dfe4e9", "#a9cbee", "#4d8fd6", "#174f96"),
        on_scale=("#ffffff", "#1d2733", "#1d2733", "#1d2733", "#1d2733", "#111a24", "#ffffff"),
    ),
    "dark": Theme(
        page="#0d1117",
        ink="#e6edf3",
        muted="#a3afbd",
        rule="#6b7787",
        grid="#242c36",
        up="#6ea8f2",
        down="#f0994a",
        neutral="#77838f",
        accents=("#6ea8f2", "#f0994a", "#b39af0", "#43bfa7", "#e884b4", "#cdb957"),
        scale=("#f0994a", "#aa5a14", "#6b4222", "#333c47", "#24466e", "#3572b8", "#7db4f5"),
        on_scale=("#111a24", "#ffffff", "#ffffff", "#ffffff", "#ffffff", "#ffffff", "#111a24"),
    ),
}


def theme_of(name: str) -> Theme:
    """The theme of a name.

    Raises:
        ValueError: There is no such theme.
    """
    if name not in THEMES:
        raise ValueError(f"theme {name!r}, expected one of {', '.join(THEMES)}")
    return THEMES[name]


_MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "pt": ["jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"],
}
_SCALES = {
    "en": ((1e9, "bn"), (1e6, "mn"), (1e3, "k")),
    "pt": ((1e9, "bi"), (1e6, "mi"), (1e3, "mil")),
}
_MINUS, _SPACE = "\u2212", "\u00a0"  # the space at which no line breaks
LANGUAGES = tuple(_MONTHS)


_CURRENCIES = {
    "BRL": {"en": ("R$", "BRL"), "pt": ("R$", "reais")},
    "CRR thousand": {
        "en": ("CRR thousand", "thousands of cruzeiros reais"),
        "pt": ("CRR mil", "milhares de cruzeiros reais"),
    },
}


class Format:
    """Numbers, dates and amounts as they are written in a language.

    Args:
        language: "en" or "pt", which is Brazil's.
        currency: What amounts are of, as in the tables: "BRL" or "CRR thousand".

    Raises:
        ValueError: There is no such language or currency.
    """

    def __init__(self, language: str = "en", currency: str = "BRL") -> None:
        if language not in LANGUAGES:
            raise ValueError(f"language {language!r}, expected one of {', '.join(LANGUAGES)}")
        if currency not in _CURRENCIES:
            raise ValueError(f"currency {currency!r}, expected one of {', '.join(_CURRENCIES)}")
        self.language = language
        self.money_sign, self.currency = _CURRENCIES[currency][language]

    def named(self, text: str) -> str:
        """A text with the currency where it says [money], the sign, or [currency], its name."""
        return text.replace("[money]", self.money_sign).replace("[currency]", self.currency)

    def number(self, value: Any, decimals: int = 0, *, signed: bool = False) -> str:
        """Such as 1,234.50 or 1.234,50; a dash for what is missing. A minus is a minus, not a hyphen."""
        if is_missing(value):
            return "–"
        text = f"{abs(value):,.{decimals}f}"
        if self.language == "pt":
            text = text.translate(str.maketrans(",.", ".,"))
        is_zero = not any(digit in text for digit in "123456789")
        sign = "" if is_zero else _MINUS if value < 0 else "+" if signed else ""
        return sign + text

    def amount(self, value: Any) -> str:
        """Per share, or shares for one: with two decimals, or as many as it has, such as 0.0123 or 1.50."""
        if is_missing(value):
            return "–"
        digits = -int(Decimal(value).normalize().as_tuple().exponent)
        return self.number(value, max(digits, 2))

    def percent(self, value: Any, decimals: int = 1, *, signed: bool = False) -> str:
        """Such as +1.2% or +1,2%."""
        return "–" if is_missing(value) else f"{self.number(value, decimals, signed=signed)}%"

    def money(self, value: Any, digits: int = 3) -> str:
        """An amount to so many significant digits, such as R$ 2.31 bn or R$ 2,31 bi."""
        if is_missing(value):
            return "–"
        divisor, unit = self.scale(value, digits)
        scaled = float(value) / divisor
        whole = len(f"{abs(scaled):.0f}")
        decimals = max(digits - whole, 0) if unit else 2
        return f"{self.money_sign}{_SPACE}{self.number(scaled, decimals)}{_SPACE}{unit}".rstrip(_SPACE)

    def scale(self, largest: Any, digits: int = 3) -> tuple[float, str]:
        """By what to divide amounts up to that one, and what the quotient is counted in: 1e9, "bn"."""
        size = abs(float(largest))
        for divisor, unit in _SCALES[self.language]:
            if size >= divisor * (1 - 0.5 / 10**digits):
                return divisor, unit
        return 1.0, ""

    def unit(self, largest: Any) -> str:
        """The unit of an axis with amounts up to that one: R$ bn."""
        return f"{self.money_sign} {self.scale(largest)[1]}".rstrip()

    def day(self, day: dt.date) -> str:
        """Such as 19 Nov 2026."""
        return _SPACE.join((str(day.day), self.month(day), str(day.year)))

    def short_day(self, day: dt.date) -> str:
        """Such as 19 Nov."""
        return f"{day.day}{_SPACE}{self.month(day)}"

    def month(self, day: dt.date) -> str:
        """Such as Nov."""
        return _MONTHS[self.language][day.month - 1]


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT, NA."""
    return bool(pd.isna(value))


def plain(text: str) -> str:
    """A text in which matplotlib sees no formula: it would take what stands between two R$ for one."""
    return text.replace("$", r"\$")


class Sheet:
    """A figure with its heading above, its source below, and room for the chart between them.

    Args:
        title: What the chart is of, in a few words.
        subtitle: What is measured, with its unit.
        source: Where the figures come from; nothing is written if it is empty.
        theme: "light" or "dark".
        size: Width and height, in inches.
        key: What marks mean, pairs of a label and a mark: the keyword arguments of a `Line2D`.
        scale: What the colours of a scale mean: the colours, and what to write where two of them meet.

    Attributes:
        figure: The figure.
        theme: Its colours.
        is_narrow: Whether it is for a phone.
        room: Left, bottom, right and top of the chart's room, as fractions of the figure.

    Raises:
        ValueError: There is no such theme.
    """

    def __init__(
        self,
        title: str,
        subtitle: str,
        *,
        source: str,
        theme: str,
        size: tuple[float, float],
        key: Sequence[tuple[str, dict[str, Any]]] = (),
        scale: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> None:
        self.theme = theme_of(theme)
        self.width, self.height = size[0] * _POINTS, size[1] * _POINTS
        self.is_narrow = size[0] < (NARROW + WIDE) / 2
        with mpl.rc_context({"font.family": FAMILY}):
            self.figure = Figure(figsize=size, dpi=_DPI, facecolor=self.theme.page)
        self._canvas: Any = FigureCanvasAgg(self.figure)
        top = self._heading(title, subtitle)
        start = _MARGIN
        if scale:
            start = self._scale(*scale, top)
        if key or scale:
            top = self._key(key, top, start)
        bottom = self._footer(source) if source else _MARGIN
        self.room = (
            _MARGIN / self.width,
            bottom / self.height,
            1 - _MARGIN / self.width,
            1 - top / self.height,
        )

    def axes(self, heights: Sequence[float] = (1,)) -> list[Axes]:
        """Panels below one another, with one x axis; call `settle` when they are drawn.

        Args:
            heights: Of the panels, in relation to one another.
        """
        with mpl.rc_context(self._rc()):
            grid = self.figure.add_gridspec(len(heights), 1, height_ratios=list(heights))
            panels: list[Axes] = []
            for row in range(len(heights)):
                panel = self.figure.add_subplot(grid[row], sharex=panels[0] if panels else None)
                panel.set_facecolor(self.theme.page)
                panel.set_axisbelow(True)
                if row + 1 < len(heights):
                    panel.tick_params(labelbottom=False, bottom=False)
                    panel.spines["bottom"].set_visible(False)
                panels.append(panel)
        return panels

    def settle(self) -> Figure:
        """Fit the panels, with all that is written beside them, into their room."""
        self.figure.tight_layout(pad=0, h_pad=_PANEL_GAP / TEXT, rect=self.room)
        return self.figure

    def empty(self, message: str) -> Figure:
        """A sheet without a chart says why there is none."""
        left, bottom, right, top = self.room
        lines = self.wrapped(message, TEXT, self.width * (right - left) * 0.8)
        self._write((left + right) / 2, (bottom + top) / 2, "\n".join(lines), ha="center", va="center")
        return self.figure

    def text_width(self, text: str, size: float = TEXT, *, bold: bool = False) -> float:
        """Width of a line of text, in points."""
        return _text_width(text, size, bold)

    def wrapped(self, text: str, size: float, width: float, *, bold: bool = False) -> list[str]:
        """A text in lines of at most that width in points; a word that is longer has a line of its own."""
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.text_width(longer, size, bold=bold) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def shortened(self, text: str, size: float, width: float) -> str:
        """A text, cut with an ellipsis where it is wider than that."""
        if self.text_width(text, size) <= width:
            return text
        while text and self.text_width(f"{text}…", size) > width:
            text = text[:-1].rstrip(" /,.-")
        return f"{text}…"

    @property
    def renderer(self) -> Any:
        """What measures the figure."""
        return self._canvas.get_renderer()

    def _rc(self) -> Any:
        theme = self.theme
        return {
            "font.family": FAMILY,
            "font.size": TEXT,
            "axes.edgecolor": theme.rule,
            "axes.labelcolor": theme.muted,
            "axes.labelsize": SMALL,
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "axes.grid": False,
            "grid.color": theme.grid,
            "grid.linewidth": 0.8,
            "text.color": theme.ink,
            "xtick.color": theme.rule,
            "ytick.color": theme.rule,
            "xtick.labelcolor": theme.muted,
            "ytick.labelcolor": theme.muted,
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
            "ytick.major.size": 0,
            "xtick.major.size": 3,
        }

    def _heading(self, title: str, subtitle: str) -> float:
        """Write title and subtitle; return how far down they reach, in points."""
        width = self.width - 2 * _MARGIN
        top = _MARGIN
        for text, size, colour, bold in (
            (title, TITLE, self.theme.ink, True),
            (subtitle, TEXT, self.theme.muted, False),
        ):
            for line in self.wrapped(text, size, width, bold=bold):
                self._write(
                    _MARGIN / self.width,
                    1 - (top + size) / self.height,
                    line,
                    size=size,
                    color=colour,
                    weight="bold" if bold else "normal",
                )
                top += size * _LINE
            top += 2
        return top + 6

    def _scale(self, colours: Sequence[str], joints: Sequence[str], top: float) -> float:
        """Draw a strip of colours below the heading; return how far right it reaches, in points."""
        width = 42.0 if self.is_narrow else 46.0
        height, y = 9.0, 1 - (top + TEXT / 2 + 2) / self.height
        for place, colour in enumerate(colours):
            corner = ((_MARGIN + place * width) / self.width, y)
            box = Rectangle(corner, width / self.width, height / self.height, color=colour, linewidth=0)
            self.figure.add_artist(box)
        for place, joint in enumerate(joints):
            x = (_MARGIN + (place + 1) * width) / self.width
            below = y - 2 / self.height
            self._write(x, below, joint, size=SMALL - 1, color=self.theme.muted, ha="center", va="top")
        return _MARGIN + width * len(colours) + 16

    def _key(self, key: Sequence[tuple[str, dict[str, Any]]], top: float, start: float) -> float:
        """Draw what marks mean below the heading, in as many lines as it takes."""
        mark, gap, between, line = 14.0, 5.0, 16.0, TEXT * 1.5
        x, y = start, top + TEXT / 2 - 2
        line += 8 if start > _MARGIN else 0  # what is written below a scale
        for label, look in key:
            width = mark + gap + self.text_width(label, SMALL)
            if x > _MARGIN and x + width > self.width - _MARGIN:
                x, y = _MARGIN, y + line
            at = 1 - y / self.height
            if look.get("marker"):
                ends = [(x + mark / 2) / self.width]
            else:
                ends = [x / self.width, (x + mark) / self.width]
            self.figure.add_artist(Line2D(ends, [at] * len(ends), solid_capstyle="butt", **look))
            self._write((x + mark + gap) / self.width, at, label, size=SMALL, va="center_baseline")
            x += width + between
        return y + line - TEXT / 2 + 4

    def _footer(self, source: str) -> float:
        """Write the source at the lower edge; return how far up it reaches, in points."""
        lines = self.wrapped(source, SMALL, self.width - 2 * _MARGIN)
        for place, line in enumerate(reversed(lines)):
            y = _MARGIN - 3 + place * SMALL * _LINE
            self._write(_MARGIN / self.width, y / self.height, line, size=SMALL, color=self.theme.muted)
        return _MARGIN + len(lines) * SMALL * _LINE + 4

    def _write(self, x: float, y: float, text: str, size: float = TEXT, **look: Any) -> None:
        look.setdefault("color", self.theme.ink)
        font = FontProperties(family=FAMILY, size=size, weight=look.pop("weight", "normal"))
        self.figure.text(x, y, plain(text), fontproperties=font, **look)


_measure: Any = RendererAgg(1, 1, _DPI)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=4096)
def _text_width(text: str, size: float, bold: bool) -> float:
    font = FontProperties(family=FAMILY, size=size, weight="bold" if bold else "normal")
    width, _, _ = _measure.get_text_width_height_descent(text, font, False)
    return float(width) * _POINTS / _DPI


def session_axis(axes: Axes, days: Sequence[dt.date], form: Format, width: float) -> None:
    """Label an x axis whose unit is the session, so that weekends and holidays leave no gaps.

    More than 25 sessions are labelled at the first of each month, or of some months; fewer by days.

    Args:
        axes: The axes; session n stands at n.
        days: The sessions.
        form: How to write dates.
        width: Of the axes, in points: as many labels as it has room for.
    """
    most = max(int(width // 62), 2)
    places, labels = [], []
    if len(days) > 25:
        firsts = [n for n in range(1, len(days)) if days[n].month != days[n - 1].month]
        step = _step(len(firsts), most, (1, 2, 3, 6, 12))
        year = None
        for n in [n for n in firsts if (days[n].month - 1) % step == 0] or firsts[:1]:
            places.append(n)
            shown = f"{form.month(days[n])} {days[n].year}"
            labels.append(form.month(days[n]) if days[n].year == year else shown)
            year = days[n].year
    else:
        places = list(range(0, len(days), _step(len(days), most, (1, 2, 5, 10))))
        labels = [form.short_day(days[n]) for n in places]
    axes.set_xticks(places)
    axes.set_xticklabels(labels)
    axes.set_xlim(-0.8, max(len(days) - 0.2, 1))


def _step(count: int, most: int, steps: Sequence[int]) -> int:
    return next((step for step in steps if count / step <= most), steps[-1])


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places for labels, each as near to the wanted one as a gap between them allows."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    blocks: list[tuple[float, int]] = []  # labels that touch: the sum of what they want, and how many
    for place, n in enumerate(order):
        total, count = wanted[n] - gap * place, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            more, others = blocks.pop()
            total, count = total + more, count + others
        blocks.append((total, count))
    shared = [total / count for total, count in blocks for _ in range(count)]
    places = [0.0] * len(wanted)
    for place, n in enumerate(order):
        places[n] = shared[place] + gap * place
    return places


def set_alt_text(figure: Figure, text: str) -> Figure:
    """Say what a picture shows for those who do not see it."""
    figure.set_label(text)
    return figure


def alt_text(figure: Figure) -> str:
    """What a picture shows, in words."""
    return str(figure.get_label())


_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_PROLOGUE = re.compile(r"^<\?xml.*?<svg", re.DOTALL)
_SIZE = re.compile(r'(<svg [^>]*?)width="([\d.]+)pt" height="([\d.]+)pt"')
_GEOMETRY = re.compile(r' (?:d|x|y|width|height|transform)="[^"]*"')
_DECIMALS = re.compile(r"(\.\d{2})\d+")  # a hundredth of a pixel is enough
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)


def svg(figure: Figure) -> str:
    """A figure as SVG: its text is text, in the reader's own sans serif; the same figure, the same bytes."""
    written = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pregao", "path.simplify": True}):
        figure.savefig(written, format="svg", facecolor=figure.get_facecolor(), metadata={"Date": None})
    text = _PROLOGUE.sub("<svg", _METADATA.sub("", written.getvalue()), count=1)
    text = _COMMENT.sub("", text).replace(f"'{FAMILY}'", _STACK)
    title = escape(alt_text(figure))
    # Points become pixels, for 11 points of text to be 11 pixels where there is no other measure
    text = _SIZE.sub(r'\1width="\2" height="\3" role="img"', text, count=1)
    text = _GEOMETRY.sub(lambda found: _DECIMALS.sub(r"\1", found[0]), text)
    return re.sub(r"(<svg [^>]*>)", lambda found: f"{found[1]}\n <title>{title}</title>", text, count=1)


def days_of(values: Iterable[Any]) -> list[dt.date]:
    """Dates from whatever a data frame has for them: dates, timestamps or texts such as 2026-11-19."""
    days: list[dt.date] = []
    for value in values:
        if isinstance(value, dt.datetime):
            day = value.date()
        elif isinstance(value, dt.date):
            day = value
        else:
            day = dt.date.fromisoformat(str(value)[:10])
        days.append(day)
    return days
