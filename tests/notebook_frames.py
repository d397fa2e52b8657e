"""What the notebooks' frames have to hold, worked out from the market's quotes and the table of factors.

Both notebooks are held to it: the one of Athena's SQL and the one of Athena for Apache Spark.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket

Row = Mapping[Any, Any]


def is_stock(quote: Quote) -> bool:
    """Whether a line is of a share or a unit."""
    return quote.especi.startswith(("ON", "PN", "UNT"))


def none_if_missing(value: Any) -> Any:
    """A value of a frame, in which what is null may be NaN."""
    return None if pd.isna(value) else value


def rows_by(frame: pd.DataFrame, key: str) -> Mapping[Any, Row]:
    """The rows of a frame by one of its columns."""
    rows = {row[key]: row for row in frame.to_dict("records")}
    assert len(rows) == len(frame) > 0
    return rows


class ByHand:
    """The sessions of a lake, as the market made them, and what makes their prices comparable.

    Args:
        market: The market.
        days: The sessions; the notebook shows the last sixty.
        portfolio_date: Date of the portfolio that the last session is refined with.
        factors: Rows of the table of factors.
        events: Rows of the table of events.
    """

    def __init__(
        self,
        market: SimulatedMarket,
        days: Sequence[date],
        *,
        portfolio_date: date,
        factors: Iterable[Row],
        events: Iterable[Row],
    ) -> None:
        self.market, self.days, self.last, self.window = market, list(days), days[-1], days[-60:]
        self.portfolio, self.events = market.portfolio(portfolio_date), list(events)
        self.cash: dict[date, dict[str, Quote]] = {}
        self.lines: dict[date, dict[str, list[Quote]]] = {}
        for day in days:
            quotes = market.session(day)
            self.cash[day] = {quote.codneg: quote for quote in quotes if quote.tpmerc == "010"}
            self.lines[day] = defaultdict(list)
            for quote in quotes:
                self.lines[day][quote.codisi].append(quote)
        self._spans: dict[str, list[Row]] = defaultdict(list)
        for span in factors:
            self._spans[span["isin"]].append(span)

    def volume(self, day: date, *markets: str, isin: str | None = None) -> Decimal:
        """Of a session or of one paper in it, in the markets of these numbers or in all."""
        lines = self.lines[day].values() if isin is None else [self.lines[day][isin]]
        quotes = [quote for each in lines for quote in each if not markets or quote.tpmerc in markets]
        return sum((quote.voltot for quote in quotes), Decimal(0))

    def close(self, ticker: str, day: date) -> float:
        """In BRL for one unit."""
        quote = self.cash[day][ticker]
        return float(quote.preult / quote.fatcot)

    def comparable(
        self, ticker: str, earlier: date, day: date, base: str = "total_return_base"
    ) -> float | None:
        """A close in terms of another session; None where there is none, or they cannot be compared."""
        if ticker not in self.cash[earlier] or ticker not in self.cash[day]:
            return None
        one, other = (self._span(ticker, each) for each in (earlier, day))
        if none_if_missing(one[base]) is None or (one["isin"], one[base]) != (other["isin"], other[base]):
            return None
        return self.close(ticker, earlier) * float(one[f"{base}_factor"] / other[f"{base}_factor"])

    def _span(self, ticker: str, day: date) -> Row:
        spans = self._spans[self.cash[day][ticker].codisi]
        (found,) = (span for span in spans if span["first_session"] <= day <= span["last_session"])
        return found

    def breadth(self) -> dict[date, tuple[int, int, int]]:
        """How many shares and units rose, fell and stayed, of those whose close before can be compared."""
        counts = {}
        for before, day in pairwise(self.days[-61:]):
            up = down = same = 0
            for ticker, quote in self.cash[day].items():
                previous = self.comparable(ticker, before, day)
                if is_stock(quote) and previous is not None:
                    change = round(self.close(ticker, day) - previous, 6)
                    up, down, same = up + (change > 0), down + (change < 0), same + (change == 0)
            counts[day] = up, down, same
        return counts

    def assert_returns(self, found: pd.DataFrame, went_ex: pd.DataFrame, ticker: str) -> None:
        """What a stock returned, in terms of the last session or with the reason, and what went ex."""
        rows = rows_by(found, "trade_date")
        assert list(rows) == [day for day in self.days if ticker in self.cash[day]]
        for day, row in rows.items():
            values = {"split_base": row["adjusted"], "total_return_base": row["total_return"]}
            for base, value in values.items():
                expected = self.comparable(ticker, day, self.last, base)
                assert none_if_missing(value) == (expected if expected is None else pytest.approx(expected))
            assert pd.notna(row["reason"]) == any(pd.isna(value) for value in values.values())
        columns = ("ex_date", "kind", "ratio", "amount")
        expected_events = [
            tuple(none_if_missing(event[name]) for name in columns)
            for event in self.events
            if event["ticker"] == ticker and event["status"] == "proven" and event["ex_date"] in self.days
            if event["kind"] != "nominal_update"
        ]
        shown = [tuple(none_if_missing(row[name]) for name in columns) for row in went_ex.to_dict("records")]
        assert sorted(shown, key=str) == sorted(expected_events, key=str)


class NotebookFrames:
    """The tests of the frames, for a module with fixtures `frames`, `ticker` and `by_hand`."""

    def test_breadth_counts_rising_and_falling_closes(self, frames: Any, by_hand: ByHand) -> None:
        rows = rows_by(frames["breadth"], "trade_date")
        found = {day: (row["advances"], row["declines"], row["unchanged"]) for day, row in rows.items()}
        assert found == by_hand.breadth()

    def test_turnover_by_sector_adds_up_to_the_session_s_volume(self, frames: Any, by_hand: ByHand) -> None:
        sectors = {row.ticker: row.sector for row in by_hand.portfolio}
        tickers = {quote.codisi: name for name, quote in by_hand.cash[by_hand.last].items()}
        expected: dict[str | None, Decimal] = defaultdict(Decimal)
        for isin in by_hand.lines[by_hand.last]:
            expected[sectors.get(tickers.get(isin, ""))] += by_hand.volume(by_hand.last, isin=isin)
        found = {
            none_if_missing(sector): row["volume"]
            for sector, row in rows_by(frames["sectors"], "sector").items()
        }
        assert found == expected
        assert len(found) > 2

    def test_candles_are_those_of_the_most_traded_stock_with_its_averages(
        self, frames: Any, ticker: str, by_hand: ByHand
    ) -> None:
        of_last = by_hand.cash[by_hand.last]
        volumes = {name: by_hand.volume(by_hand.last, isin=quote.codisi) for name, quote in of_last.items()}
        assert ticker == max(volumes, key=lambda name: volumes[name])
        in_terms = {day: by_hand.comparable(ticker, day, by_hand.last, "split_base") for day in by_hand.days}
        closes = {day: close for day, close in in_terms.items() if close is not None}
        rows = rows_by(frames["prices"], "trade_date")
        assert list(rows) == [day for day in closes if day in by_hand.window]
        days = list(closes)
        fields = {"open": "preabe", "high": "premax", "low": "premin", "close": "preult"}
        for day, row in rows.items():
            quote, factor = by_hand.cash[day][ticker], closes[day] / by_hand.close(ticker, day)
            for name, price in fields.items():
                expected = float(getattr(quote, price) / quote.fatcot) * factor
                assert float(row[name]) == pytest.approx(expected, abs=1e-6)
            assert row["volume"] == by_hand.volume(day, isin=quote.codisi)
            for sessions in (5, 20):
                last = [closes[each] for each in days[: days.index(day) + 1]][-sessions:]
                average = pytest.approx(sum(last) / sessions, abs=1e-6) if len(last) == sessions else None
                assert none_if_missing(row[f"average_{sessions}"]) == average
            assert pd.isna(row["average_200"])  # the lake has fewer sessions

    def test_the_index_has_its_weights_and_each_one_s_change(self, frames: Any, by_hand: ByHand) -> None:
        before, last = by_hand.days[-2:]
        rows = rows_by(frames["index"], "ticker")
        # A stock of the index that did not trade has no row
        weights = {row.ticker: row.weight for row in by_hand.portfolio if row.ticker in by_hand.cash[last]}
        assert {ticker: row["index_weight"] for ticker, row in rows.items()} == weights
        for ticker, row in rows.items():
            previous = by_hand.comparable(ticker, before, last)
            change = None if previous is None else 100 * (by_hand.close(ticker, last) / previous - 1)
            assert none_if_missing(row["change_percent"]) == (
                change if change is None else pytest.approx(change, rel=1e-9, abs=1e-9)
            )

    def test_calls_and_puts_add_up_session_by_session(self, frames: Any, by_hand: ByHand) -> None:
        rows = frames["options"].to_dict("records")
        assert [(row["trade_date"], row["call_volume"], row["put_volume"]) for row in rows] == [
            (day, by_hand.volume(day, "070"), by_hand.volume(day, "080")) for day in by_hand.window
        ]

    def test_risk_and_return_are_those_of_the_last_21_log_returns(self, frames: Any, by_hand: ByHand) -> None:
        days, rows = by_hand.days[-22:], rows_by(frames["risk"], "ticker")
        expected, paid = {}, 0
        for ticker, quote in by_hand.cash[by_hand.last].items():
            closes = [by_hand.comparable(ticker, day, by_hand.last) for day in days]
            known = [close for close in closes if close is not None]
            if is_stock(quote) and len(known) == len(days):
                returns = [math.log(new / old) for old, new in pairwise(known)]
                volume = sum(by_hand.volume(day, isin=quote.codisi) for day in days[1:])
                expected[ticker] = statistics.stdev(returns), known[-1] / known[0] - 1, volume
                paid += known[0] != pytest.approx(by_hand.close(ticker, days[0]), rel=1e-6)
        assert rows.keys() == expected.keys()
        for ticker, (deviation, gained, volume) in expected.items():
            volatility = 100 * math.sqrt(252) * deviation
            assert rows[ticker]["volatility_percent"] == pytest.approx(volatility, rel=1e-9)
            assert rows[ticker]["return_percent"] == pytest.approx(100 * gained, rel=1e-9, abs=1e-9)
            assert rows[ticker]["volume"] == volume
        assert 0 < paid < len(expected), "or this would pass without any factor"

    def test_expiries_count_each_stock_at_its_earliest(self, frames: Any, by_hand: ByHand) -> None:
        expected: dict[date, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
        for isin, quotes in by_hand.lines[by_hand.last].items():
            options = [quote for quote in quotes if quote.tpmerc in ("070", "080")]
            if options:
                of = expected[min(quote.datven for quote in options if quote.datven)]
                of[0] += 1
                of[1] += len({quote.codneg for quote in options})
                of[2] += by_hand.volume(by_hand.last, "070", "080", isin=isin)
        rows = rows_by(frames["expiries"], "next_expiry")
        assert list(rows) == sorted(expected)
        for day, row in rows.items():
            assert [row["stocks"], row["option_series"], row["volume"]] == expected[day]
            assert row["days_to_expiry"] == (day - by_hand.last).days

    def test_total_return_and_price_are_in_terms_of_the_last_session(
        self, frames: Any, ticker: str, by_hand: ByHand
    ) -> None:
        by_hand.assert_returns(frames["returns"], frames["ex_events"], ticker)

    def test_the_index_stands_beside_the_stock_in_terms_of_the_last_session(
        self, frames: Any, ticker: str, by_hand: ByHand
    ) -> None:
        rows = rows_by(frames["levels"], "trade_date")
        assert {day: row["level"] for day, row in rows.items()} == {
            day: float(by_hand.market.level(day)) for day in by_hand.days
        }
        expected = {day: by_hand.comparable(ticker, day, by_hand.last) for day in by_hand.days}
        assert sum(each is not None for each in expected.values()) > 20
        for day, row in rows.items():
            price = expected[day]
            assert none_if_missing(row["stock"]) == (price if price is None else pytest.approx(price))
