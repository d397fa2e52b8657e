"""The charts: pure functions of a data frame that return a figure, without input, output or pyplot.

Every function takes the same keywords. `theme` is "light" or "dark", `language` "en" or "pt", `source` the
line below the chart. `size` is width and height in inches, or a width alone, from which the height follows;
by default it is a page's. A chart less than 7.5 inches wide is laid out for a phone.

Numbers may be decimals, integers or floats; they become floats to be drawn. A frame without rows gives a
figure that says so. `style.alt_text` has what a figure shows in words.

A frame may say in a column `currency` what its amounts are of, one for all rows, BRL if it does not; and in
`missing_before` how many sessions of the exchange are missing before a row's: there, lines are interrupted
and the chart says so.

`prices` is what a frame's prices are, which the chart says: "total_return" (splits and distributions are
adjusted for), "adjusted" (splits and bonus shares alone) or "traded" (neither).

This module and `style` also run inside Athena for Apache Spark: Python 3.9, matplotlib 3.5, pandas 1.4.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Union

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis import style
from analysis.style import SMALL, Format, Sheet, plain

if TYPE_CHECKING:
    from typing import Unpack

Size = Union[None, float, tuple[float, float]]


class Page(TypedDict, total=False):
    """The keywords that every chart takes."""

    theme: str
    language: str
    source: str
    size: Size


AVERAGES = (5, 20, 200)
"""Sessions of the moving averages that stand beside candles, if the frame has them."""


def market_breadth(frame: pd.DataFrame, *, prices: str = "total_return", **page: Unpack[Page]) -> Figure:
    """Rising and falling stocks of each session, and their difference added up.

    Args:
        frame: `trade_date`, `advances`, `declines`, `unchanged`, a row a session; the last three are counts,
            null where the session before is missing; if it has it, `missing_before`.
        prices: See the module.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "breadth", prices)
    data = _sorted(frame)
    key = [
        (words["up"], {"color": look.up, "linewidth": 7}),
        (words["down"], {"color": look.down, "linewidth": 7}),
    ]
    sheet = paper.sheet(words["title"], words["unit"] + _gap_words(data, form), (5.2, 5.2), key=key)
    if data.empty or data["advances"].isna().all():
        return _nothing(sheet, words)
    days, breaks = style.days_of(data["trade_date"]), _breaks(data)
    up, down, same = (_floats(data[name]) for name in ("advances", "declines", "unchanged"))
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            day=form.day(days[-1]),
            up=form.number(up[-1]),
            down=form.number(down[-1]),
            same=form.number(same[-1]),
            sessions=form.number(len(days)),
        ),
    )
    panels = sheet.axes((3, 2) if len(days) > 1 else (1,))
    bars = panels[0]
    places = np.arange(len(days))
    bars.bar(places, up, color=look.up, width=0.76, linewidth=0)
    bars.bar(places, -down, color=look.down, width=0.76, linewidth=0)
    bars.axhline(0, color=look.rule, linewidth=0.8)
    _grid(bars, lambda value: form.number(abs(value)))
    if len(days) > 1:
        counts = {"up": up[-1], "down": down[-1], "same": same[-1]}
        shown = {name: form.number(count) for name, count in counts.items()}
        _head(bars, words["last"].format(day=form.short_day(days[-1]), **shown), look)
        line = panels[1]
        total = np.nancumsum(up - down)
        line.plot(*_broken(total, breaks), color=look.ink, linewidth=1.6)
        _end(line, (places[-1], total[-1]), form.number(total[-1], signed=True), look.ink)
        line.axhline(0, color=look.rule, linewidth=0.8)
        _grid(line, lambda value: form.number(value, signed=True))
        _head(line, words["total"], look)
    _mark_breaks(panels, breaks, look)
    style.session_axis(panels[-1], days, form, sheet.width)
    return sheet.settle()


def turnover_by_sector(frame: pd.DataFrame, **page: Unpack[Page]) -> Figure:
    """Financial volume by economic sector, the largest first, and each one's share.

    Args:
        frame: `sector`, as B3 names it or null for what is in none, and `volume`; a row a sector.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "sectors")
    volumes = frame.assign(volume=_floats(frame["volume"])).groupby("sector", dropna=False)["volume"].sum()
    named = volumes[volumes.index.notna()].sort_values(ascending=False, kind="stable")
    rows = [(str(sector), float(volume), look.up) for sector, volume in named.items()]
    if len(rows) > _SECTORS:
        others = rows[_SECTORS - 1 :]
        label = words["others"].format(count=form.number(len(others)))
        rows = [*rows[: _SECTORS - 1], (label, sum(volume for _, volume, _ in others), look.neutral)]
    rest = float(volumes[volumes.index.isna()].sum())
    if rest:
        rows.append((words["none"], rest, look.neutral))
    sheet = paper.sheet(
        words["title"], words["unit"], (1.4 + 0.29 * max(len(rows), 4), 1.5 + 0.4 * max(len(rows), 3))
    )
    if not rows:
        return _nothing(sheet, words)
    total = sum(volume for _, volume, _ in rows)
    largest, volume, _ = rows[0]
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            total=form.money(total),
            sector=largest,
            volume=form.money(volume),
            share=form.percent(100 * volume / total),
        ),
    )
    amounts = [f"{form.money(volume)}{_GAP}{form.percent(100 * volume / total)}" for _, volume, _ in rows]
    (bars,) = sheet.axes()
    places = np.arange(len(rows))
    lengths, names = [volume for _, volume, _ in rows], [name for name, _, _ in rows]
    bars.barh(places, lengths, color=[c for _, _, c in rows], height=0.36 if sheet.is_narrow else 0.68)
    bars.set_ylim(len(rows) - 0.6, -0.75 if sheet.is_narrow else -0.5)
    bars.set_xticks([])
    bars.spines["bottom"].set_visible(False)
    if sheet.is_narrow:
        # Names and amounts above their bars, which then have the whole width
        bars.set_yticks([])
        bars.set_xlim(0, max(lengths))
        for place, name in enumerate(names):
            text = f"{sheet.shortened(name, SMALL, 190)}{_GAP}{amounts[place]}"
            _note(bars, text, (0, place - 0.18), (0, 2), color=look.ink, va="bottom")
        return sheet.settle()
    bars.set_yticks(places)
    bars.set_yticklabels([sheet.shortened(name, SMALL, sheet.width * 0.4) for name in names], color=look.ink)
    sheet.settle()
    # The longest bar leaves room for what stands behind it
    room = max(sheet.text_width(amount, SMALL) for amount in amounts) + 6
    width = sheet.width * bars.get_position().width
    bars.set_xlim(0, max(lengths) * width / (width - room))
    for place, amount in enumerate(amounts):
        _note(bars, amount, (lengths[place], place), (5, 0), color=look.muted, va="center_baseline")
    return sheet.figure


def candles(frame: pd.DataFrame, *, ticker: str, prices: str = "adjusted", **page: Unpack[Page]) -> Figure:
    """A stock's sessions as candles, with the averages of its close, and its volume below.

    A candle is hollow where the close is at or above the open. Sessions stand side by side, whatever lies
    between them.

    Args:
        frame: `trade_date`; `open`, `high`, `low`, `close`; `volume`; `average_5`,
            `average_20`, `average_200` of the close, null where there are too few sessions before; if it has
            it, `missing_before`. A row a session.
        ticker: The stock.
        prices: See the module.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "candles", prices)
    data = _sorted(frame)
    data = data[pd.Series(_floats(data["close"]), index=data.index).notna()]
    lines = {
        sessions: _floats(data[f"average_{sessions}"])
        for sessions in AVERAGES
        if f"average_{sessions}" in data and np.isfinite(_floats(data[f"average_{sessions}"])).any()
    }
    colours = dict(zip(AVERAGES, (look.accents[3], look.accents[2], look.accents[4])))
    key = [
        (words["rises"], {"color": look.up, "marker": "s", "markersize": 7, "markerfacecolor": look.page}),
        (words["falls"], {"color": look.down, "marker": "s", "markersize": 7, "linestyle": ""}),
    ]
    sheet = paper.sheet(
        words["title"].format(ticker=ticker), words["unit"] + _gap_words(data, form), (5.8, 5.6), key=key
    )
    if data.empty:
        message = words["empty"].format(ticker=ticker)
        return style.set_alt_text(sheet.empty(message), message)
    days, breaks = style.days_of(data["trade_date"]), _breaks(data)
    first, high, low, last, volume = (
        _floats(data[name]) for name in ("open", "high", "low", "close", "volume")
    )
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            ticker=ticker,
            sessions=form.number(len(days)),
            first=form.day(days[0]),
            last=form.day(days[-1]),
            close=form.number(last[-1], 2),
            low=form.number(np.nanmin(low), 2),
            high=form.number(np.nanmax(high), 2),
        ),
    )
    panel, volumes = sheet.axes((3.4, 1))
    _draw_candles(panel, (first, high, low, last), look)
    ends = [(last[-1], form.number(last[-1], 2), look.ink)]
    for sessions, values in lines.items():
        panel.plot(*_broken(values, breaks), color=colours[sessions], linewidth=1.6)
        ends.append((values[-1], words["average"].format(sessions=sessions), colours[sessions]))
    _grid(panel, lambda value: form.number(value, 2))
    _head(panel, words["price"], look)
    largest = np.nanmax(volume)
    colour = [look.up if rises else look.down for rises in last >= first]
    heights = volume / form.scale(largest)[0]
    volumes.bar(np.arange(len(days)), heights, width=0.7, color=colour, alpha=0.75, linewidth=0)
    _grid(volumes, _plain_number(form), bins=3)
    _head(volumes, words["volume"].format(unit=form.unit(largest)), look)
    _mark_breaks((panel, volumes), breaks, look)
    style.session_axis(volumes, days, form, sheet.width)
    sheet.settle()
    _label_ends(sheet, panel, len(days), ends)
    return sheet.settle()


def total_return(frame: pd.DataFrame, events: pd.DataFrame, *, ticker: str, **page: Unpack[Page]) -> Figure:
    """What a stock returned with its distributions and without them, and what went ex when.

    Both lines begin at 0, in the first session from which both lead unbroken to the last one. If there are
    sessions before, the chart says why they are left out.

    Args:
        frame: `trade_date`; `adjusted`, the close in equal shares, and `total_return`, the same with
            distributions reinvested, each in terms of one session and null where that is not proven;
            `reason`, why, in the words of the table of factors; if it has it, `missing_before`. A row a
            session.
        events: What has an effect on them: `ex_date`; `kind`, as in the table of events; `ratio`, shares
            after for one before, or null; `amount` per share, or null. A row an event.
        ticker: The stock.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "total_return")
    every = _sorted(frame)
    data, reason = _proven(every)
    days, breaks = style.days_of(data["trade_date"]), _breaks(data)
    begins = ""
    if reason and days:
        begins = words["begins"].format(day=form.day(days[0]), reason=reason)
    sheet = paper.sheet(
        words["title"].format(ticker=ticker), words["unit"] + begins + _gap_words(data, form), (5.6, 6.2)
    )
    if len(data) < _FEWEST:
        message = words["empty" if every.empty else "unproven" if reason else "few"]
        message = message.format(ticker=ticker, reason=reason)
        return style.set_alt_text(sheet.empty(message), message)
    price, total = (
        100 * (values / values[0] - 1)
        for values in (_floats(data["adjusted"]), _floats(data["total_return"]))
    )
    marks = _ex_dates(events, days, words, form)
    listed = [f"{form.day(days[mark.place])} {mark.label}" for mark in marks]
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            ticker=ticker,
            sessions=form.number(len(days)),
            first=form.day(days[0]),
            last=form.day(days[-1]),
            price=form.percent(price[-1], signed=True),
            total=form.percent(total[-1], signed=True),
            list="; ".join(listed) or words["none"],
        ),
    )
    lines, strip = sheet.axes((3.4, 1.7 if sheet.is_narrow else 1))
    colour = look.accents[2]
    places, totals = _broken(total, breaks)
    _, prices = _broken(price, breaks)
    lines.axhline(0, color=look.rule, linewidth=0.8)
    lines.fill_between(places, prices, totals, color=colour, alpha=0.14, linewidth=0)
    lines.plot(places, prices, color=look.muted, linewidth=1.3)
    lines.plot(places, totals, color=colour, linewidth=2)
    at = [mark.place for mark in marks]
    lines.vlines(at, price[at], total[at], color=look.rule, linewidth=0.8)
    lines.plot(at, total[at], color=colour, marker="o", markersize=4, linestyle="")
    _grid(lines, lambda value: form.percent(value, _decimals(value), signed=True))
    _head(lines, words["head"], look)
    _head(strip, words["events" if marks else "none"], look)
    strip.set_yticks([])
    _mark_breaks((lines,), breaks, look)
    style.session_axis(strip, days, form, sheet.width)
    sheet.settle()
    ends = [
        (total[-1], words["total"].format(change=form.percent(total[-1], signed=True)), colour),
        (price[-1], words["price"].format(change=form.percent(price[-1], signed=True)), look.muted),
    ]
    _label_ends(sheet, lines, len(days), ends)
    sheet.settle()
    _label_ex_dates(sheet, strip, marks)
    return sheet.figure


def stock_against_index(frame: pd.DataFrame, *, ticker: str, index: str, **page: Unpack[Page]) -> Figure:
    """The line of an index, and that of a stock beside it, both from the first session that both have.

    Where the stock has none that can be compared with its last one, the index is drawn alone.

    Args:
        frame: `trade_date`; `level`, the index's close in points; `stock`, the stock's close with
            distributions reinvested, in terms of one session, null where it has none or none is proven; if
            it has it, `missing_before`. A row a session.
        ticker: The stock.
        index: The index.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "against_index")
    every = _sorted(frame)
    every = every[np.isfinite(_floats(every["level"]))].reset_index(drop=True)
    both = every[np.isfinite(_floats(every["stock"]))]
    has_stock = len(both) >= _FEWEST
    data = every.iloc[both.index[0] :].reset_index(drop=True) if has_stock else every
    days, breaks = style.days_of(data["trade_date"]), _breaks(data)
    title = words["title"] if has_stock else words["alone"]
    sheet = paper.sheet(
        title.format(ticker=ticker, index=index), words["unit"] + _gap_words(data, form), (4.6, 5.0)
    )
    if len(data) < _FEWEST:
        message = words["empty"].format(index=index)
        return style.set_alt_text(sheet.empty(message), message)
    level, stock = (
        100 * (values / values[0] - 1) for values in (_floats(data["level"]), _floats(data["stock"]))
    )
    known = stock[np.isfinite(stock)]
    moved = form.percent(level[-1], signed=True)
    of_stock = form.percent(known[-1], signed=True) if has_stock else ""
    style.set_alt_text(
        sheet.figure,
        words["alt" if has_stock else "alone_alt"].format(
            ticker=ticker,
            index=index,
            sessions=form.number(len(days)),
            first=form.day(days[0]),
            last=form.day(days[-1]),
            moved=moved,
            stock=of_stock,
        ),
    )
    (lines,) = sheet.axes((1,))
    lines.axhline(0, color=look.rule, linewidth=0.8)
    colour = look.accents[2]
    ends = [(level[-1], f"{moved} {index}", look.ink)]
    lines.plot(*_broken(level, breaks), color=look.ink, linewidth=2)
    if has_stock:
        lines.plot(*_broken(stock, breaks), color=colour, linewidth=1.6)
        ends.append((known[-1], f"{of_stock} {ticker}", colour))
    _grid(lines, lambda value: form.percent(value, _decimals(value), signed=True))
    _mark_breaks((lines,), breaks, look)
    style.session_axis(lines, days, form, sheet.width)
    sheet.settle()
    _label_ends(sheet, lines, len(days), ends)
    sheet.settle()
    return sheet.figure


def index_treemap(
    frame: pd.DataFrame, *, index: str = "IBOV", prices: str = "total_return", **page: Unpack[Page]
) -> Figure:
    """The index as areas: each stock by its weight, together with its sector, coloured by its change.

    Args:
        frame: `ticker`; `sector`, null for none; `index_weight` in percent; `change_percent`, null if not
            known. A row a stock.
        index: The index that the weights are in.
        prices: See the module.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "treemap", prices)
    data = frame.assign(
        weight=_floats(frame["index_weight"]),
        change=_floats(frame["change_percent"]),
        group=[_group_of(sector) or words["none"] for sector in frame["sector"]],
    )
    data = data[data["weight"] > 0].sort_values(["weight", "ticker"], ascending=[False, True])
    limits = _limits(data["change"])
    key = [(words["unknown"], {"color": look.neutral, "marker": "s", "markersize": 9, "linestyle": ""})]
    if data["change"].notna().all():
        key = []
    sheet = paper.sheet(
        words["title"].format(index=index),
        words["unit"],
        (6.2, 6.6),
        key=key if len(data) else (),
        scale=(look.scale, _limit_labels(limits, form)) if len(data) else None,
    )
    if data.empty:
        return _nothing(sheet, {**words, "title": words["title"].format(index=index)})
    heaviest = data.iloc[0]
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            index=index,
            stocks=form.number(len(data)),
            sectors=form.number(data["group"].nunique()),
            ticker=heaviest["ticker"],
            weight=form.percent(heaviest["weight"]),
            change=form.percent(heaviest["change"], 2, signed=True),
        ),
    )
    _draw_treemap(sheet, data, limits, form)
    return sheet.figure


def put_call_ratio(frame: pd.DataFrame, **page: Unpack[Page]) -> Figure:
    """What was paid for puts in relation to calls, session by session, and the premiums themselves.

    Args:
        frame: `trade_date`; `call_volume`, `put_volume`: premiums; if it has it, `missing_before`. A row a
            session.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "put_call")
    data = _sorted(frame)
    is_long = len(data) >= 2 * _SMOOTHED
    sheet = paper.sheet(
        words["title"],
        words["unit"] + _gap_words(data, form),
        (5.4, 5.4),
        key=[
            (words["ratio"], {"color": look.neutral, "linewidth": 1.2, "marker": "o", "markersize": 3}),
            *([(words["smooth"].format(sessions=_SMOOTHED), {"color": look.ink, "linewidth": 2})] * is_long),
            (words["calls"], {"color": look.up, "linewidth": 7}),
            (words["puts"], {"color": look.down, "linewidth": 7}),
        ],
    )
    if data.empty:
        return _nothing(sheet, words)
    days, breaks = style.days_of(data["trade_date"]), _breaks(data)
    calls, puts = _floats(data["call_volume"]), _floats(data["put_volume"])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(calls > 0, puts / calls, np.nan)
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            ratio=form.number(ratio[-1], 2),
            day=form.day(days[-1]),
            sessions=form.number(len(days)),
            puts=form.money(puts[-1]),
            calls=form.money(calls[-1]),
        ),
    )
    line, bars = sheet.axes((3, 2))
    places = np.arange(len(days))
    line.axhline(1, color=look.rule, linewidth=1, linestyle=(0, (4, 3)))
    line.plot(*_broken(ratio, breaks), color=look.neutral, linewidth=1.2, marker="o", markersize=3)
    _end(line, (places[-1], ratio[-1]), form.number(ratio[-1], 2), look.muted)
    if is_long:
        with np.errstate(divide="ignore", invalid="ignore"):
            smooth = _moving_sum(puts, breaks) / _moving_sum(calls, breaks)
        line.plot(*_broken(smooth, breaks), color=look.ink, linewidth=2)
    _grid(line, _plain_number(form))
    largest = max(float(np.nanmax(calls)), float(np.nanmax(puts)), 1.0)
    divisor, _ = form.scale(largest)
    bars.bar(places, calls / divisor, color=look.up, width=0.76, linewidth=0)
    bars.bar(places, -puts / divisor, color=look.down, width=0.76, linewidth=0)
    bars.axhline(0, color=look.rule, linewidth=0.8)
    _grid(bars, lambda value: _plain_number(form)(abs(value)), bins=4)
    _head(bars, words["premiums"].format(unit=form.unit(largest)), look)
    _mark_breaks((line, bars), breaks, look)
    style.session_axis(bars, days, form, sheet.width)
    return sheet.settle()


def volatility_against_return(
    frame: pd.DataFrame, *, prices: str = "total_return", **page: Unpack[Page]
) -> Figure:
    """What each stock returned against how much it moved; the size of a mark is its volume.

    Args:
        frame: `ticker`; `sector`, null for none; `volatility_percent`, a year's; `return_percent`; `volume`.
            A row a stock.
        prices: See the module.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "risk", prices)
    data = frame.assign(
        x=_floats(frame["volatility_percent"]),
        y=_floats(frame["return_percent"]),
        volume=_floats(frame["volume"]),
        group=[_group_of(sector) for sector in frame["sector"]],
    )
    data = data[np.isfinite(data["x"]) & np.isfinite(data["y"])]
    data = data.sort_values(["volume", "ticker"], ascending=[False, True]).reset_index(drop=True)
    names, marks = _marks(data, look, words["others"])
    sheet = paper.sheet(words["title"], words["unit"], (6.0, 6.4), key=list(marks.items()))
    if data.empty:
        return _nothing(sheet, words)
    best, worst = data.loc[data["y"].idxmax()], data.loc[data["y"].idxmin()]
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(
            stocks=form.number(len(data)),
            best=best["ticker"],
            highest=form.percent(best["y"], signed=True),
            worst=worst["ticker"],
            lowest=form.percent(worst["y"], signed=True),
            median=form.percent(data["x"].median()),
        ),
    )
    (plot,) = sheet.axes()
    plot.axhline(0, color=look.rule, linewidth=0.8)
    areas = 24 + 620 * (data["volume"] / max(data["volume"].max(), 1)).to_numpy()
    for group, mark in marks.items():
        chosen = (names == group).to_numpy()
        plot.scatter(
            data["x"][chosen],
            data["y"][chosen],
            s=areas[chosen],
            color=mark["color"],
            marker=mark["marker"],
            alpha=0.72,
            edgecolor=look.page,
            linewidth=0.6,
        )
    plot.grid(axis="x")
    _grid(plot, lambda value: form.percent(value, 0, signed=True))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form.percent(value, 0)))
    plot.set_xlabel(words["x"])
    _head(plot, words["y"], look)
    plot.margins(0.06, 0.08)
    figure = sheet.settle()
    _label_points(sheet, plot, data, areas)
    return figure


def option_expiries(frame: pd.DataFrame, **page: Unpack[Page]) -> Figure:
    """The expiries ahead: what was paid for the options of the stocks whose next expiry it is.

    Args:
        frame: `next_expiry`; `stocks` and `option_series`, counts; `volume`: premiums; if it has it,
            `days_to_expiry`. A row an expiry.
        page: See the module.
    """
    paper = _Paper(**page)
    form, look = paper.format(frame), paper.theme
    words = _language(form, "expiries")
    every = frame[frame["next_expiry"].notna()].sort_values("next_expiry", kind="stable")
    data = every.head(_EXPIRIES)
    left = len(every) - len(data)
    unit = words["unit"] + (f"; {_count(form, left, words['one_later'], words['later'])}" if left else "")
    sheet = paper.sheet(words["title"], unit, (1.3 + 0.5 * max(len(data), 2), 1.7 + 0.5 * max(len(data), 2)))
    if data.empty:
        return _nothing(sheet, words)
    days = style.days_of(data["next_expiry"])
    volume = _floats(data["volume"])
    labels = _expiry_labels(data, words, form)
    style.set_alt_text(
        sheet.figure,
        words["alt"].format(list="; ".join(f"{form.day(day)}: {label}" for day, label in zip(days, labels))),
    )
    (bars,) = sheet.axes()
    places = np.arange(len(data))
    bars.barh(places, volume, color=look.accents[2], height=0.36)
    bars.set_ylim(len(data) - 0.75, -0.65)
    bars.set_yticks(places)
    bars.set_yticklabels([form.day(day) for day in days], color=look.ink)
    bars.set_xticks([])
    bars.spines["bottom"].set_visible(False)
    bars.set_xlim(0, float(np.nanmax(volume)) or 1)
    for place, label in enumerate(labels):
        _note(bars, label, (0, place - 0.2), (0, 3), color=look.muted, va="bottom")
    return sheet.settle()


_PRICES = {
    "en": {
        "total_return": "adjusted for splits and distributions",
        "adjusted": "adjusted for splits and bonus shares",
        "traded": "not adjusted for splits or distributions",
    },
    "pt": {
        "total_return": "ajustados por desdobramentos e proventos",
        "adjusted": "ajustados por desdobramentos e bonificações",
        "traded": "sem ajuste por desdobramentos ou proventos",
    },
}
_GAPS = {
    "en": ("dotted: the lake lacks a session there", "dotted: the lake lacks {count} sessions there"),
    "pt": ("pontilhado: ali falta um pregão no lake", "pontilhado: ali faltam {count} pregões no lake"),
}
_GAP = "\u2002"  # two spaces would become one in SVG
_MARKERS = ("o", "s", "D", "^", "v")
# Percents at which the colours of a change turn, to either side
_STEPS = (
    (0.1, 0.5, 1.0),
    (0.25, 1.0, 2.0),
    (0.5, 1.5, 3.0),
    (0.5, 2.0, 5.0),
    (1.0, 4.0, 10.0),
    (2.0, 10.0, 20.0),
)
# Where a label may stand, as seen from its mark
_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8))
_SECTORS = 16  # that have a bar of their own
_FEWEST = 2  # sessions between which there is a return
_FRACTIONS = 100  # the largest denominator of a ratio that is written as one
_CASH_DECIMALS = ((0.1, 2), (0.01, 3), (0.001, 4))  # of amounts from that one on
_EXPIRIES = 8  # that are shown
_SMOOTHED = 10  # sessions


class _Paper:
    """What a chart is drawn on; it knows the keywords that there are, and what they are by default."""

    def __init__(
        self, theme: str = "light", language: str = "en", source: str = "", size: Size = None
    ) -> None:
        self.theme = style.theme_of(theme)
        self._name, self._language, self._source, self._size = theme, language, source, size

    def format(self, frame: pd.DataFrame) -> Format:
        """How its figures are written."""
        return Format(self._language, _currency(frame))

    def sheet(self, title: str, unit: str, heights: tuple[float, float], **more: Any) -> Sheet:
        """A sheet of the size that is asked for; else of one of two heights, a page's or a phone's."""
        size, (wide, narrow) = self._size, heights
        if not isinstance(size, tuple):
            width = style.WIDE if size is None else float(size)
            size = width, narrow if width < (style.NARROW + style.WIDE) / 2 else wide
        return Sheet(title, unit, source=self._source, theme=self._name, size=size, **more)


def _language(form: Format, chart: str, prices: str = "total_return") -> dict[str, str]:
    """A chart's words, with the currency of its amounts, and what its prices are adjusted for."""
    if prices not in _PRICES[form.language]:
        raise ValueError(f"prices {prices!r}, expected one of {', '.join(_PRICES[form.language])}")
    adjusted = _PRICES[form.language][prices]
    words = _WORDS[chart][form.language]
    return {name: form.named(text).replace("[adjusted]", adjusted) for name, text in words.items()}


def _currency(frame: pd.DataFrame) -> str:
    """What a frame's amounts are of: what it says itself, or BRL."""
    named: list[Any] = list(frame["currency"].dropna().unique()) if "currency" in frame else []
    if len(named) > 1:
        raise ValueError(f"amounts of {' and '.join(map(str, named))} in one chart, expected one currency")
    return str(named[0]) if len(named) else "BRL"


def _breaks(data: pd.DataFrame) -> list[int]:
    """Before which of its rows sessions are missing; not before the first."""
    if "missing_before" not in data:
        return []
    missing = _floats(data["missing_before"])
    return [place for place in range(1, len(data)) if missing[place] > 0]


def _gap_words(data: pd.DataFrame, form: Format) -> str:
    """What to add to a chart's unit where sessions are missing in it."""
    breaks = _breaks(data)
    if not breaks:
        return ""
    count = int(sum(_floats(data["missing_before"])[breaks]))
    words = _GAPS[form.language]
    return "; " + (words[0] if count == 1 else words[1].format(count=form.number(count)))


def _mark_breaks(panels: Sequence[Axes], breaks: Sequence[int], look: style.Theme) -> None:
    """Draw where sessions are missing."""
    for panel in panels:
        for place in breaks:
            panel.axvline(place - 0.5, color=look.muted, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1)


def _broken(values: Any, breaks: Sequence[int]) -> tuple[Any, Any]:
    """Places and values of a line that is interrupted where sessions are missing."""
    places = np.arange(len(values), dtype=float)
    return np.insert(places, breaks, np.array(breaks) - 0.5), np.insert(values, breaks, math.nan)


def _nothing(sheet: Sheet, words: dict[str, str]) -> Figure:
    """A chart without anything to draw says why."""
    return style.set_alt_text(sheet.empty(words["empty"]), f"{words['title']}. {words['empty']}")


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("trade_date", kind="stable").reset_index(drop=True)


def _floats(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Decimals, integers or floats as floats; what is missing as NaN."""
    return np.array([math.nan if style.is_missing(value) else float(value) for value in values], dtype=float)


def _moving_sum(values: Any, breaks: Sequence[int]) -> Any:
    """Over the last `_SMOOTHED` sessions; NaN where there are fewer since the last that is missing."""
    stretches = np.searchsorted(breaks, np.arange(len(values)), side="right")
    return (
        pd.Series(values).groupby(stretches).transform(lambda each: each.rolling(_SMOOTHED).sum()).to_numpy()
    )


def _plain_number(form: Format) -> Any:
    """Writes a tick with as many decimals as it has."""

    def write(value: float) -> str:
        decimals = next((n for n in (0, 1, 2) if abs(value - round(value, n)) < 1e-9), 3)
        return form.number(value, decimals)

    return write


def _grid(axes: Axes, write: Any, bins: int = 6) -> None:
    """Horizontal lines that the eye can follow, and few ticks."""
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(write(value))))


def _head(axes: Axes, text: str, look: style.Theme) -> None:
    """Say what a panel shows, above it."""
    axes.set_title(plain(text), loc="left", fontsize=SMALL, color=look.muted, family=style.FAMILY, pad=5)


def _end(axes: Axes, at: tuple[float, float], text: str, colour: str) -> None:
    """Write a value beside the last session."""
    _note(axes, text, at, (8, 0), color=colour, weight="bold", va="center_baseline", annotation_clip=False)


def _note(
    axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], **look: Any
) -> Annotation:
    look.setdefault("fontsize", SMALL)
    return axes.annotate(
        plain(text), at, xytext=shift, textcoords="offset points", family=style.FAMILY, **look
    )


def _draw_candles(axes: Axes, prices: Sequence[Any], look: style.Theme) -> None:
    first, high, low, last = prices
    places = np.arange(len(last))
    rises = last >= first
    colours = [look.up if up else look.down for up in rises]
    bottom, top = np.minimum(first, last), np.maximum(first, last)
    # A body that is a line would not be seen otherwise
    axes.add_collection(
        LineCollection(
            [[(x, low[x]), (x, high[x])] for x in places], colors=colours, linewidths=1.0, zorder=2
        )
    )
    axes.bar(
        places,
        top - bottom,
        bottom=bottom,
        width=0.64,
        color=[look.page if up else look.down for up in rises],
        edgecolor=colours,
        linewidth=1.0,
        zorder=3,
    )
    spare = 0.05 * (np.nanmax(high) - np.nanmin(low) or 1)
    axes.set_ylim(np.nanmin(low) - spare, np.nanmax(high) + spare)


def _label_ends(sheet: Sheet, axes: Axes, sessions: int, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write beside the last session what ends where (value, text, colour), a line of text apart."""
    ends = [end for end in ends if math.isfinite(end[0])]
    bottom, top = axes.get_ylim()
    line = (top - bottom) / (axes.get_position().height * sheet.height) * SMALL * 1.3
    places = style.spread([value for value, _, _ in ends], line)
    for place, (_, label, colour) in zip(places, ends):
        _end(axes, (sessions - 0.6, place), label, colour)


def _proven(data: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The last sessions of which both prices are proven, and why those before are not, if there are any."""
    known = np.isfinite(_floats(data["adjusted"])) & np.isfinite(_floats(data["total_return"]))
    unknown = np.flatnonzero(~known)
    if not len(unknown):
        return data, ""
    last = unknown[-1]
    reason = data["reason"].iloc[last]
    return data.iloc[last + 1 :].reset_index(drop=True), "" if style.is_missing(reason) else str(reason)


def _decimals(value: float) -> int:
    """How many a number on an axis needs, up to two."""
    return next((n for n in (0, 1) if abs(value - round(value, n)) < 1e-9), 2)


class _Mark(NamedTuple):
    """What went ex on a date: the session's place, in words, and whether it changed the number of shares."""

    place: int
    label: str
    is_ratio: bool


def _ex_dates(events: pd.DataFrame, days: Sequence[Any], words: dict[str, str], form: Format) -> list[_Mark]:
    """What went ex after the first session, by date; the amounts of a kind are added up."""
    found: dict[int, dict[str, Any]] = {}
    events = events[events["ex_date"].notna()].sort_values(["ex_date", "kind"], kind="stable")
    rows: list[Any] = events.to_dict("records")
    for row, ex_date in zip(rows, style.days_of(events["ex_date"])):
        if not days[0] < ex_date <= days[-1]:
            continue
        sizes = found.setdefault(bisect_left(days, ex_date), {})
        kind = words.get(row["kind"], words["other"])
        if not style.is_missing(row["ratio"]):
            sizes[kind] = _ratio(row["ratio"], row["kind"], words, form)
        elif not style.is_missing(row["amount"]):
            sizes[kind] = sizes.get(kind, 0.0) + float(row["amount"])
    marks = []
    for place, sizes in sorted(found.items()):
        written = {
            kind: size if isinstance(size, str) else form.number(size, _cash_decimals(size))
            for kind, size in sizes.items()
        }
        is_ratio = any(isinstance(size, str) for size in sizes.values())
        label = " + ".join(f"{kind} {size}" for kind, size in written.items())
        marks.append(_Mark(place, label, is_ratio))
    return marks


def _ratio(ratio: Any, kind: str, words: dict[str, str], form: Format) -> str:
    """Shares after for one before: a bonus in percent, others such as 2 for 1."""
    if kind == "bonus":
        percent = 100 * (float(ratio) - 1)
        return form.percent(percent, _decimals(percent))
    fraction = Fraction(float(ratio)).limit_denominator(_FRACTIONS)
    if fraction and abs(float(fraction) / float(ratio) - 1) < 1e-6:
        return words["ratio"].format(after=fraction.numerator, before=fraction.denominator)
    return f"× {form.number(ratio, 4)}"


def _cash_decimals(amount: float) -> int:
    return next((decimals for least, decimals in _CASH_DECIMALS if abs(amount) >= least), 5)


def _label_ex_dates(sheet: Sheet, axes: Axes, marks: Sequence[_Mark]) -> None:
    """Hang each label at its date, in the highest line in which it crosses no other; none where all do."""
    place, (low, high) = axes.get_position(), axes.get_xlim()
    left, width, height = place.x0 * sheet.width, place.width * sheet.width, place.height * sheet.height
    right, line = sheet.room[2] * sheet.width, SMALL * 1.35
    axes.set_ylim(height, 0)
    hooks = []
    for mark in marks:
        x = left + (mark.place - low) / (high - low) * width
        wide = sheet.text_width(mark.label, SMALL) + 8
        hooks.append(_Hook(mark, x, min(x, right - wide), wide))
    newest = sorted(hooks, key=lambda hook: -hook.x)
    ratios = sorted(newest, key=lambda hook: not hook.mark.is_ratio)
    orders = [_hang(order, int((height - 4) // line)) for order in (newest, ratios)]
    # Rather all ratios than most labels
    rows = max(orders, key=lambda found: (sum(hook.mark.is_ratio for hook in found), len(found)))
    for hook in hooks:
        depth = 4 + rows[hook] * line if hook in rows else 2
        end = depth + line * 0.8 if hook in rows and hook.begin == hook.x else depth
        axes.plot([hook.mark.place] * 2, [0, end], color=sheet.theme.rule, linewidth=0.8)
        if hook in rows:
            at = (low + (hook.begin - left) / width * (high - low), depth)
            _note(axes, hook.mark.label, at, (3, 0), color=sheet.theme.ink, va="top", annotation_clip=False)


class _Hook(NamedTuple):
    """A label at its date, in points from the left: the date, where the label begins, and its width."""

    mark: _Mark
    x: float
    begin: float
    width: float

    def covers(self, x: float) -> bool:
        return self.begin - 4 < x < self.begin + self.width

    def meets(self, other: _Hook) -> bool:
        return self.begin < other.begin + other.width and other.begin < self.begin + self.width


def _hang(hooks: Sequence[_Hook], rows: int) -> dict[_Hook, int]:
    """The row of each label, in their order; without those for which there is none."""
    hung: dict[_Hook, int] = {}
    for hook in hooks:
        for row in range(rows):
            # A line reaches down to its label's row, and must not go through the labels above
            if not any(
                (row == of and hook.meets(other))
                or (row <= of and hook.covers(other.x))
                or (row >= of and other.covers(hook.x))
                for other, of in hung.items()
            ):
                hung[hook] = row
                break
    return hung


def _limits(changes: pd.Series[Any]) -> tuple[float, ...]:
    """Where the colours of the scale change: the first steps of which no more than a fifth lies beyond."""
    sizes = changes.abs().dropna()
    most = float(sizes.quantile(0.8)) if len(sizes) else 0.0
    low, middle, high = next((steps for steps in _STEPS if most <= steps[2]), _STEPS[-1])
    return (-high, -middle, -low, low, middle, high)


def _limit_labels(limits: Sequence[float], form: Format) -> list[str]:
    return [
        form.percent(limit, next(n for n in (0, 1, 2) if abs(limit - round(limit, n)) < 1e-9), signed=True)
        for limit in limits
    ]


def _draw_treemap(sheet: Sheet, data: pd.DataFrame, limits: Sequence[float], form: Format) -> None:
    # Not at the top: where it is not installed, the other charts do without
    import squarify  # noqa: PLC0415

    left, bottom, right, top = sheet.room
    axes = sheet.figure.add_axes((left, bottom, right - left, top - bottom))
    axes.set_axis_off()
    width, height = (right - left) * sheet.width, (top - bottom) * sheet.height
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    theme, changes = sheet.theme, data.set_index("ticker")["change"]
    groups = data.groupby("group")["weight"].sum().sort_values(ascending=False, kind="stable")
    for sector, area in _areas(squarify, groups, (0, 0, width, height)):
        x, y, dx, dy = area
        head = 14.0 if dx > 60 and dy > 44 else 0.0
        if head:
            name = sheet.shortened(str(sector), SMALL - 1, dx - 6)
            _note(
                axes,
                name,
                (x + 2, y + dy - 4),
                (0, 0),
                fontsize=SMALL - 1,
                va="top",
                color=theme.muted,
            )
        members = data[data["group"] == sector].set_index("ticker")["weight"]
        for ticker, cell in _areas(squarify, members, (x, y, dx, dy - head)):
            change = float(changes[ticker])
            place = sum(change > limit for limit in limits)
            colours = (theme.scale[place], theme.on_scale[place])
            if math.isnan(change):
                colours = (theme.neutral, theme.page)
            _draw_cell(sheet, axes, cell, (str(ticker), form.percent(change, signed=True)), colours)


def _areas(squarify: Any, weights: pd.Series[Any], area: tuple[float, ...]) -> list[tuple[Any, Any]]:
    """Share out an area, given as x, y, width and height, the heaviest at the upper left."""
    x, y, dx, dy = area
    sizes = squarify.normalize_sizes(list(weights), dx, dy)
    cells = squarify.squarify(sizes, 0, 0, dx, dy)
    return [
        (name, (x + cell["x"], y + dy - cell["y"] - cell["dy"], cell["dx"], cell["dy"]))
        for name, cell in zip(weights.index, cells)
    ]


def _draw_cell(
    sheet: Sheet,
    axes: Axes,
    cell: tuple[float, ...],
    labels: tuple[str, str],
    colours: tuple[str, str],
) -> None:
    """Draw a stock's area, with its ticker and its change as large as they fit, or one of them, or none."""
    (x, y, dx, dy), (ticker, shown), (colour, ink) = cell, labels, colours
    box = Rectangle((x, y), dx, dy, facecolor=colour, edgecolor=sheet.theme.page, linewidth=1.2)
    axes.add_artist(box)  # which leaves their limits alone
    for size in (17.0, 13.0, SMALL, 8.0):
        below = max(size - 3, 7.5)
        wide = sheet.text_width(ticker, size, bold=True) + 6
        fits_both = dy >= size + below + 9 and dx >= max(wide, sheet.text_width(shown, below) + 6)
        middle = (x + dx / 2, y + dy / 2)
        if fits_both:
            _note(axes, ticker, middle, (0, 1), fontsize=size, weight="bold", color=ink, ha="center")
            _note(axes, shown, middle, (0, -2), fontsize=below, color=ink, ha="center", va="top")
            return
        if dx >= wide and dy >= size + 5 and size <= SMALL:
            _note(
                axes,
                ticker,
                middle,
                (0, 0),
                fontsize=size,
                weight="bold",
                color=ink,
                ha="center",
                va="center",
            )
            return


def _count(form: Format, number: Any, one: str, more: str) -> str:
    return f"{form.number(number)} {one if number == 1 else more}"


def _expiry_labels(data: pd.DataFrame, words: dict[str, str], form: Format) -> list[str]:
    """Premiums, series, stocks and, if the frame has them, days ahead of each expiry."""
    labels = []
    for row in data.to_dict("records"):
        parts = [
            form.money(row["volume"]),
            _count(form, row["option_series"], words["one_series"], words["series"]),
            _count(form, row["stocks"], words["one_stock"], words["stocks"]),
        ]
        ahead: Any = row.get("days_to_expiry")
        if not style.is_missing(ahead):
            days = _count(form, ahead, words["one_day"], words["days"])
            parts.append(days if ahead else words["today"])
        labels.append(", ".join(parts))
    return labels


def _group_of(sector: Any) -> str:
    """The sector without its subsector: "Financeiro / Seguros" is "Financeiro"."""
    return "" if style.is_missing(sector) else str(sector).split("/", maxsplit=1)[0].strip()


def _marks(
    data: pd.DataFrame, look: style.Theme, others: str
) -> tuple[pd.Series[Any], dict[str, dict[str, Any]]]:
    """Which mark each row has, the name of a group that traded much or of the others, and the marks."""
    groups = data[data["group"] != ""].groupby("group")["volume"].sum()
    shown = list(groups.sort_values(ascending=False, kind="stable").index[: len(_MARKERS)])
    names = data["group"].where(data["group"].isin(shown), others)
    marks: dict[str, dict[str, Any]] = {
        group: {"color": look.accents[n], "marker": _MARKERS[n], "markersize": 7, "linestyle": ""}
        for n, group in enumerate(shown)
    }
    if (names == others).any():
        marks[others] = {"color": look.neutral, "marker": "o", "markersize": 6, "linestyle": ""}
    return names, marks


def _label_points(sheet: Sheet, axes: Axes, data: pd.DataFrame, areas: Any) -> None:
    """Name what can be named without one name lying on another: what traded most, and the extremes, first."""
    renderer, scale = sheet.renderer, sheet.figure.dpi / 72
    points = axes.transData.transform(data[["x", "y"]].to_numpy(dtype=float))
    radii = np.sqrt(areas) / 2 * scale
    extremes = {data["y"].idxmax(), data["y"].idxmin(), data["x"].idxmax(), data["x"].idxmin()}
    order = sorted(data.index, key=lambda n: (n not in extremes, n))
    frame = axes.get_window_extent(renderer)
    taken: list[Any] = []
    for n in order:
        reach = radii[n] / scale + 3
        at = (data["x"][n], data["y"][n])
        note = _note(axes, str(data["ticker"][n]), at, (0, 0), color=sheet.theme.ink, fontsize=8.5)
        for across, up in _AROUND:
            note.set(
                position=(across * reach, up * reach),
                ha="left" if across > 0 else "right" if across else "center",
                va="bottom" if up > 0 else "top" if up else "center",
            )
            box = note.get_window_extent(renderer).padded(2)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            free = not any(box.overlaps(other) for other in taken)
            if inside and free and not _covers(box, points, radii * 0.8, n):
                taken.append(box)
                break
        else:
            note.remove()


def _covers(box: Any, points: Any, radii: Any, own: int) -> bool:
    """Whether a label lies on a mark other than its own."""
    nearest_x = np.clip(points[:, 0], box.x0, box.x1)
    nearest_y = np.clip(points[:, 1], box.y0, box.y1)
    touches = np.hypot(points[:, 0] - nearest_x, points[:, 1] - nearest_y) < radii
    touches[own] = False
    return bool(touches.any())


_WORDS: dict[str, dict[str, dict[str, str]]] = {
    "breadth": {
        "en": {
            "title": "Market breadth",
            "unit": (
                "Stocks that closed above and below their previous close, by session, and the "
                "difference added up; prices [adjusted]"
            ),
            "up": "rising",
            "down": "falling",
            "last": "{day}: {up} rising, {down} falling, {same} unchanged",
            "total": "Rising less falling, added up",
            "empty": "Breadth needs a close before: there is none in these sessions.",
            "alt": (
                "Market breadth over {sessions} sessions. On {day}, {up} stocks rose, {down} fell and "
                "{same} closed unchanged."
            ),
        },
        "pt": {
            "title": "Amplitude do mercado",
            "unit": (
                "Papéis que fecharam acima e abaixo do fechamento anterior, por pregão, e a diferença "
                "acumulada; preços [adjusted]"
            ),
            "up": "em alta",
            "down": "em baixa",
            "last": "{day}: {up} em alta, {down} em baixa, {same} estáveis",
            "total": "Altas menos baixas, acumuladas",
            "empty": "A amplitude precisa de um fechamento anterior: não há nenhum nestes pregões.",
            "alt": (
                "Amplitude do mercado em {sessions} pregões. Em {day}, {up} papéis subiram, {down} "
                "caíram e {same} ficaram estáveis."
            ),
        },
    },
    "sectors": {
        "en": {
            "title": "Turnover by sector",
            "unit": "Financial volume in all markets, [currency], and share of the total",
            "none": "outside the index, no sector given",
            "others": "{count} other sectors",
            "empty": "Nothing was traded.",
            "alt": "Turnover by sector, {total} in all. The largest is {sector}, {volume} or {share}.",
        },
        "pt": {
            "title": "Volume por setor",
            "unit": "Volume financeiro em todos os mercados, em [currency], e participação no total",
            "none": "fora do índice, sem setor",
            "others": "outros {count} setores",
            "empty": "Nada foi negociado.",
            "alt": "Volume por setor, {total} no total. O maior é {sector}, {volume} ou {share}.",
        },
    },
    "candles": {
        "en": {
            "title": "{ticker}: price and volume",
            "unit": "Prices in [currency], [adjusted], with averages of 5, 20 and 200 closes",
            "rises": "close at or above open",
            "falls": "close below open",
            "average": "average {sessions}",
            "price": "[money]",
            "volume": "Volume in all markets, {unit}",
            "empty": (
                "{ticker} did not trade in the cash market in these sessions, or its prices are not proven."
            ),
            "alt": (
                "Candles of {ticker}, {sessions} sessions from {first} to {last}. Last close [money] "
                "{close}; lowest [money] {low}, highest [money] {high}."
            ),
        },
        "pt": {
            "title": "{ticker}: preço e volume",
            "unit": "Preços em [currency], [adjusted], com médias de 5, 20 e 200 fechamentos",
            "rises": "fechou na abertura ou acima",
            "falls": "fechou abaixo da abertura",
            "average": "média {sessions}",
            "price": "[money]",
            "volume": "Volume em todos os mercados, {unit}",
            "empty": (
                "{ticker} não foi negociado à vista nestes pregões, ou seus preços não estão provados."
            ),
            "alt": (
                "Candles de {ticker}, {sessions} pregões de {first} a {last}. Último fechamento [money] "
                "{close}; mínima [money] {low}, máxima [money] {high}."
            ),
        },
    },
    "total_return": {
        "en": {
            "title": "{ticker}: price and total return",
            "unit": "Change since the first session, with distributions reinvested and without",
            "begins": ". Begins on {day}: before it, returns are not proven (“{reason}”)",
            "head": "Percent; the area is what distributions added",
            "events": "What went ex, in [currency] per share of that day",
            "none": "Nothing went ex in these sessions",
            "total": "{change} total",
            "price": "{change} price",
            "ratio": "{after} for {before}",
            "dividend": "dividend",
            "interest": "interest",
            "income": "income",
            "other_cash": "cash",
            "subscription": "right",
            "split": "split",
            "reverse_split": "reverse split",
            "bonus": "bonus",
            "other": "other",
            "empty": "{ticker} did not trade in the cash market in these sessions.",
            "unproven": "No return of {ticker} is proven in these sessions: {reason}.",
            "few": "A return needs two sessions in which {ticker} traded.",
            "alt": (
                "{ticker}, {sessions} sessions from {first} to {last}: price {price} in equal shares, "
                "total return {total}. Ex-dates: {list}."
            ),
        },
        "pt": {
            "title": "{ticker}: preço e retorno total",
            "unit": "Variação desde o primeiro pregão, com proventos reinvestidos e sem",
            "begins": ". Começa em {day}: antes, o retorno não está provado (“{reason}”)",
            "head": "Em %; a área é o que os proventos acrescentaram",
            "events": "O que ficou ex, em [currency] por ação daquele dia",
            "none": "Nada ficou ex nestes pregões",
            "total": "{change} total",
            "price": "{change} preço",
            "ratio": "{after} por {before}",
            "dividend": "dividendo",
            "interest": "JCP",
            "income": "rendimento",
            "other_cash": "provento",
            "subscription": "subscrição",
            "split": "desdobramento",
            "reverse_split": "grupamento",
            "bonus": "bonificação",
            "other": "outro",
            "empty": "{ticker} não foi negociado à vista nestes pregões.",
            "unproven": "Nenhum retorno de {ticker} está provado nestes pregões: {reason}.",
            "few": "Um retorno precisa de dois pregões em que {ticker} foi negociado.",
            "alt": (
                "{ticker}, {sessions} pregões de {first} a {last}: preço {price} em ações iguais, retorno "
                "total {total}. Datas ex: {list}."
            ),
        },
    },
    "against_index": {
        "en": {
            "title": "{ticker} against the {index}",
            "alone": "The {index}",
            "unit": "Change since the first session; the stock's distributions reinvested",
            "empty": "The lake has no two levels of the {index} in these sessions.",
            "alt": (
                "{ticker} against the {index}, {sessions} sessions from {first} to {last}: the stock "
                "{stock}, distributions reinvested, the index {moved}."
            ),
            "alone_alt": "The {index}, {sessions} sessions from {first} to {last}: {moved}.",
        },
        "pt": {
            "title": "{ticker} contra o {index}",
            "alone": "O {index}",
            "unit": "Variação desde o primeiro pregão; proventos do papel reinvestidos",
            "empty": "O lake não tem dois níveis do {index} nestes pregões.",
            "alt": (
                "{ticker} contra o {index}, {sessions} pregões de {first} a {last}: o papel {stock}, com "
                "proventos reinvestidos, o índice {moved}."
            ),
            "alone_alt": "O {index}, {sessions} pregões de {first} a {last}: {moved}.",
        },
    },
    "treemap": {
        "en": {
            "title": "The {index} by weight",
            "unit": "Area: weight in the index, by sector. Colour: change of the session; prices [adjusted]",
            "none": "no sector given",
            "unknown": "change not known",
            "empty": "There is no index portfolio for this session: B3 keeps no history of it.",
            "alt": (
                "Treemap of the {stocks} stocks of the {index} in {sectors} sectors, coloured by change. "
                "The heaviest is {ticker}: weight {weight}, change {change}."
            ),
        },
        "pt": {
            "title": "O {index} por peso",
            "unit": "Área: peso no índice, por setor. Cor: variação no pregão; preços [adjusted]",
            "none": "sem setor",
            "unknown": "variação desconhecida",
            "empty": "Não há carteira do índice para este pregão: a B3 não guarda o histórico dela.",
            "alt": (
                "Mapa das {stocks} ações do {index} em {sectors} setores, coloridas pela variação. A de "
                "maior peso é {ticker}: peso {weight}, variação {change}."
            ),
        },
    },
    "put_call": {
        "en": {
            "title": "Put/call ratio",
            "unit": (
                "Premiums paid for puts over premiums paid for calls, by session; and the premiums in "
                "[currency]"
            ),
            "ratio": "session",
            "smooth": "{sessions} sessions together",
            "calls": "calls",
            "puts": "puts",
            "premiums": "Premiums, {unit}: calls upwards, puts downwards",
            "empty": "No options traded in these sessions.",
            "alt": (
                "Put/call ratio over {sessions} sessions. On {day} it was {ratio}: {puts} for puts, "
                "{calls} for calls."
            ),
        },
        "pt": {
            "title": "Razão put/call",
            "unit": (
                "Prêmios pagos por puts sobre prêmios pagos por calls, por pregão; e os prêmios em [currency]"
            ),
            "ratio": "pregão",
            "smooth": "{sessions} pregões juntos",
            "calls": "calls",
            "puts": "puts",
            "premiums": "Prêmios, {unit}: calls para cima, puts para baixo",
            "empty": "Não houve negócios com opções nestes pregões.",
            "alt": (
                "Razão put/call em {sessions} pregões. Em {day} foi {ratio}: {puts} em puts, {calls} "
                "em calls."
            ),
        },
    },
    "risk": {
        "en": {
            "title": "Volatility against return",
            "unit": "Each mark is a stock, its size the volume. Prices are [adjusted]",
            "x": "Volatility of daily returns, annualised",
            "y": "Return over the period",
            "others": "other",
            "empty": "There are too few sessions for a volatility.",
            "alt": (
                "Volatility against return of {stocks} stocks. {best} returned most, {highest}, and "
                "{worst} least, {lowest}; the median volatility is {median} a year."
            ),
        },
        "pt": {
            "title": "Volatilidade e retorno",
            "unit": "Cada marca é uma ação, e seu tamanho o volume. Preços [adjusted]",
            "x": "Volatilidade dos retornos diários, anualizada",
            "y": "Retorno no período",
            "others": "outros",
            "empty": "Há poucos pregões para uma volatilidade.",
            "alt": (
                "Volatilidade e retorno de {stocks} ações. {best} teve o maior retorno, {highest}, e "
                "{worst} o menor, {lowest}; a volatilidade mediana é {median} ao ano."
            ),
        },
    },
    "expiries": {
        "en": {
            "title": "Option expiries ahead",
            "unit": (
                "Stocks by the next expiry among their options: premiums paid in the session, [currency], "
                "for all their series"
            ),
            "one_series": "series",
            "series": "series",
            "one_stock": "stock",
            "stocks": "stocks",
            "one_later": "later expiry is left out",
            "later": "later expiries are left out",
            "today": "today",
            "one_day": "day ahead",
            "days": "days ahead",
            "empty": "No options traded in this session.",
            "alt": "Option expiries ahead. {list}.",
        },
        "pt": {
            "title": "Próximos vencimentos de opções",
            "unit": (
                "Papéis pelo próximo vencimento entre suas opções: prêmios pagos no pregão, em [currency], "
                "por todas as séries"
            ),
            "one_series": "série",
            "series": "séries",
            "one_stock": "papel",
            "stocks": "papéis",
            "one_later": "vencimento posterior ficou de fora",
            "later": "vencimentos posteriores ficaram de fora",
            "today": "hoje",
            "one_day": "dia à frente",
            "days": "dias à frente",
            "empty": "Não houve negócios com opções neste pregão.",
            "alt": "Próximos vencimentos de opções. {list}.",
        },
    },
}
