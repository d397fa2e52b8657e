"""Draws the annual reader's benchmark.

Bars of seconds and of peak memory, the fastest first. A bar that is much longer than the others is cut, which
its end shows. Text stays text, and the colours change with the reader's light or dark mode.
"""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figures import Report

INK, RULE, PAGE = "#1d2733", "#d0d7de", "#ffffff"
COLOURS = {"ours": "#2e8b57", "unzip": "#8a97a6", "by hand": "#e8890c", "library": "#7553c8"}
KINDS = {
    "ours": "this project",
    "unzip": "unzipping alone, no column read",
    "by hand": "written by hand for this file",
    "library": "library from PyPI",
}
DARK = {
    INK: "#e6edf3",
    RULE: "#30363d",
    PAGE: "#0d1117",
    "#2e8b57": "#4fb67a",
    "#8a97a6": "#5f6c7b",
    "#e8890c": "#f0a547",
    "#7553c8": "#a68ee6",
}
"""Every colour of the picture, and what it becomes in dark mode."""

CUT = 1.35
"""A bar may be this many times as long as the longest that is not cut."""


def draw(report: Report, picture: Path) -> None:
    """Draws a report of `reader_year`, as SVG."""
    today = [row for row in report["contenders"] if row["kind"] in COLOURS]
    rows = sorted(today, key=lambda row: row["median_seconds"], reverse=True)
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "reader", "font.family": "sans-serif"})
    mpl.rcParams["font.sans-serif"] = ["Segoe UI", "Helvetica", "Arial", "DejaVu Sans"]
    figure = Figure(figsize=(10.4, 5.6), facecolor=PAGE)
    seconds, memory = figure.subplots(1, 2, sharey=True, width_ratios=[1.55, 1])
    _bars(seconds, rows, [row["median_seconds"] for row in rows], "{:.1f} s")
    _bars(memory, rows, [row["peak_bytes"] / 1e6 for row in rows], "{:,.0f} MB")
    seconds.set_yticks(range(len(rows)), [row["name"] for row in rows], color=INK, fontsize=11.5)
    for label, row in zip(seconds.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["kind"] == "ours" else "normal")
    seconds.set_title("Time", color=INK, fontsize=12, loc="left")
    memory.set_title("Peak memory", color=INK, fontsize=12, loc="left")
    file = report["file"]
    figure.suptitle(
        f"From B3's annual ZIP to typed columns: {report['expected']['quotes'] / 1e6:.1f} million quotes, "
        f"{file['text_bytes'] / 1e6:.0f} MB of text, {report['machine']['cpus']} CPUs",
        x=0.015,
        ha="left",
        color=INK,
        fontsize=13.5,
    )
    handles = [mpl.patches.Patch(color=COLOURS[kind], label=label) for kind, label in KINDS.items()]
    legend = figure.legend(handles=handles, loc="lower left", ncols=4, frameon=False, labelcolor=INK)
    legend.set_in_layout(True)
    figure.tight_layout(rect=(0, 0.06, 1, 0.99))
    figure.savefig(picture, facecolor=PAGE, metadata={"Date": None})
    picture.write_text(_with_dark_mode(picture.read_text()))


def _bars(axes: Axes, rows: list[dict[str, Any]], values: list[float], unit: str) -> None:
    end = _longest(values) * CUT
    axes.barh(range(len(rows)), [min(value, end) for value in values], color=_colours(rows), height=0.66)
    axes.set_xlim(0, end * 1.16)
    for place, value in enumerate(values):
        shown = min(value, end)
        if value > end:
            # A gap in the bar: it goes on
            axes.plot([shown * 0.93, shown * 0.95], [place - 0.42, place + 0.42], color=PAGE, linewidth=4)
        axes.annotate(
            unit.format(value),
            (shown, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=11.5,
            fontweight="bold" if rows[place]["kind"] == "ours" else "normal",
        )
    axes.set_facecolor(PAGE)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(RULE)


def _longest(values: list[float]) -> float:
    """The longest bar that is not cut: the last one before the lengths more than double."""
    lengths = sorted(values)
    for shorter, longer in zip(lengths[len(lengths) // 2 :], lengths[len(lengths) // 2 + 1 :], strict=False):
        if longer > 2 * shorter:
            return shorter
    return lengths[-1] / CUT


def _colours(rows: list[dict[str, Any]]) -> list[str]:
    return [COLOURS[row["kind"]] for row in rows]


def _with_dark_mode(svg: str) -> str:
    """Gives the picture a second set of colours; what matplotlib writes into the elements gives way to it."""
    rules = [
        f'      [style*="{name}: {light}"] {{ {name}: {dark} !important }}'
        for light, dark in DARK.items()
        for name in ("fill", "stroke")
    ]
    media = ["    @media (prefers-color-scheme: dark) {", *rules, "    }"]
    style = "\n".join(["  <style>", *media, "  </style>"])
    return re.sub(r"(<svg [^>]*>)", lambda found: f"{found[1]}\n{style}", svg, count=1)
