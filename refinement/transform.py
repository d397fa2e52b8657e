"""From B3's quotes, a line per ticker, market and term, to one row per stock: pure functions of DataFrames.

Prices are in BRL for one unit, volumes in BRL; both are decimal from end to end. Before 1994-07-04 they are
in thousands of cruzeiros reais, as the column `currency` says.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name by which every PySpark code base knows it

from refinement import expressions
from refinement.columns import COLUMNS, PARTITION_KEYS
from refinement.errors import InvariantBroken

# What becomes sums, counts and expiries
_SUMMED = ("tpmerc", "codneg", "totneg", "is_doubtful", "quatot", "voltot", "datven")


class Session(NamedTuple):
    """What a session adds up to: raw lines, refined tickers, volume over all markets in its currency."""

    trade_date: dt.date
    lines: int
    tickers: int
    volume: Decimal


def transform(quotes: DataFrame, portfolios: DataFrame) -> DataFrame:
    """Refine quotes to one row per session and ticker.

    Args:
        quotes: Raw lines, `QUOTE_COLUMNS` and `trade_date`, of any number of sessions.
        portfolios: Raw portfolios of the index, `PORTFOLIO_COLUMNS` and `portfolio_date`; may be empty, and
            may hold more dates than are needed.

    Returns:
        `COLUMNS`, then `PARTITION_KEYS`.
    """
    # A session is one task: every window and sum below is of one, and it has some ten thousand lines
    sessions = quotes.repartition("trade_date")
    stocks = _with_index(_aggregate(_with_ticker(_with_trades(sessions))), portfolios)
    return stocks.selectExpr(
        *[f"CAST({field.name} AS {field.type}) AS {field.name}" for field in (*COLUMNS, *PARTITION_KEYS)]
    )


def _with_trades(quotes: DataFrame) -> DataFrame:
    """Add `is_doubtful`: whether a line's volume contradicts its number of trades.

    A session's own lines have to tell, so that its rows do not depend on what else is in the lake. In the
    cash and in the odd-lot market, the usual size of a trade is the median of the 50 lines of shares and
    units with the largest volume; where there are fewer there is no verdict.
    """
    kind = expressions.security_type("codbdi", "especi", "nomres", expressions.ISIN)
    is_peer = "is_judged AND totneg <> 0"
    of_market = "PARTITION BY trade_date, tpmerc"
    lines = quotes.selectExpr("*", f"{expressions.is_judged(kind)} AS is_judged")
    for column in (
        f"ROW_NUMBER() OVER ({of_market} ORDER BY {is_peer} DESC, voltot DESC, totneg DESC) AS place",
        f"CASE WHEN {is_peer} AND place <= {expressions.PEERS} THEN DOUBLE(voltot) / totneg END AS size",
        f"CASE WHEN COUNT(size) OVER ({of_market}) = {expressions.PEERS} "
        f"THEN MEDIAN(size) OVER ({of_market}) END AS usual_size",
        f"{expressions.is_doubtful('is_judged', 'usual_size')} AS is_doubtful",
    ):
        lines = lines.selectExpr("*", column)
    return lines


def _with_ticker(quotes: DataFrame) -> DataFrame:
    """Add `line`, which sorts first where it names its stock, and `ticker`, the name of the line's stock.

    A stock is what shares an ISIN in a session. Lines without an ISIN are a stock for each name. It goes by
    its cash line's name, else its odd lot's or another market's, less the market's suffix; else by the four
    letters of its options. Classes of a company have these in common: if two of them would go by the same
    name, each has the number of its class behind it.
    """
    line = {
        "rank": expressions.RANK,
        "by_volume": "-voltot",
        "codneg": "codneg",
        "name": expressions.NAME,
        # From here on only what the row takes from the line; being in the sort, no tie is left to chance
        "isin": expressions.ISIN,
        "company": "nomres",
        "share_class": "especi",
        "bulletin_code": "codbdi",
        "open": expressions.price("preabe"),
        "high": expressions.price("premax"),
        "low": expressions.price("premin"),
        "close": expressions.price("preult"),
        "average_price": expressions.price("premed"),
        "best_bid": expressions.quotation("preofc"),
        "best_ask": expressions.quotation("preofv"),
        "distribution_number": expressions.DISTRIBUTION_NUMBER,
    }
    fields = ", ".join(f"{what} AS {name}" for name, what in line.items())
    stock = "PARTITION BY trade_date, line.isin, CASE WHEN line.isin IS NULL THEN line.name END"
    namesakes = "PARTITION BY trade_date, first.name"
    return (
        quotes.selectExpr("trade_date", *_SUMMED, f"STRUCT({fields}) AS line")
        .selectExpr("*", f"MIN(line) OVER ({stock}) AS first")
        .selectExpr(
            "*",
            f"MIN(line.isin) OVER ({namesakes}) <> MAX(line.isin) OVER ({namesakes}) AS is_shared",
        )
        .selectExpr(
            "trade_date",
            *_SUMMED,
            "line",
            "CASE WHEN first.rank = 3 AND is_shared "
            f"THEN CONCAT(first.name, {expressions.class_number('first.share_class')}) "
            "ELSE first.name END AS ticker",
        )
    )


def _aggregate(lines: DataFrame) -> DataFrame:
    """One row per session and ticker.

    Stocks that come by the same name in a session, such as two classes of a company of which only options
    traded, share its row: a reader expects one row per ticker, and none of the volume may be lost.
    """
    sums = {
        "line": "MIN(line)",
        "trades": "CASE WHEN NOT BOOL_OR(is_doubtful) THEN SUM(totneg) END",
        "quantity": "SUM(quatot)",
        "volume": "SUM(voltot)",
        **{
            f"{market}_volume": f"SUM({expressions.volume(market)})"
            for market in (*expressions.MARKETS, "other")
        },
        "option_series": f"COUNT(DISTINCT CASE WHEN {expressions.IS_OPTION} THEN codneg END)",
        "next_expiry": f"MIN(CASE WHEN {expressions.IS_OPTION} THEN datven END)",
        "lines": "COUNT(*)",
    }
    kind = expressions.security_type("line.bulletin_code", "line.share_class", "line.company", "line.isin")
    return (
        lines.groupBy("trade_date", "ticker")
        .agg(*[F.expr(what).alias(name) for name, what in sums.items()])
        .selectExpr(
            "*",
            "line.*",
            f"{expressions.PUT_CALL_RATIO} AS put_call_ratio",
            "DATEDIFF(next_expiry, trade_date) AS days_to_expiry",
            f"{kind} AS security_type",
            f"{expressions.CURRENCY} AS currency",
        )
    )


def _with_index(stocks: DataFrame, portfolios: DataFrame) -> DataFrame:
    """Join each session to the newest portfolio dated on or before it.

    The portfolio's date stands on every row of the session, in the index or not: it says which portfolio was
    consulted. It is null where there is none yet.
    """
    by_date = Window.partitionBy("index_code").orderBy("portfolio_date")
    in_force = (
        portfolios.select("index_code", "portfolio_date")
        .distinct()
        .select("portfolio_date", F.lead("portfolio_date").over(by_date).alias("superseded_on"))
    )
    has_begun = F.col("portfolio_date") <= F.col("trade_date")
    has_ended = F.col("superseded_on") <= F.col("trade_date")
    members = portfolios.select("portfolio_date", "ticker", F.col("weight").alias("index_weight"), "sector")
    return (
        stocks.join(F.broadcast(in_force), has_begun & ~F.coalesce(has_ended, F.lit(False)), "left")
        .join(F.broadcast(members), ["portfolio_date", "ticker"], "left")
        .withColumn("portfolio_age_days", F.datediff("trade_date", "portfolio_date"))
    )


def reconcile(quotes: DataFrame, refined: DataFrame) -> list[Session]:
    """Compare what the refined rows add up to with the raw lines.

    Returns:
        The sessions, by date.

    Raises:
        InvariantBroken: In some session the volume differs from the raw lines' by a cent or more, a line is
            missing or counted twice, the markets' volumes do not add up, or a ticker is empty or there twice.
    """
    raw = {
        row["trade_date"]: row
        for row in quotes.groupBy("trade_date")
        .agg(F.sum("voltot").alias("volume"), F.count("*").alias("lines"))
        .collect()
    }
    by_market = sum(
        (F.col(f"{market}_volume") for market in ("odd_lot", "forward", "call", "put", "other")),
        F.col("cash_volume"),
    )
    found = {
        row["trade_date"]: row
        for row in refined.groupBy("trade_date")
        .agg(
            F.sum("volume").alias("volume"),
            F.sum("lines").alias("lines"),
            F.count("*").alias("rows"),
            F.count_distinct(F.when(F.col("ticker") != "", F.col("ticker"))).alias("tickers"),
            F.count_if(~F.col("volume").eqNullSafe(by_market)).alias("unbalanced"),
        )
        .collect()
    }
    problems = []
    for trade_date in sorted(raw.keys() | found.keys()):
        if trade_date not in raw or trade_date not in found:
            problems.append(f"{trade_date}: expected rows where there are quotes, and none elsewhere")
            continue
        expected, actual = raw[trade_date], found[trade_date]
        comparisons = (
            ("volume", expected["volume"], actual["volume"]),
            ("raw lines", expected["lines"], actual["lines"]),
            ("rows with a ticker of their own", actual["rows"], actual["tickers"]),
            ("rows whose markets do not add up to their volume", 0, actual["unbalanced"]),
        )
        problems += [
            f"{trade_date}: {what}: expected {wanted}, found {got}"
            for what, wanted, got in comparisons
            if wanted != got
        ]
    if problems:
        raise InvariantBroken(
            "the refined rows do not reconcile with the raw quotes, so nothing of these sessions, "
            f"{min(raw.keys() | found.keys())} to {max(raw.keys() | found.keys())}, was written: "
            f"{'; '.join(problems)}. This is a fault of the job or of the raw files: query the session in "
            "the raw table, correct, run again."
        )
    return [
        Session(trade_date, raw[trade_date]["lines"], found[trade_date]["tickers"], raw[trade_date]["volume"])
        for trade_date in sorted(raw)
    ]
