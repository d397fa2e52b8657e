"""The oldest files, which have no ISIN: from B3's annual ZIP to refined rows."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.b3.eras import era_year
from sandbox.b3.formats import Quote
from scraper.b3.cotahist.reader import read_year
from tests.spark.conftest import Refine

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
SESSION = date(1986, 2, 28)


def sessions_of(year: int, folder: Path) -> dict[date, list[Quote]]:
    path = era_year(year).write(folder)
    sessions: dict[date, list[Quote]] = {}
    for session, batch in read_year(path, year=year, source=path.name):
        sessions.setdefault(session, []).extend(Quote(**row) for row in batch.to_pylist())
    return sessions


@pytest.fixture
def rows(tmp_path: Path, refine: Refine) -> dict[str, dict[str, Any]]:
    """The refined rows of SESSION by ticker."""
    refined = refine({SESSION: sessions_of(1986, tmp_path)[SESSION]})
    return {ticker: row for (_, ticker), row in refined.items()}


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


@pytest.mark.parametrize("year", [1986, 1995])
def test_every_session_of_an_old_year_reconciles(tmp_path: Path, refine: Refine, year: int) -> None:
    rows = refine(sessions_of(year, tmp_path))
    for session, quotes in era_year(year).sessions.items():
        refined = [row for (trade_date, _), row in rows.items() if trade_date == session]
        assert sum(row["volume"] for row in refined) == sum(quote.voltot for quote in quotes)
        assert sum(row["quantity"] for row in refined) == sum(quote.quatot for quote in quotes)
        assert sum(row["lines"] for row in refined) == len(quotes)


def test_from_the_first_isins_on_a_paper_goes_by_its_new_ticker(tmp_path: Path, refine: Refine) -> None:
    rows = refine(sessions_of(1995, tmp_path))
    before, since = date(1995, 5, 12), date(1995, 5, 15)
    assert {ticker for day, ticker in rows if day == before} == {"ZZA 2", "ZZA 5", "ZZB 13", "ZZC 3"}
    assert {ticker for day, ticker in rows if day == since} == {"ZZAA3", "ZZAA4", "ZZBB3", "ZZCC11"}
