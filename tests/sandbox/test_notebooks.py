"""The notebook, the README's pictures and the session report, on 62 simulated sessions in the sandbox.

Expectations come from the quotes that the market generated, worked out here.
"""

from __future__ import annotations

import math
import pickle
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from analysis import pictures, report
from analysis.athena import Lake, LakeError
from sandbox.b3.formats import Quote
from scraper.b3.calendar import sessions_between
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of
from tests.sandbox.history import loaded

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = sessions_between(SESSIONS[0] - timedelta(days=120), SESSIONS[0] - timedelta(days=1))[-60:]
DAYS = [*HISTORY, *SESSIONS]
FRAMES = ("breadth", "sectors", "prices", "index", "options", "risk", "expiries")


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The notebook after it has run: what its cells show and print, and its frames."""

    shown: dict[str, str]
    printed: str
    frames: dict[str, pd.DataFrame]
    ticker: str


@pytest.fixture(scope="module")
def lake(deployed: Deployed) -> Iterator[Lake]:
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        environment.setenv("STACK_NAME", deployed.sandbox.deployment.work_group)
        with loaded(deployed, HISTORY):
            yield Lake.find()


@pytest.fixture(scope="module")
def executed(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Executed:
    kept = tmp_path_factory.mktemp("notebook") / "frames.pickle"
    notebook = pictures.load({"LANGUAGE": "en"})
    names = ", ".join(f"{name!r}: {name}" for name in (*FRAMES, "ticker"))
    keep = f"import pickle\nPath({str(kept)!r}).write_bytes(pickle.dumps({{{names}}}))"
    notebook.cells.append(nbformat.v4.new_code_cell(keep))
    pictures.execute(notebook)
    frames = pickle.loads(kept.read_bytes())  # noqa: S301 - written by the cell above
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return Executed(
        shown=pictures.pictures(notebook),
        printed="".join(output.get("text", "") for output in outputs),
        ticker=frames.pop("ticker"),
        frames=frames,
    )


@cache
def cash(day: date) -> dict[str, Quote]:
    """The lines of the cash market, by ticker."""
    return {quote.codneg: quote for quote in quotes_of(day) if quote.tpmerc == "010"}


@cache
def closes() -> dict[str, dict[date, Decimal]]:
    """Closes in BRL for one unit, by ticker and session."""
    found: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for day in DAYS:
        for ticker, quote in cash(day).items():
            found[ticker][day] = quote.preult / quote.fatcot
    return found


def volume(day: date, *markets: str) -> Decimal:
    return sum((quote.voltot for quote in quotes_of(day) if quote.tpmerc in markets), Decimal(0))


def is_stock(quote: Quote) -> bool:
    """Whether a line is of a share or a unit."""
    return quote.especi.startswith(("ON", "PN", "UNT"))


def breadth_by_hand() -> dict[date, tuple[int, int, int]]:
    """How many shares and units rose, fell and stayed, of those with a close in the session before."""
    counts = {day: [0, 0, 0] for day in DAYS[-60:]}
    for ticker, by_day in closes().items():
        for before, day in pairwise(DAYS[-61:]):
            if not (before in by_day and day in by_day and is_stock(cash(day)[ticker])):
                continue
            change = by_day[day] - by_day[before]
            counts[day][0 if change > 0 else 1 if change < 0 else 2] += 1
    return {day: (up, down, same) for day, (up, down, same) in counts.items()}


def test_the_notebook_shows_a_chart_in_every_section(executed: Executed) -> None:
    assert list(executed.shown) == [
        *("breadth", "sectors", "candles", "treemap", "put-call", "risk", "expiries")
    ]
    for svg in executed.shown.values():
        assert svg.startswith("<svg")
        assert "Simulated data: no company or price is anybody" in svg
    assert f"60 sessions, {DAYS[-60]} to {DAYS[-1]}\n" in executed.printed
    assert "SIMULATED" in executed.printed


def test_breadth_is_that_of_the_generated_quotes(executed: Executed) -> None:
    frame = executed.frames["breadth"]
    found = {
        row["trade_date"]: (row["advances"], row["declines"], row["unchanged"])
        for row in frame.to_dict("records")
    }
    assert found == breadth_by_hand()


def test_put_call_is_that_of_the_generated_quotes(executed: Executed) -> None:
    rows = executed.frames["options"].to_dict("records")
    assert [(row["trade_date"], row["call_volume"], row["put_volume"]) for row in rows] == [
        (day, volume(day, "070"), volume(day, "080")) for day in DAYS[-60:]
    ]


def test_sectors_add_up_to_the_session(executed: Executed) -> None:
    frame = executed.frames["sectors"]
    assert sum(frame["volume"]) == sum(quote.voltot for quote in quotes_of(DAYS[-1]))
    assert frame["sector"].isna().sum() == 1


def test_candles_are_those_of_the_most_traded_stock_with_its_averages(executed: Executed) -> None:
    stocks: dict[str, Decimal] = defaultdict(Decimal)
    for quote in quotes_of(DAYS[-1]):
        stocks[quote.codisi] += quote.voltot
    names = {quote.codisi: ticker for ticker, quote in cash(DAYS[-1]).items()}
    ticker = names[max(stocks.keys() & names.keys(), key=lambda isin: stocks[isin])]
    assert executed.ticker == ticker

    prices = closes()[ticker]
    days = sorted(prices)
    expected = []
    for day in (day for day in days if day >= DAYS[-60]):
        quote = cash(day)[ticker]
        place = days.index(day) + 1
        last = {count: days[place - count : place] for count in (5, 20, 200) if place >= count}
        averages = [
            float(sum(prices[each] for each in last[count])) / count if count in last else None
            for count in (5, 20, 200)
        ]
        bounds = [price / quote.fatcot for price in (quote.preabe, quote.premax, quote.premin, quote.preult)]
        traded = sum(each.voltot for each in quotes_of(day) if each.codisi == quote.codisi)
        expected.append((day, *bounds, traded, *averages))
    found = executed.frames["prices"]
    names_of = ("trade_date", "open", "high", "low", "close", "volume")
    assert [tuple(row[name] for name in names_of) for row in found.to_dict("records")] == [
        row[:6] for row in expected
    ]
    for place, count in enumerate((5, 20, 200)):
        values = [None if pd.isna(value) else value for value in found[f"average_{count}"]]
        assert values == [
            value if value is None else pytest.approx(value) for value in (row[6 + place] for row in expected)
        ]
    assert found["average_200"].isna().all()  # the lake has 62 sessions


def test_the_index_has_weights_and_the_changes_of_the_session(executed: Executed) -> None:
    found = executed.frames["index"].to_dict("records")
    lines = cash(DAYS[-1])
    weights = {row.ticker: row.weight for row in MARKET.portfolio(SESSIONS[0]) if row.ticker in lines}
    assert {row["ticker"]: row["index_weight"] for row in found} == weights
    for row in found:
        today, before = (closes()[row["ticker"]].get(day) for day in (DAYS[-1], DAYS[-2]))
        assert today is not None
        if before is None:
            assert pd.isna(row["change_percent"])
        else:
            assert row["change_percent"] == pytest.approx(float(100 * (today - before) / before))


def test_volatility_is_that_of_the_last_21_returns(executed: Executed) -> None:
    frame = executed.frames["risk"].set_index("ticker")
    by_ticker = closes()
    always = [ticker for ticker, by_day in by_ticker.items() if by_day.keys() >= {*DAYS[-22:]}]
    assert set(frame.index) == {ticker for ticker in always if is_stock(cash(DAYS[-1])[ticker])}
    for ticker in frame.index:
        prices = pd.Series([float(by_ticker[ticker][day]) for day in DAYS[-22:]])
        returns = (prices / prices.shift()).dropna().map(math.log)
        assert len(returns) == 21
        assert frame.loc[ticker, "volatility_percent"] == pytest.approx(100 * returns.std() * 252**0.5)
        assert frame.loc[ticker, "return_percent"] == pytest.approx(
            100 * (prices.iloc[-1] / prices.iloc[0] - 1)
        )


def test_expiries_count_each_stock_once(executed: Executed) -> None:
    options = [quote for quote in quotes_of(DAYS[-1]) if quote.tpmerc in {"070", "080"}]
    stocks: dict[str, list[Quote]] = defaultdict(list)
    for quote in options:
        stocks[quote.codisi].append(quote)
    expected: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for quotes in stocks.values():
        entry = expected[min(quote.datven for quote in quotes if quote.datven)]
        entry[0] += 1
        entry[1] += len({quote.codneg for quote in quotes})
        entry[2] += sum(quote.voltot for quote in quotes)
    found = executed.frames["expiries"].to_dict("records")
    assert {
        row["next_expiry"]: [row["stocks"], row["option_series"], row["volume"]] for row in found
    } == expected
    assert [row["days_to_expiry"] for row in found] == [
        (expiry - DAYS[-1]).days for expiry in sorted(expected)
    ]


def test_the_pictures_are_the_same_bytes_again(lake: Lake, executed: Executed, tmp_path: Path) -> None:
    assert pictures.main(["--output", str(tmp_path)]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert len(written) == 2 * len(executed.shown)
    assert {name: written[f"{name}-light.svg"] for name in executed.shown} == executed.shown
    assert all(written[f"{name}-dark.svg"] != svg for name, svg in executed.shown.items())


def test_the_notebook_works_with_fewer_sessions_than_it_wants(lake: Lake) -> None:
    notebook = pictures.load({"SESSION": str(DAYS[2]), "LANGUAGE": "en"})
    pictures.execute(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert f"3 sessions, {DAYS[0]} to {DAYS[2]}, of 60 wanted: the lake has no more" in printed
    assert "The lake has 2 daily returns, not 21: read with caution" in printed
    shown = pictures.pictures(notebook)
    assert len(shown) == 7
    assert "no index portfolio for this session" in shown["treemap"]  # history has no weights


def test_the_report_has_the_figures_of_the_generated_quotes(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.html"
    assert report.main(["--language", "pt", "--output", str(path)]) == 0
    assert str(path) in capsys.readouterr().err
    session = report.read(lake, None)
    quotes = quotes_of(DAYS[-1])
    found = report.summary(session)
    assert found["volume"] == session.raw_volume == sum(quote.voltot for quote in quotes)
    assert found["lines"] == session.raw_lines == len(quotes)
    assert found["trades"] == sum(quote.totneg for quote in quotes)
    assert (found["advances"], found["declines"], found["unchanged"]) == breadth_by_hand()[DAYS[-1]]
    by_day = {row["trade_date"]: row for row in session.history.to_dict("records")}
    assert {
        day: (row["advances"], row["declines"], row["unchanged"]) for day, row in by_day.items()
    } == breadth_by_hand()
    assert by_day[DAYS[-5]]["put_volume"] == volume(DAYS[-5], "080")
    text = path.read_text(encoding="utf-8")
    shown = f"{sum(quote.voltot for quote in quotes):,.2f}".translate(str.maketrans(",.", ".,"))
    assert f"{len(quotes)} cotações do arquivo bruto, {shown} reais" in text


def test_the_first_session_of_the_lake_is_reported_against_its_open(lake: Lake) -> None:
    session = report.read(lake, DAYS[0])
    found = report.summary(session)
    lines = cash(DAYS[0]).values()
    assert not session.has_previous
    assert found["advances"] == sum(line.preult > line.preabe for line in lines if is_stock(line))
    assert found["declines"] == sum(line.preult < line.preabe for line in lines if is_stock(line))


def test_athena_s_own_reason_reaches_the_reader(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"Athena: .*no_such_column(.|\n)*The query was:"):
        lake.query(f"SELECT no_such_column FROM {lake.table} WHERE trade_date = :day", day=DAYS[-1])  # noqa: S608


def test_a_session_that_is_not_in_the_lake_ends_the_report(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main(["--date", "2025-03-15"]) == 1
    said = capsys.readouterr().err
    assert "Session 2025-03-15 is not in" in said
    assert "62 sessions" in said
