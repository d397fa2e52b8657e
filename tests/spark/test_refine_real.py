"""B3's own sessions reconcile to the cent, and one of them comes out as it was worked out by other means."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from refinement.columns import PORTFOLIO_COLUMNS, QUOTE_COLUMNS
from refinement.raw import added_up, read_raw
from refinement.transform import collected, reconcile, transform
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_session
from scraper.b3.index_portfolio.reader import PORTFOLIO_SCHEMA, read_portfolio

pytestmark = [pytest.mark.xdist_group("spark"), pytest.mark.real]

D = Decimal
SESSIONS = [date(2003, 2, 12), date(2016, 1, 4), date(2021, 6, 25), date(2024, 11, 8)]


@pytest.fixture(scope="module")
def quotes(spark: SparkSession, b3_files: Path, buckets_root: Path) -> DataFrame:
    paths = []
    for day in SESSIONS:
        file = b3_files / f"InstDados/SerHist/COTAHIST_D{day:%d%m%Y}.ZIP"
        frame = read_session(file.read_bytes(), session=day, source=file.name)
        table = pa.Table.from_pandas(frame, schema=COTAHIST_SCHEMA, preserve_index=False)
        key = f"raw/cotahist/trade_date={day}/daily.parquet"
        _write(table, buckets_root / "raw-bucket" / key)
        paths.append(f"s3://raw-bucket/{key}")
    raw = read_raw(spark, paths, "s3://raw-bucket/raw/cotahist", "trade_date", QUOTE_COLUMNS)
    return raw.localCheckpoint()


@pytest.fixture(scope="module")
def refined(spark: SparkSession, quotes: DataFrame, b3_files: Path, buckets_root: Path) -> DataFrame:
    page = (b3_files / "indexProxy/GetPortfolioDay_IBOV_segment2_16-07-24.json").read_bytes()
    portfolio = read_portfolio([page], index="IBOV", source="IBOV")
    table = pa.Table.from_pandas(portfolio.frame, schema=PORTFOLIO_SCHEMA, preserve_index=False)
    key = f"raw/index_portfolio/portfolio_date={portfolio.portfolio_date}/IBOV.parquet"
    _write(table, buckets_root / "raw-bucket" / key)
    root = "s3://raw-bucket/raw/index_portfolio"
    portfolios = read_raw(spark, [f"s3://raw-bucket/{key}"], root, "portfolio_date", PORTFOLIO_COLUMNS)
    return transform(quotes, portfolios, [portfolio.portfolio_date], ()).localCheckpoint()


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def test_sessions_of_four_eras_reconcile_to_the_cent(refined: DataFrame, buckets_root: Path) -> None:
    folder = buckets_root / "raw-bucket/raw/cotahist"
    sums = {day: added_up(folder / f"trade_date={day}/daily.parquet") for day in SESSIONS}
    assert reconcile(sums, collected(refined)) == [
        (date(2003, 2, 12), 551, 216, D("777444601.48")),
        (date(2016, 1, 4), 1_743, 440, D("5144986511.88")),
        (date(2021, 6, 25), 7_518, 1_129, D("33577581321.31")),
        (date(2024, 11, 8), 12_226, 1_383, D("30013494912.34")),
    ]


def _only(refined: DataFrame, day: date, ticker: str) -> dict[str, Any]:
    (row,) = refined.where((refined.trade_date == day) & (refined.ticker == ticker)).collect()
    return row.asDict()


def test_petr4_of_2024_11_08(refined: DataFrame) -> None:
    row = _only(refined, date(2024, 11, 8), "PETR4")
    expected = {
        "lines": 643,
        "trades": 160_639,
        "volume": D("1961907532.37"),
        "close": D("36.180000"),
        "days_to_expiry": 0,
        "portfolio_date": date(2024, 7, 16),
        "portfolio_age_days": 115,
    }
    assert {column: row[column] for column in expected} == expected


def test_index_options_are_a_row_of_their_own_without_prices(refined: DataFrame) -> None:
    row = _only(refined, date(2024, 11, 8), "IBOV")
    assert (row["isin"], row["close"], row["lines"], row["option_series"]) == ("BRIBOVINDM18", None, 142, 142)
    assert row["volume"] == row["call_volume"] + row["put_volume"]


def test_the_whole_index_is_found_among_the_tickers(refined: DataFrame) -> None:
    (row,) = refined.selectExpr(
        "sum(index_weight) AS weight",
        "count(sector) AS members",
        "count_if(portfolio_date IS NULL) AS without_portfolio",
        "count_if(trade_date < '2024-07-16') AS before_it",
    ).collect()
    # Of the 86 stocks of July 2024, those that still traded under their ticker in November
    assert D("98") < row["weight"] <= D("100.000")
    assert 80 <= row["members"] <= 86
    assert row["without_portfolio"] == row["before_it"]


def test_prices_of_2003_are_for_one_share_though_quoted_for_a_thousand(
    quotes: DataFrame, refined: DataFrame
) -> None:
    day = date(2003, 2, 12)
    quoted = {
        row["codneg"]: row["preult"]
        for row in quotes.where(
            (quotes.trade_date == day) & (quotes.tpmerc == "010") & (quotes.fatcot == 1000)
        ).collect()
    }
    closes = {row["ticker"]: row["close"] for row in refined.where(refined.trade_date == day).collect()}
    assert len(quoted) > 100
    assert {ticker: closes[ticker] * 1000 for ticker in quoted} == quoted


def test_no_count_of_trades_is_doubted(refined: DataFrame) -> None:
    """None of these sessions has a line that wrapped; one, of 2021, has a block of 600 million BRL."""
    assert refined.where("trades IS NULL").count() == 0
    assert _only(refined, date(2021, 6, 25), "BIDI11")["trades"] > 12_000


TYPES = {
    date(2003, 2, 12): {"share": 205, "unit": 1, "right": 4, "fund": 2, "bdr": 1, "index": 1, "other": 2},
    date(2016, 1, 4): {"share": 273, "unit": 12, "right": 5, "fund": 75, "etf": 13, "bdr": 61, "index": 1},
    date(2021, 6, 25): {
        **{"share": 430, "unit": 14, "right": 17, "fund": 266, "etf": 35, "bdr": 365},
        **{"index": 1, "other": 1},
    },
    date(2024, 11, 8): {
        **{"share": 380, "unit": 10, "right": 18, "fund": 361, "etf": 96, "bdr": 515},
        **{"index": 1, "other": 2},
    },
}
"""By session, what kinds of paper traded. Each was read over: of the ETFs of 2024, two are funds whose names
do not say so; what is other are baskets of receipts, royalties and certificates of building rights."""


@pytest.mark.parametrize("day", SESSIONS)
def test_kinds_of_paper(refined: DataFrame, day: date) -> None:
    counts = refined.where(refined.trade_date == day).groupBy("security_type").count().collect()
    assert {row["security_type"]: row["count"] for row in counts} == TYPES[day]
