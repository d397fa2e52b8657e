"""The oldest files, which have no ISIN: from B3's annual ZIP to refined rows."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sandbox.b3.eras import era_year
from sandbox.b3.formats import Quote
from scraper.b3.cotahist.reader import read_year
from tests.spark.rows import refined

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
SESSION = date(1986, 2, 28)
YEARS = (1986, 1995)
Years = dict[int, dict[tuple[date, str], dict[str, Any]]]


def sessions_of(year: int, folder: Path) -> dict[date, list[Quote]]:
    path = era_year(year).write(folder)
    sessions: dict[date, list[Quote]] = {}
    for session, batch in read_year(path, year=year, source=path.name):
        sessions.setdefault(session, []).extend(Quote(**row) for row in batch.to_pylist())
    return sessions


@pytest.fixture(scope="module")
def years(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Years:
    """The refined rows of each year by session and ticker."""
    sessions = [sessions_of(year, tmp_path_factory.mktemp("year")) for year in YEARS]
    found = refined(spark, {day: lines for of_year in sessions for day, lines in of_year.items()})
    return {year: {key: row for key, row in found.items() if key[0].year == year} for year in YEARS}


@pytest.fixture
def rows(years: Years) -> dict[str, dict[str, Any]]:
    """The refined rows of SESSION by ticker."""
    return {ticker: row for (day, ticker), row in years[1986].items() if day == SESSION}


def test_a_session_of_1986_has_a_row_for_each_paper_by_its_ticker_with_blanks(
    rows: dict[str, dict[str, Any]],
) -> None:
    assert {ticker: (row["isin"], row["lines"]) for ticker, row in rows.items()} == {
        "ZZA 2": ("ZZA 00 OP", 8),  # cash, odd lot, two forwards, call, put, exercise, and market 021
        "ZZA 5": ("ZZA 01 PP", 2),
        "ZZB 13": (None, 2),  # without any code it is known by its name
        "ZZC 3": ("ZZC 03 PPB", 2),
    }
    assert {row["share_class"] for row in rows.values()} == {"OP  C02", "PP  INT", "ON", "PPB EB"}


def test_prices_are_for_one_unit_whatever_they_were_quoted_for(rows: dict[str, dict[str, Any]]) -> None:
    closes = {ticker: row["close"] for ticker, row in rows.items()}
    assert closes == {
        "ZZA 2": D("0.102280"),  # 102.28 for a thousand
        "ZZA 5": D("0.202280"),
        "ZZB 13": D("302.280000"),
        "ZZC 3": D("4.022800"),  # 402.28 for a hundred
    }


def test_a_paper_of_1986_gathers_its_markets_by_its_internal_code(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["ZZA 2"]
    # (price in cents + 1) times quantity through 1,000, market by market, worked out by hand
    expected = {
        "cash_volume": D("2864120.00"),
        "odd_lot_volume": D("204.64"),
        "forward_volume": D("3083.70") + D("6191.40"),
        "call_volume": D("109.00"),
        "put_volume": D("37.60"),
        "other_volume": D("716.03") + D("204.58"),
        "volume": D("2874666.95"),
        "option_series": 2,
        "days_to_expiry": 30,
    }
    assert {column: row[column] for column in expected} == expected


@pytest.mark.parametrize("year", YEARS)
def test_every_session_of_an_old_year_reconciles(years: Years, year: int) -> None:
    for session, quotes in era_year(year).sessions.items():
        own = [row for (trade_date, _), row in years[year].items() if trade_date == session]
        assert sum(row["volume"] for row in own) == sum(quote.voltot for quote in quotes)
        assert sum(row["quantity"] for row in own) == sum(quote.quatot for quote in quotes)
        assert sum(row["lines"] for row in own) == len(quotes)


def test_from_the_first_isins_on_a_paper_goes_by_its_new_ticker(years: Years) -> None:
    before, since = date(1995, 5, 12), date(1995, 5, 15)
    tickers = {day: {ticker for of_day, ticker in years[1995] if of_day == day} for day in (before, since)}
    assert tickers[before] == {"ZZA 2", "ZZA 5", "ZZB 13", "ZZC 3"}
    assert tickers[since] == {"ZZAA3", "ZZAA4", "ZZBB3", "ZZCC11"}
