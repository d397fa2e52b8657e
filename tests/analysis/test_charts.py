"""The charts, on frames as Athena answers them: legible in both themes, both languages and both sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache, partial
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from analysis import charts, style
from tests.analysis import frames

Chart = Callable[..., Figure]

CHARTS: dict[str, tuple[Chart, pd.DataFrame]] = {
    "breadth": (charts.market_breadth, frames.breadth()),
    "breadth of a year": (charts.market_breadth, frames.breadth(250)),
    "breadth of a week": (charts.market_breadth, frames.breadth(5)),
    "breadth of a session": (charts.market_breadth, frames.breadth(1)),
    "sectors": (charts.turnover_by_sector, frames.sectors()),
    "many sectors": (charts.turnover_by_sector, frames.sectors(40)),
    "candles": (partial(charts.candles, ticker="ZXAA3"), frames.candles()),
    "candles with every average": (partial(charts.candles, ticker="ZXAA3"), frames.candles(250)),
    "a candle": (partial(charts.candles, ticker="ZXAA3"), frames.candles(1)),
    "treemap": (charts.index_treemap, frames.index()),
    "against index": (
        partial(charts.stock_against_index, ticker="ZXAA3", index="IBOV"),
        frames.levels(),
    ),
    "against index from later on": (
        partial(charts.stock_against_index, ticker="ZXAA3", index="IBOV"),
        frames.levels(250, without=100),
    ),
    "an index alone": (
        partial(charts.stock_against_index, ticker="ZXAA3", index="IBOV"),
        frames.levels(20, without=20),
    ),
    "put/call": (charts.put_call_ratio, frames.options()),
    "put/call of two sessions": (charts.put_call_ratio, frames.options(2)),
    "total return": (
        partial(charts.total_return, events=frames.ex_events(), ticker="ZXAA3"),
        frames.returns(),
    ),
    "total return that begins late": (
        partial(charts.total_return, events=frames.ex_events(), ticker="ZXAA3"),
        frames.returns(unproven=49),
    ),
    "total return of a fund": (
        partial(charts.total_return, events=frames.ex_events(every=21), ticker="ZXAA3"),
        frames.returns(),
    ),
    "total return of two sessions": (
        partial(charts.total_return, events=frames.ex_events(2), ticker="ZXAA3"),
        frames.returns(2),
    ),
    "risk": (charts.volatility_against_return, frames.risk()),
    "expiries": (charts.option_expiries, frames.expiries()),
}
ONE_OF_EACH = ["breadth", "sectors", "candles", "treemap", "put/call", "risk", "expiries", "total return"]
ONE_OF_EACH.append("against index")
SOURCE = "Simulated data: no company or price is anybody's; 6 Jan 2031 to 28 Mar 2031"


def draw(name: str, language: str, **look: float) -> Figure:
    chart, frame = CHARTS[name]
    return chart(frame, source=SOURCE, language=language, **look)


drawn = cache(draw)  # for tests that only look at a figure


@cache
def svg(name: str) -> str:
    return style.svg(drawn(name, "pt"))


def written(figure: Figure) -> list[Text]:
    """The texts that are drawn: not the labels of ticks beyond the ends of an axis."""
    beyond: set[Text] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not axes.axison or not low <= tick.get_loc() <= high:
                    beyond |= {tick.label1, tick.label2}
    every = figure.findobj(Text)
    return [text for text in every if text not in beyond and text.get_visible() and text.get_text().strip()]


def rectangles(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def texts(figure: Figure) -> list[str]:
    """What stands in a figure, as it is read."""
    found = [text.get_text().replace(r"\$", "$") for text in written(figure)]
    return [text.replace("\u00a0", " ").replace("\u2002", " ") for text in found]


def heading(figure: Figure) -> str:
    """What stands above a chart, and its source."""
    return " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("look", [{}, {"size": style.NARROW}], ids=["wide", "narrow"])
def test_no_text_is_cut_off_or_lies_on_another(name: str, look: dict[str, float]) -> None:
    figure = drawn(name, "pt", **look)  # whose words are the longer ones
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer).padded(-1.5)) for text in written(figure)]
    inside = figure.bbox.padded(1)
    assert [
        text
        for text, box in boxes
        if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))
    ] == []
    assert [(one[0], two[0]) for one, two in combinations(boxes, 2) if one[1].overlaps(two[1])] == []


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_same_frame_gives_the_same_bytes(name: str) -> None:
    assert style.svg(draw(name, "pt")) == svg(name)
    assert len(svg(name).encode()) < 150_000


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_picture_is_well_formed_has_real_text_and_asks_for_nothing(name: str) -> None:
    root = ElementTree.fromstring(svg(name))  # noqa: S314 - our own
    namespace = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{namespace}title")
    assert any(SOURCE in (text.text or "") for text in root.iter(f"{namespace}text"))
    assert not re.search(r'(href|src|url)\s*[=(]\s*["\']?(http|//)', svg(name))
    assert "<script" not in svg(name)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_chart_has_title_unit_source_and_says_in_words_what_it_shows(name: str) -> None:
    for language in style.LANGUAGES:
        figure = drawn(name, language)
        assert len(style.alt_text(figure)) > 40
        assert SOURCE in texts(figure)
        title, unit, *_ = (text.get_text() for text in figure.texts)
        assert title
        assert unit


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("language", style.LANGUAGES)
def test_a_frame_without_rows_says_so(name: str, language: str) -> None:
    chart, frame = CHARTS[name]
    figure = chart(frame.iloc[:0], language=language)
    assert len(texts(figure)) >= 3  # title, unit, why there is nothing
    assert style.svg(figure)


def test_a_theme_or_language_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="theme 'blue', expected one of light, dark"):
        charts.market_breadth(frames.breadth(), theme="blue")
    with pytest.raises(ValueError, match="language 'fr', expected one of en, pt"):
        charts.market_breadth(frames.breadth(), language="fr")


def test_breadth_says_the_last_session_and_adds_up_the_differences() -> None:
    frame = pd.DataFrame(
        {
            "trade_date": [date(2031, 3, 13), date(2031, 3, 12), date(2031, 3, 14)],  # in any order
            "advances": [50, 100, 1234],
            "declines": [80, 40, 400],
            "unchanged": [1, 2, 30],
        }
    )
    figure = charts.market_breadth(frame)
    assert "14 Mar: 1,234 rising, 400 falling, 30 unchanged" in texts(figure)
    assert "+864" in texts(figure)  # 60 - 30 + 834
    bars, line = figure.axes
    assert [patch.get_height() for patch in rectangles(bars)] == [100, 50, 1234, -40, -80, -400]
    assert list(np.asarray(line.lines[0].get_ydata())) == [60, 30, 864]


def test_sectors_are_bars_by_volume_and_what_has_none_comes_last() -> None:
    frame = pd.DataFrame(
        {
            "sector": ["B", None, "A", "B"],
            "volume": [Decimal(1_000_000), Decimal(5_000_000), Decimal(3_000_000), Decimal(1_000_000)],
        }
    )
    figure = charts.turnover_by_sector(frame, language="pt")
    (bars,) = figure.axes
    assert [patch.get_width() for patch in rectangles(bars)] == [3e6, 2e6, 5e6]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["A", "B", "fora do índice, sem setor"]
    assert {"R$ 3,00 mi 30,0%", "R$ 2,00 mi 20,0%", "R$ 5,00 mi 50,0%"} <= set(texts(figure))


def test_candles_span_open_and_close_side_by_side_over_a_weekend() -> None:
    frame = pd.DataFrame(
        {
            "trade_date": [date(2031, 3, 14), date(2031, 3, 17)],
            "open": [Decimal("10.00"), Decimal("12.00")],
            "high": [Decimal("11.00"), Decimal("12.50")],
            "low": [Decimal("9.50"), Decimal("11.00")],
            "close": [Decimal("10.75"), Decimal("11.25")],
            "volume": [Decimal(2_000_000), Decimal(1_000_000)],
        }
    )
    figure = charts.candles(frame, ticker="ZXAA3", theme="light")
    prices, volumes = figure.axes
    bodies = [
        (body.get_x() + body.get_width() / 2, body.get_y(), body.get_height()) for body in rectangles(prices)
    ]
    assert bodies == [(0, 10.0, 0.75), (1, 11.25, 0.75)]
    rising, falling = (body.get_facecolor() for body in rectangles(prices))
    assert rising[:3] == (1, 1, 1)  # hollow
    assert falling[:3] != (1, 1, 1)
    assert [bar.get_height() for bar in rectangles(volumes)] == [2, 1]
    assert "11.25" in texts(figure)


def test_an_average_is_drawn_only_where_there_is_one() -> None:
    figure = charts.candles(frames.candles(60), ticker="ZXAA3")
    assert [text for text in texts(figure) if text.startswith("average")] == ["average 5", "average 20"]


def test_treemap_areas_are_the_weights_and_colours_the_changes() -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["ZXAA3", "ZXBB4", "ZXCC3", "ZXDD3"],
            "sector": ["A / X", "A / Y", "B", None],
            "index_weight": [Decimal("50.000"), Decimal("20.000"), Decimal("20.000"), Decimal("10.000")],
            "change_percent": [1.9, -1.9, 0.0, None],
        }
    )
    figure = charts.index_treemap(frame, theme="light")
    cells = rectangles(figure.axes[0])
    total = sum(cell.get_width() * cell.get_height() for cell in cells)
    look = style.THEMES["light"]
    by_colour = {
        style_colour(cell.get_facecolor()): cell.get_width() * cell.get_height() / total for cell in cells
    }
    # Headings take a strip of each sector that has room for one
    assert by_colour[look.scale[5]] == pytest.approx(0.5, abs=0.02)  # +1.9 percent, of +-1 to +-2
    assert by_colour[look.scale[1]] == pytest.approx(0.2, abs=0.02)
    assert by_colour[look.scale[3]] == pytest.approx(0.2, abs=0.02)
    assert by_colour[look.neutral] == pytest.approx(0.1, abs=0.02)
    assert {"ZXAA3", "+1.9%", "−1.9%", "change not known"} <= set(texts(figure))


def style_colour(rgba: Any) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgba[:3])


def test_put_call_is_premiums_over_premiums_and_has_a_gap_where_no_calls_traded() -> None:
    frame = pd.DataFrame(
        {
            "trade_date": [date(2031, 3, 12), date(2031, 3, 13), date(2031, 3, 14)],
            "call_volume": [Decimal(200), Decimal(0), Decimal(400)],
            "put_volume": [Decimal(100), Decimal(50), Decimal(500)],
        }
    )
    figure = charts.put_call_ratio(frame)
    ratio = np.asarray(figure.axes[0].lines[1].get_ydata())
    assert ratio[0] == 0.5
    assert np.isnan(ratio[1])
    assert ratio[2] == 1.25
    assert "1.25" in texts(figure)


def test_risk_names_the_extremes_and_what_traded_most() -> None:
    frame = frames.risk(60)
    named = set(texts(charts.volatility_against_return(frame)))
    by_return = frame.sort_values("return_percent")["ticker"]
    assert {by_return.iloc[0], by_return.iloc[-1], frame["ticker"][0]} <= named


def returned(reasons: list[str | None]) -> pd.DataFrame:
    """Four sessions: 20 falls to 18, of which 1 is a dividend reinvested at 19, and rises to 21."""
    values = [(20.0, 19.0), (18.0, 18.0), (18.0, 18.0), (21.0, 21.0)]
    shown = [(None, None) if reason else value for reason, value in zip(reasons, values, strict=True)]
    return pd.DataFrame(
        {
            "trade_date": [date(2031, 3, 12), date(2031, 3, 13), date(2031, 3, 14), date(2031, 3, 17)],
            "adjusted": [price for price, _ in shown],
            "total_return": [total for _, total in shown],
            "reason": reasons,
        }
    )


def ex(ex_date: date, kind: str, *, ratio: str | None = None, amount: str | None = None) -> dict[str, Any]:
    sizes = {"ratio": ratio, "amount": amount}
    return {"ex_date": ex_date, "kind": kind, **{n: v if v is None else Decimal(v) for n, v in sizes.items()}}


DIVIDEND = ex(date(2031, 3, 13), "dividend", amount="1.00000000000")


def test_a_stock_and_an_index_begin_where_both_are_known() -> None:
    frame = frames.levels(4, without=1).assign(
        level=[50.0, 100.0, 90.0, 110.0], stock=pd.Series([None, 10.0, 11.0, 12.0])
    )
    figure = charts.stock_against_index(frame, ticker="ZXAA3", index="SMLL")
    assert {"+10.0% SMLL", "+20.0% ZXAA3"} <= set(texts(figure))
    assert "the stock +20.0%, distributions reinvested, the index +10.0%" in style.alt_text(figure)
    alone = charts.stock_against_index(frame.assign(stock=None), ticker="ZXAA3", index="SMLL")
    assert style.alt_text(alone).startswith("The SMLL, 4 sessions")
    assert "+120.0% SMLL" in texts(alone)
    nothing = charts.stock_against_index(frame.head(1), ticker="ZXAA3", index="SMLL")
    assert style.alt_text(nothing) == "The lake has no two levels of the SMLL in these sessions."


def test_total_return_is_held_against_the_price_both_since_the_first_session() -> None:
    figure = charts.total_return(returned([None] * 4), pd.DataFrame([DIVIDEND]), ticker="ZXAA3")
    _, price, total, ex_dates = figure.axes[0].lines
    assert list(np.asarray(price.get_ydata())) == pytest.approx([0, -10, -10, 5])
    assert list(np.asarray(total.get_ydata())) == pytest.approx([0, -100 / 19, -100 / 19, 200 / 19])
    assert list(np.asarray(ex_dates.get_xdata())) == [1]
    assert {"+5.0% price", "+10.5% total", "dividend 1.00"} <= set(texts(figure))
    assert "price +5.0% in equal shares, total return +10.5%" in style.alt_text(figure)
    assert "13 Mar 2031 dividend 1.00" in style.alt_text(figure).replace("\u00a0", " ")


def test_total_return_begins_where_it_is_proven_and_says_why_not_before() -> None:
    frame = returned(["an older reason", "2031-03-14: a rise that B3 states no event for", None, None])
    figure = charts.total_return(frame, pd.DataFrame([DIVIDEND]), ticker="ZXAA3")
    price = figure.axes[0].lines[1]
    assert list(np.asarray(price.get_ydata())) == pytest.approx([0, 100 / 6])
    said = heading(figure).replace("\u00a0", " ")
    assert "Begins on 14 Mar 2031: before it, returns are not proven" in said
    assert "2031-03-14: a rise that B3 states no event for" in said
    assert "an older reason" not in said
    # The dividend went ex before the line begins
    assert "Nothing went ex in these sessions" in texts(figure)
    whole = charts.total_return(returned([None] * 4), pd.DataFrame([DIVIDEND]), ticker="ZXAA3")
    assert "Begins" not in heading(whole)


def test_total_return_that_is_not_proven_at_all_is_not_drawn() -> None:
    figure = charts.total_return(returned(["no cash line"] * 4), pd.DataFrame([DIVIDEND]), ticker="ZXAA3")
    assert figure.axes == []
    assert "No return of ZXAA3 is proven in these sessions: no cash line." in style.alt_text(figure)
    alone = charts.total_return(returned([None] * 4).tail(1), pd.DataFrame([DIVIDEND]), ticker="ZXAA3")
    assert "A return needs two sessions" in style.alt_text(alone)


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("en", ["split 3 for 2", "bonus 12.5%", "dividend 0.53 + interest 0.045"]),
        ("pt", ["desdobramento 3 por 2", "bonificação 12,5%", "dividendo 0,53 + JCP 0,045"]),
    ],
)
def test_what_went_ex_is_said_in_few_words(language: str, labels: list[str]) -> None:
    days = frames.weekdays(259)
    events = [
        ex(days[40], "split", ratio="1.50000000000"),
        ex(days[120], "bonus", ratio="1.12500000000"),
        # Two instalments of one dividend, and interest beside them
        ex(days[200], "dividend", amount="0.50"),
        ex(days[200], "dividend", amount="0.03"),
        ex(days[200], "interest", amount="0.0450"),
    ]
    figure = charts.total_return(frames.returns(), pd.DataFrame(events), ticker="ZXAA3", language=language)
    assert sorted(labels) == sorted(text for text in texts(figure) if text in labels)


def test_ratios_are_labelled_before_amounts_and_what_has_no_room_has_a_tick() -> None:
    days = frames.weekdays(259)
    events = [ex(day, "dividend", amount="0.10") for day in days[20::4]]
    events.append(ex(days[100], "split", ratio="2"))
    figure = charts.total_return(frames.returns(), pd.DataFrame(events), ticker="ZXAA3", size=style.NARROW)
    shown = [text for text in texts(figure) if "dividend" in text or "split" in text]
    assert any("split 2 for 1" in text for text in shown)
    assert 5 < len(shown) < len(figure.axes[1].lines) == 60


@pytest.mark.parametrize("name", ["breadth", "candles", "treemap", "risk"])
@pytest.mark.parametrize("language", style.LANGUAGES)
def test_a_chart_says_what_its_prices_are_adjusted_for(name: str, language: str) -> None:
    chart, frame = CHARTS[name]
    said = {
        "en": ("for splits and distributions", "for splits and bonus shares", "not adjusted for splits"),
        "pt": ("por desdobramentos e proventos", "por desdobramentos e bonificações", "sem ajuste por"),
    }[language]
    for prices, words in zip(("total_return", "adjusted", "traded"), said, strict=True):
        # Above the chart, whether there are rows to draw or not
        assert words in heading(chart(frame.iloc[:0], language=language, prices=prices))
    assert said[1 if name == "candles" else 0] in heading(drawn(name, language))  # a level, and changes
    with pytest.raises(ValueError, match="prices 'adjust', expected one of total_return, adjusted, traded"):
        chart(frame, language=language, prices="adjust")


def test_expiries_come_in_order_and_count_in_words() -> None:
    shown = texts(charts.option_expiries(frames.expiries()))
    assert [text for text in shown if text.endswith("2031")] == ["21 Mar 2031", "18 Apr 2031", "16 May 2031"]
    assert "R$ 430 mn, 2,714 series, 61 stocks, today" in shown
    assert "R$ 1.53 k, 1 series, 1 stock, 63 days ahead" in shown


@pytest.mark.parametrize(
    ("language", "number", "money", "day"),
    [
        ("en", "−1,234.50", "R$ 2.31 bn", "9 Feb 2031"),
        ("pt", "−1.234,50", "R$ 2,31 bi", "9 fev 2031"),
    ],
)
def test_numbers_money_and_days_are_written_in_the_language(
    language: str, number: str, money: str, day: str
) -> None:
    form = style.Format(language)
    assert form.number(Decimal("-1234.50"), 2) == number
    assert form.money(Decimal("2310456789.12")).replace("\u00a0", " ") == money
    assert form.day(date(2031, 2, 9)).replace("\u00a0", " ") == day


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("999999999"), "R$ 1.00 bn"),
        (Decimal("12345678"), "R$ 12.3 mn"),
        (Decimal("123456"), "R$ 123 k"),
        (Decimal("12.5"), "R$ 12.50"),
        (0, "R$ 0.00"),
        (None, "–"),
        (pd.NA, "–"),
    ],
)
def test_money_has_three_digits_and_its_unit(value: Any, shown: str) -> None:
    assert style.Format().money(value).replace("\u00a0", " ") == shown


def test_a_change_too_small_to_show_has_no_sign() -> None:
    assert style.Format().percent(-0.001, 2, signed=True) == "0.00%"
    assert style.Format().percent(0.05, 1, signed=True) == "+0.1%"


def test_labels_are_spread_no_further_than_they_must() -> None:
    assert style.spread([5.0, 1.0, 9.0], 2) == [5.0, 1.0, 9.0]
    assert style.spread([1.0, 1.0], 2) == [0.0, 2.0]
    assert style.spread([4.0, 3.0, 3.5, 20.0], 2) == [5.5, 1.5, 3.5, 20.0]


@pytest.mark.parametrize("theme", style.THEMES)
def test_text_has_contrast_enough_everywhere_it_stands(theme: str) -> None:
    look = style.THEMES[theme]
    for ink in (look.ink, look.muted, look.up, look.down, *look.accents):
        assert contrast(ink, look.page) >= 4.5, ink
    for ink, colour in zip(look.on_scale, look.scale, strict=True):
        assert contrast(ink, colour) >= 4.5, (ink, colour)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    return float(np.dot([0.2126, 0.7152, 0.0722], linear(colour)))


def linear(colour: str) -> Any:
    parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency
# (2009), severity 1: what people without one kind of cone see, in linear RGB
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("theme", style.THEMES)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_up_and_down_are_told_apart_with_any_colour_deficiency(theme: str, deficiency: str) -> None:
    look = style.THEMES[theme]
    pairs = [(look.up, look.down), (look.scale[0], look.scale[6]), (look.scale[1], look.scale[5])]
    for one, other in pairs:
        seen = [
            lab(np.clip(np.array(DEFICIENCIES[deficiency]) @ linear(colour), 0, 1)) for colour in (one, other)
        ]
        assert np.linalg.norm(seen[0] - seen[1]) > 30, (one, other)  # CIELAB; 2.3 is just noticeable


def lab(rgb: Any) -> Any:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ rgb / np.array([0.9505, 1.0, 1.0890])
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def with_gap(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of sessions of which the fourth comes after two that are missing."""
    return frame.assign(missing_before=[2 if n == 3 else 0 for n in range(len(frame))])


@pytest.mark.parametrize(
    ("name", "panel", "lines"),
    [("breadth", 1, [0]), ("put/call", 0, [1]), ("candles", 0, [0]), ("total return", 0, [1, 2])],
)
def test_no_line_is_drawn_across_missing_sessions_and_the_chart_says_so(
    name: str, panel: int, lines: list[int]
) -> None:
    chart, frame = CHARTS[name]
    whole, broken = drawn(name, "en"), chart(with_gap(frame))
    for line in lines:
        kept = np.asarray(whole.axes[panel].lines[line].get_ydata(), dtype=float)
        found = np.asarray(broken.axes[panel].lines[line].get_ydata(), dtype=float)
        assert np.isnan(found[3])
        assert len(found) == len(kept) + 1
    assert "dotted: the lake lacks 2 sessions there" in heading(broken)
    assert "dotted" not in heading(whole)
    assert "ali faltam 2 pregões no lake" in heading(chart(with_gap(frame), language="pt"))


def test_sessions_are_added_up_only_where_none_is_missing_between_them() -> None:
    frame = frames.options(24).assign(missing_before=[1 if n == 12 else 0 for n in range(24)])
    smooth = np.asarray(charts.put_call_ratio(frame).axes[0].lines[2].get_ydata(), dtype=float)
    # Ten together from the tenth on, and again from the tenth after the gap, which has a place of its own
    assert [n for n, value in enumerate(smooth) if np.isfinite(value)] == [9, 10, 11, 22, 23, 24]


def test_breadth_has_no_bar_where_the_session_before_is_missing() -> None:
    frame = with_gap(frames.breadth(5)).astype({"advances": "Int64", "declines": "Int64"})
    frame.loc[3, ["advances", "declines", "unchanged"]] = pd.NA
    bars = rectangles(charts.market_breadth(frame).axes[0])
    assert [n for n, bar in enumerate(bars) if np.isnan(bar.get_height())] == [3, 8]
    nothing = frame.assign(**dict.fromkeys(("advances", "declines", "unchanged"), np.nan))
    assert any("needs a close before" in text for text in texts(charts.market_breadth(nothing)))


@pytest.mark.parametrize("name", ["sectors", "candles", "put/call", "expiries"])
@pytest.mark.parametrize(
    ("language", "named"), [("en", "thousands of cruzeiros reais"), ("pt", "milhares de")]
)
def test_amounts_before_the_real_are_not_called_brl(name: str, language: str, named: str) -> None:
    chart, frame = CHARTS[name]
    figure = chart(frame.assign(currency="CRR thousand"), language=language)
    said = " ".join([*texts(figure), style.alt_text(figure)])
    assert named in heading(figure)
    assert "CRR" in said
    assert not re.search(r"BRL|R\$|em reais", said)
    assert re.search(r"BRL|R\$|em reais", " ".join(texts(drawn(name, language))))


def test_amounts_of_two_currencies_in_one_chart_are_refused() -> None:
    frame = frames.options(2).assign(currency=["CRR thousand", "BRL"])
    with pytest.raises(ValueError, match="CRR thousand and BRL in one chart"):
        charts.put_call_ratio(frame)
