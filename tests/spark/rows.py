"""Raw rows for the tests on Spark: quotes from a base line and what differs, portfolios from members."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from refinement.columns import PORTFOLIO_COLUMNS, QUOTE_COLUMNS
from refinement.transform import transform
from sandbox.b3.formats import Quote

SESSION = date(2031, 3, 14)

Members = Mapping[str, tuple[str, str | None]]
"""Of a portfolio: weight in percent and sector, by ticker."""


def cash(codneg: str = "ZZAA3", **fields: Any) -> Quote:
    """A line of the cash market."""
    return Quote(codneg=codneg, **fields)


def odd_lot(codneg: str = "ZZAA3F", **fields: Any) -> Quote:
    """A line of the odd-lot market, with prices that differ from the cash line's."""
    return Quote(**{"codneg": codneg, "tpmerc": "020", "codbdi": "96", "preult": Decimal("10.33"), **fields})


def option(codneg: str, tpmerc: str = "070", **fields: Any) -> Quote:
    """A line of an option; its prices are premiums."""
    return Quote(
        **{
            "codneg": codneg,
            "tpmerc": tpmerc,
            "prazot": "000",
            "preult": Decimal("0.55"),
            "datven": date(2031, 3, 21),
            **fields,
        }
    )


def quotes_frame(spark: SparkSession, sessions: Mapping[date, Iterable[Quote]]) -> DataFrame:
    """Raw quotes as the job reads them: the columns that it relies on, and `trade_date`."""
    rows = [
        {
            "trade_date": session,
            **{name: value for name, value in asdict(quote).items() if name in QUOTE_COLUMNS},
        }
        for session, quotes in sessions.items()
        for quote in quotes
    ]
    return _frame(spark, rows, {**QUOTE_COLUMNS, "trade_date": "date"})


def refined(
    spark: SparkSession,
    sessions: Mapping[date, Iterable[Quote]],
    portfolios: Mapping[date, Members] | None = None,
    *,
    is_one_session: bool = False,
) -> dict[tuple[date, str], dict[str, Any]]:
    """Refined rows by date and ticker."""
    spark.conf.set("spark.sql.shuffle.partitions", 1)
    spark.conf.set("spark.sql.ansi.enabled", "true")  # as the job sets it
    members = portfolios or {}
    frames = quotes_frame(spark, sessions), portfolios_frame(spark, members)
    made = transform(*frames, dates_of(members), repeating(sessions), is_one_session=is_one_session)
    rows = [row.asDict() for row in made.collect()]
    by_key = {(row["trade_date"], row["ticker"]): row for row in rows}
    assert len(by_key) == len(rows), "a ticker is there twice"
    return by_key


def sums_of(sessions: Mapping[date, Sequence[Quote]]) -> dict[date, dict[str, Any]]:
    """What raw lines add up to, by session, as the job reads it off their files."""
    return {
        day: {"volume": sum((line.voltot for line in lines), Decimal(0)), "lines": len(lines)}
        for day, lines in sessions.items()
    }


def repeating(sessions: Mapping[date, Iterable[Quote]]) -> list[date]:
    """The sessions that have an option series more than once, as the job reads it off their files."""
    series = {
        day: [line.codneg for line in lines if line.tpmerc in {"070", "080"}]
        for day, lines in sessions.items()
    }
    return [day for day, listed in series.items() if len({*listed}) < len(listed)]


def portfolios_frame(spark: SparkSession, portfolios: Mapping[date, Members]) -> DataFrame:
    """Raw portfolios as the job reads them."""
    rows = [
        {
            "index_code": "IBOV",
            "ticker": ticker,
            "weight": Decimal(weight),
            "sector": sector,
            "portfolio_date": portfolio_date,
        }
        for portfolio_date, members in portfolios.items()
        for ticker, (weight, sector) in members.items()
    ]
    return _frame(spark, rows, {**PORTFOLIO_COLUMNS, "portfolio_date": "date"})


def dates_of(portfolios: Mapping[date, Members]) -> list[date]:
    """Those of the portfolios that have members: what has none, nobody finds in raw."""
    return [day for day, members in portfolios.items() if members]


def _frame(spark: SparkSession, rows: list[dict[str, Any]], columns: Mapping[str, str]) -> DataFrame:
    schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    # By Arrow, without a Python process of Spark's; as objects, which leaves pandas nothing to guess
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in columns})
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what PySpark calls in pandas
        return spark.createDataFrame(frame, schema)
