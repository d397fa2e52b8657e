"""The notebook, the README's pictures and the session report, on 62 simulated sessions in the sandbox.

Expectations come from the quotes that the market generated, worked out here, with the table of factors where
prices are compared; total returns are held against what the market knows of each paper, too.
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

from analysis import pictures, report, session_page
from analysis.athena import Lake, LakeError
from sandbox.b3.formats import Quote
from sandbox.b3.sources import SimulatedSource
from scraper.b3.calendar import sessions_between
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of
from tests.sandbox.history import actions_known, levels_known, loaded

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = sessions_between(SESSIONS[0] - timedelta(days=120), SESSIONS[0] - timedelta(days=1))[-60:]
DAYS = [*HISTORY, *SESSIONS]
FRAMES = (
    *("breadth", "sectors", "prices", "index", "options", "risk", "expiries", "returns", "ex_events"),
    "beside",
)


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The notebook after it has run: what its cells show and print, and its frames.

    `of_payer` is what the last section found of a stock that has paid: `returns` and `ex_events`.
    """

    shown: dict[str, str]
    printed: str
    frames: dict[str, pd.DataFrame]
    ticker: str
    of_payer: dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def lake(deployed: Deployed) -> Iterator[Lake]:
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        environment.setenv("STACK_NAME", deployed.sandbox.deployment.work_group)
        known = actions_known(deployed, SimulatedSource(DAYS, MARKET))
        with known, loaded(deployed, HISTORY), levels_known(deployed, DAYS):
            yield Lake.find()


class Terms:
    """What makes prices comparable, by the table of factors."""

    def __init__(self, factors: pd.DataFrame) -> None:
        self._spans: dict[str, list[dict[Any, Any]]] = defaultdict(list)
        for span in factors.to_dict("records"):
            self._spans[span["isin"]].append(span)

    def close(self, ticker: str, earlier: date, day: date, base: str = "total_return_base") -> float | None:
        """A ticker's close in a session, in terms of another one; None where they cannot be compared."""
        spans = [self._span(ticker, each) for each in (earlier, day)]
        bases = {(span["isin"], span[base]) for span in spans}
        if len(bases) > 1 or pd.isna(spans[0][base]):
            return None
        one, other = (span[f"{base}_factor"] for span in spans)
        return float(closes()[ticker][earlier]) * float(one / other)

    def _span(self, ticker: str, day: date) -> dict[Any, Any]:
        spans = self._spans[cash(day)[ticker].codisi]
        (found,) = (span for span in spans if span["first_session"] <= day <= span["last_session"])
        return found


@pytest.fixture(scope="module")
def terms(lake: Lake) -> Terms:
    return Terms(lake.query(f"SELECT * FROM {lake.factors}"))  # noqa: S608 - a table's name


@pytest.fixture(scope="module")
def events(lake: Lake) -> pd.DataFrame:
    return lake.query(f"SELECT * FROM {lake.events}")  # noqa: S608 - a table's name


@pytest.fixture(scope="module")
def payer(events: pd.DataFrame, terms: Terms) -> str:
    """A stock that has traded throughout, has paid, and of which all is proven."""
    paid = events[(events["status"] == "proven") & events["kind"].isin(["dividend", "interest"])]
    paid = paid[paid["ex_date"].map(lambda day: DAYS[0] < day <= DAYS[-1])]
    always = [ticker for ticker in paid["ticker"] if closes()[ticker].keys() >= {*DAYS}]
    return str(next(each for each in sorted(always) if terms.close(each, DAYS[0], DAYS[-1]) is not None))


@pytest.fixture(scope="module")
def executed(lake: Lake, payer: str, tmp_path_factory: pytest.TempPathFactory) -> Executed:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = pictures.load({"LANGUAGE": "en"})
    (last,) = (cell.source for cell in notebook.cells if cell.id == "total-return")
    again = last.replace("charts.total_return", "of_payer = charts.total_return")  # which shows no second one
    for source in (
        _keeping(folder / "frames.pickle", *FRAMES, "ticker"),
        f"ticker = {payer!r}\n{again}",
        _keeping(folder / "of_payer.pickle", "returns", "ex_events"),
    ):
        notebook.cells.append(nbformat.v4.new_code_cell(source))
    pictures.execute(notebook)
    frames, of_payer = (
        pickle.loads((folder / f"{name}.pickle").read_bytes())  # noqa: S301 - written by the cells above
        for name in ("frames", "of_payer")
    )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return Executed(
        shown=pictures.pictures(notebook),
        printed="".join(output.get("text", "") for output in outputs),
        ticker=frames.pop("ticker"),
        frames=frames,
        of_payer=of_payer,
    )


def _keeping(path: Path, *names: str) -> str:
    """A cell that writes variables of the notebook to a file."""
    kept = ", ".join(f"{name!r}: {name}" for name in names)
    return f"import pickle\nPath({str(path)!r}).write_bytes(pickle.dumps({{{kept}}}))"


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


def breadth_by_hand(terms: Terms) -> dict[date, tuple[int, int, int]]:
    """How many shares and units rose, fell and stayed, of those with a close in the session before.

    Distributions are reinvested; where that is not proven, a stock is left out.
    """
    counts = {day: [0, 0, 0] for day in DAYS[-60:]}
    for ticker, by_day in closes().items():
        for before, day in pairwise(DAYS[-61:]):
            if not (before in by_day and day in by_day and is_stock(cash(day)[ticker])):
                continue
            previous = terms.close(ticker, before, day)
            if previous is None:
                continue
            change = round(float(by_day[day]) - previous, 6)
            counts[day][0 if change > 0 else 1 if change < 0 else 2] += 1
    return {day: (up, down, same) for day, (up, down, same) in counts.items()}


def test_the_notebook_shows_a_chart_in_every_section(executed: Executed) -> None:
    assert list(executed.shown) == [
        *("breadth", "sectors", "candles", "treemap", "put-call", "risk", "expiries", "total-return"),
        "against-index",
    ]
    for svg in executed.shown.values():
        assert svg.startswith("<svg")
        assert "Simulated data: no company or price is anybody" in svg
    assert f"60 sessions, {DAYS[-60]} to {DAYS[-1]}\n" in executed.printed
    assert "SIMULATED" in executed.printed


def test_breadth_is_that_of_the_generated_quotes(executed: Executed, terms: Terms) -> None:
    frame = executed.frames["breadth"]
    found = {
        row["trade_date"]: (row["advances"], row["declines"], row["unchanged"])
        for row in frame.to_dict("records")
    }
    assert found == breadth_by_hand(terms)


def test_put_call_is_that_of_the_generated_quotes(executed: Executed) -> None:
    rows = executed.frames["options"].to_dict("records")
    assert [(row["trade_date"], row["call_volume"], row["put_volume"]) for row in rows] == [
        (day, volume(day, "070"), volume(day, "080")) for day in DAYS[-60:]
    ]


def test_sectors_add_up_to_the_session(executed: Executed) -> None:
    frame = executed.frames["sectors"]
    assert sum(frame["volume"]) == sum(quote.voltot for quote in quotes_of(DAYS[-1]))
    assert frame["sector"].isna().sum() == 1


def test_candles_are_those_of_the_most_traded_stock_with_its_averages(
    executed: Executed, terms: Terms
) -> None:
    stocks: dict[str, Decimal] = defaultdict(Decimal)
    for quote in quotes_of(DAYS[-1]):
        stocks[quote.codisi] += quote.voltot
    names = {quote.codisi: ticker for ticker, quote in cash(DAYS[-1]).items()}
    ticker = names[max(stocks.keys() & names.keys(), key=lambda isin: stocks[isin])]
    assert executed.ticker == ticker

    in_terms = {day: terms.close(ticker, day, DAYS[-1], "split_base") for day in sorted(closes()[ticker])}
    prices = {day: close for day, close in in_terms.items() if close is not None}
    days = sorted(prices)
    expected = []
    for day in (day for day in days if day >= DAYS[-60]):
        quote = cash(day)[ticker]
        place = days.index(day) + 1
        last = {count: days[place - count : place] for count in (5, 20, 200) if place >= count}
        averages = [
            sum(prices[each] for each in last[count]) / count if count in last else None
            for count in (5, 20, 200)
        ]
        factor = prices[day] / float(closes()[ticker][day])
        bounds = [
            pytest.approx(float(price / quote.fatcot) * factor, abs=1e-6)
            for price in (quote.preabe, quote.premax, quote.premin, quote.preult)
        ]
        traded = sum(each.voltot for each in quotes_of(day) if each.codisi == quote.codisi)
        expected.append((day, *bounds, traded, *averages))
    found = executed.frames["prices"]
    names_of = ("trade_date", "open", "high", "low", "close", "volume")
    shown = found.astype(dict.fromkeys(names_of[1:5], float)).to_dict("records")
    assert [tuple(row[name] for name in names_of) for row in shown] == [row[:6] for row in expected]
    for place, count in enumerate((5, 20, 200)):
        values = [None if pd.isna(value) else value for value in found[f"average_{count}"]]
        assert values == [
            value if value is None else pytest.approx(value) for value in (row[6 + place] for row in expected)
        ]
    assert found["average_200"].isna().all()  # the lake has 62 sessions


def test_the_index_has_weights_and_the_changes_of_the_session(executed: Executed, terms: Terms) -> None:
    found = executed.frames["index"].to_dict("records")
    lines = cash(DAYS[-1])
    weights = {row.ticker: row.weight for row in MARKET.portfolio(SESSIONS[0]) if row.ticker in lines}
    assert {row["ticker"]: row["index_weight"] for row in found} == weights
    for row in found:
        by_day = closes()[row["ticker"]]
        before = terms.close(row["ticker"], DAYS[-2], DAYS[-1]) if DAYS[-2] in by_day else None
        if before is None:
            assert pd.isna(row["change_percent"])
        else:
            change = 100 * (float(by_day[DAYS[-1]]) / before - 1)
            assert row["change_percent"] == pytest.approx(change, abs=1e-9)


def test_volatility_is_that_of_the_last_21_returns(executed: Executed, terms: Terms) -> None:
    frame = executed.frames["risk"].set_index("ticker")
    days = DAYS[-22:]
    comparable: dict[str, list[float]] = {}
    for ticker, by_day in closes().items():
        if by_day.keys() >= {*days} and is_stock(cash(DAYS[-1])[ticker]):
            prices = [terms.close(ticker, day, DAYS[-1]) for day in days]
            if None not in prices:
                comparable[ticker] = [price for price in prices if price is not None]
    assert set(frame.index) == comparable.keys()
    for ticker, of_days in comparable.items():
        prices_of = pd.Series(of_days)
        returns = (prices_of / prices_of.shift()).dropna().map(math.log)
        assert len(returns) == 21
        assert frame.loc[ticker, "volatility_percent"] == pytest.approx(100 * returns.std() * 252**0.5)
        assert frame.loc[ticker, "return_percent"] == pytest.approx(100 * (of_days[-1] / of_days[0] - 1))


def test_a_stock_returns_what_the_market_knows_that_its_holder_had(executed: Executed) -> None:
    before, now = MARKET.truth(DAYS[-22]), MARKET.truth(DAYS[-1])
    paid = 0
    for row in executed.frames["risk"].to_dict("records"):
        by_day, isin = closes()[row["ticker"]], cash(DAYS[-1])[row["ticker"]].codisi
        first, last = (float(by_day[day]) for day in (DAYS[-22], DAYS[-1]))
        had = 100 * (now[isin] / before[isin] - 1)
        # Closes are rounded to cents, and so are amounts to what B3 writes
        assert row["return_percent"] == pytest.approx(had, abs=200 * 0.01 / min(first, last) + 0.02)
        paid += abs(had - 100 * (last / first - 1)) > 0.5
    assert paid > 0  # or nothing has been shown


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


def test_total_return_is_held_against_the_price_with_what_went_ex(
    executed: Executed, terms: Terms, events: pd.DataFrame, payer: str
) -> None:
    found = executed.of_payer["returns"].to_dict("records")
    assert [row["trade_date"] for row in found] == DAYS
    for row in found:
        day = row["trade_date"]
        assert row["adjusted"] == pytest.approx(terms.close(payer, day, DAYS[-1], "split_base"))
        assert row["total_return"] == pytest.approx(terms.close(payer, day, DAYS[-1]))
    begin, end = found[0], found[-1]
    assert end["total_return"] / begin["total_return"] > end["adjusted"] / begin["adjusted"]
    of_payer = events[(events["ticker"] == payer) & (events["status"] == "proven")]
    expected = of_payer[of_payer["ex_date"].isin(DAYS) & (of_payer["kind"] != "nominal_update")]
    shown = executed.of_payer["ex_events"]
    columns = ["ex_date", "kind", "ratio", "amount"]
    assert sorted(map(str, shown[columns].itertuples(index=False))) == sorted(
        map(str, expected[columns].itertuples(index=False))
    )
    assert len(shown) > 0


def test_a_stock_is_held_against_the_index_s_own_closes(executed: Executed, terms: Terms) -> None:
    found = executed.frames["beside"].to_dict("records")
    assert [row["trade_date"] for row in found] == DAYS
    for row in found:
        day = row["trade_date"]
        assert row["level"] == float(MARKET.level(day))
        expected = terms.close(executed.ticker, day, DAYS[-1])
        assert (None if pd.isna(row["stock"]) else row["stock"]) == (
            expected if expected is None else pytest.approx(expected)
        )


def test_what_is_not_proven_has_no_return_and_a_reason(executed: Executed, terms: Terms) -> None:
    for row in executed.frames["returns"].to_dict("records"):
        of_bases = {"split_base": row["adjusted"], "total_return_base": row["total_return"]}
        for base, value in of_bases.items():
            expected = terms.close(executed.ticker, row["trade_date"], DAYS[-1], base)
            assert (None if pd.isna(value) else value) == (
                expected if expected is None else pytest.approx(expected)
            )
        assert pd.notna(row["reason"]) == any(pd.isna(value) for value in of_bases.values())


def test_the_pictures_are_the_same_bytes_again(lake: Lake, executed: Executed, tmp_path: Path) -> None:
    assert pictures.main(["--output", str(tmp_path)]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert len(written) == 2 * len(executed.shown)
    assert {name: written[f"{name}-light.svg"] for name in executed.shown} == executed.shown
    assert all(written[f"{name}-dark.svg"] != svg for name, svg in executed.shown.items())


def test_the_notebook_works_with_fewer_sessions_than_it_wants_and_with_prices_as_traded(lake: Lake) -> None:
    as_traded = {"RETURNS": "traded", "LEVELS": "traded"}
    notebook = pictures.load({"SESSION": str(DAYS[2]), "LANGUAGE": "en", **as_traded})
    pictures.execute(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert f"3 sessions, {DAYS[0]} to {DAYS[2]}, of 60 wanted: the lake has no more" in printed
    assert "The lake has 2 daily returns, not 21: read with caution" in printed
    shown = pictures.pictures(notebook)
    assert len(shown) == 9
    assert "no index portfolio for this session" in shown["treemap"]  # history has no weights
    for name in ("candles", "treemap", "risk"):
        assert "not adjusted for splits or distributions" in shown[name]


def test_the_report_has_the_figures_of_the_generated_quotes(
    lake: Lake, terms: Terms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.html"
    assert report.main(["--language", "pt", "--output", str(path)]) == 0
    assert str(path) in capsys.readouterr().err
    session = session_page.read(lake, None)
    quotes = quotes_of(DAYS[-1])
    found = session_page.summary(session)
    assert found["volume"] == session.raw_volume == sum(quote.voltot for quote in quotes)
    assert found["lines"] == session.raw_lines == len(quotes)
    assert found["trades"] == sum(quote.totneg for quote in quotes)
    assert (found["advances"], found["declines"], found["unchanged"]) == breadth_by_hand(terms)[DAYS[-1]]
    by_day = {row["trade_date"]: row for row in session.history.to_dict("records")}
    assert {
        day: (row["advances"], row["declines"], row["unchanged"]) for day, row in by_day.items()
    } == breadth_by_hand(terms)
    assert by_day[DAYS[-5]]["put_volume"] == volume(DAYS[-5], "080")
    text = path.read_text(encoding="utf-8")
    shown = f"{sum(quote.voltot for quote in quotes):,.2f}".translate(str.maketrans(",.", ".,"))
    assert f"{len(quotes)} cotações do arquivo bruto, {shown} reais" in text


def test_the_first_session_of_the_lake_is_reported_against_its_open(lake: Lake) -> None:
    session = session_page.read(lake, DAYS[0])
    found = session_page.summary(session)
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
