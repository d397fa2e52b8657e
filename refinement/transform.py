"""From B3's quotes, a line per ticker, market and term, to one row per stock: pure functions of DataFrames.

Prices are in BRL for one unit, volumes in BRL; both are decimal from end to end. Before 1994-07-04 they are
in thousands of cruzeiros reais, as the column `currency` says.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from refinement import arrow, expressions
from refinement.columns import COLUMNS, PARTITION_KEYS
from refinement.errors import InvariantBroken

_BY_MARKET = tuple(f"{market}_volume" for market in (*expressions.MARKETS, "other"))

Sums = Mapping[dt.date, Mapping[str, Any]]
"""Sums and counts of each session, by their names."""


class Session(NamedTuple):
    """What a session adds up to: raw lines, refined tickers, volume over all markets in its currency."""

    trade_date: dt.date
    lines: int
    tickers: int
    volume: Decimal


def transform(
    quotes: DataFrame,
    portfolios: DataFrame,
    dates: Iterable[dt.date],
    repeating: Iterable[dt.date],
    *,
    is_one_session: bool = False,
) -> DataFrame:
    """Refine quotes to one row per session and ticker.

    Args:
        quotes: Raw lines, `QUOTE_COLUMNS` and `trade_date`, of any number of sessions.
        portfolios: Raw portfolios of the index, `PORTFOLIO_COLUMNS` and `portfolio_date`; may be empty, and
            may hold more dates than are needed.
        dates: Those of the portfolios.
        repeating: The sessions whose lines have an option series more than once. It counts once: there
            series are told apart, which is not needed to count those of others.
        is_one_session: Whether the lines are of one session, and need not be told apart.

    Returns:
        `COLUMNS`, then `PARTITION_KEYS`.
    """
    # A session is one task: every window and sum below is of one, and it has some ten thousand lines
    sessions = quotes.coalesce(1) if is_one_session else quotes.repartition("trade_date")
    # One query: Spark analyses all of it once, where it would do so again with every method of a frame
    stocks = _aggregate(_with_ticker(_with_trades(_condensed("{quotes}", repeating))))
    query = _with_index(stocks, "{portfolios}", dates)
    spark: SparkSession = quotes.sparkSession
    return spark.sql(query, quotes=sessions, portfolios=portfolios.coalesce(1))


# Each of these makes of what may stand in a FROM something else that may; the last, the query


def _condensed(quotes: str, repeating: Iterable[dt.date]) -> str:
    """Add up what need not be told apart: lines that say the same of their stock, in a market of it.

    Most lines are of options. What comes after looks at each row in the light of others, and has few to sort.
    Lines of the cash market and those whose trades are judged stay as they are. Only what has a fixed width
    is added up: Spark's compiled sums hold it in place, where of a text or a set they would make objects.

    Returns:
        `line`, what a stock's row takes from this one if it is the first of the stock's: the one that names
        it. `isin` and, where it is null, `unnamed` tell stocks apart; `market` is null where there is no
        verdict on the trades, `series` but for options of sessions that repeat one.
    """
    kind = expressions.security_type("codbdi", "especi", "nomres", expressions.ISIN)
    of_cash = {
        "open": expressions.price("preabe"),
        "high": expressions.price("premax"),
        "low": expressions.price("premin"),
        "close": expressions.price("preult"),
        "average_price": expressions.price("premed"),
        "best_bid": expressions.quotation("preofc"),
        "best_ask": expressions.quotation("preofv"),
        "distribution_number": expressions.DISTRIBUTION_NUMBER,
    }
    repeats = f"trade_date IN ({_listed(repeating)})"
    keys = {
        "trade_date": "trade_date",
        "isin": "isin",
        "name": expressions.NAME,
        "company": "nomres",
        "share_class": "especi",
        "bulletin_code": "codbdi",
        "tpmerc": "tpmerc",
        "is_judged": "is_judged",
        # A ticker may be there twice
        "number": f"CASE WHEN is_judged OR {expressions.IS_CASH} THEN number END",
        "series": f"CASE WHEN {expressions.IS_OPTION} AND {repeats} THEN codneg END",
    }
    sums = {
        "by_volume": "MIN(-voltot)",
        **{name: f"MIN({of_line})" for name, of_line in of_cash.items()},
        "totneg": "SUM(totneg)",
        "quatot": "SUM(quatot)",
        "voltot": "SUM(voltot)",
        "is_without_trades": "BOOL_OR(totneg = 0 AND voltot <> 0)",
        "datven": "MIN(datven)",
        "lines": "COUNT(*)",
    }
    # The order in which lines come: all that the row takes is in it, so that no tie is left to chance
    line = ("rank", "by_volume", "name", "isin", "company", "share_class", "bulletin_code", *of_cash)
    columns = ", ".join(f"{what} AS {name}" for name, what in (keys | sums).items())
    return f"""(
        SELECT *, STRUCT({", ".join(line)}) AS line,
          CASE WHEN isin IS NULL THEN name END AS unnamed,
          CASE WHEN is_judged THEN tpmerc END AS market
        FROM (
          SELECT {columns}, {expressions.RANK} AS rank
          FROM (
            SELECT *, MONOTONICALLY_INCREASING_ID() AS number, {expressions.ISIN} AS isin,
              {expressions.is_judged(kind)} AS is_judged
            FROM {quotes}
          )
          GROUP BY {", ".join(keys.values())}
        ))"""  # noqa: S608 - queries are made of this package's constants


def _listed(days: Iterable[dt.date]) -> str:
    return ", ".join(f"DATE'{day}'" for day in days) or "CAST(NULL AS DATE)"


def _with_trades(rows: str) -> str:
    """Add `is_doubtful`: whether a volume contradicts its number of trades.

    A session's own lines have to tell, so that its rows do not depend on what else is in the lake. In the
    cash and in the odd-lot market, the usual size of a trade is the median of the 50 lines of shares and
    units with the largest volume; where there are fewer there is no verdict.
    """
    is_judged = "market IS NOT NULL"
    is_peer = f"{is_judged} AND totneg <> 0"
    of_market = "PARTITION BY trade_date, market"
    return _added_to(
        rows,
        f"ROW_NUMBER() OVER ({of_market} ORDER BY {is_peer} DESC, voltot DESC, totneg DESC) AS place",
        f"CASE WHEN {is_peer} AND place <= {expressions.PEERS} THEN DOUBLE(voltot) / totneg END AS size",
        f"CASE WHEN COUNT(size) OVER ({of_market}) = {expressions.PEERS} "
        f"THEN MEDIAN(size) OVER ({of_market}) END AS usual_size",
        f"is_without_trades OR {expressions.is_doubtful(is_judged, 'usual_size')} AS is_doubtful",
    )


def _added_to(rows: str, *columns: str) -> str:
    """The rows with some columns more, each of which may be of those before it."""
    for column in columns:
        rows = f"(SELECT *, {column} FROM {rows})"  # noqa: S608
    return rows


def _with_ticker(rows: str) -> str:
    """Add `ticker`, the name of the stock.

    A stock is what shares an ISIN in a session. Lines without an ISIN are a stock for each name. It goes by
    its cash line's name, else its odd lot's or another market's, less the market's suffix; else by the four
    letters of its options. Classes of a company have these in common: if two of them would go by the same
    name, each has the number of its class behind it.
    """
    namesakes = "PARTITION BY trade_date, first.name"
    return _added_to(
        rows,
        "MIN(line) OVER (PARTITION BY trade_date, isin, unnamed) AS first",
        f"MIN(isin) OVER ({namesakes}) <> MAX(isin) OVER ({namesakes}) AS is_shared",
        "CASE WHEN first.rank = 3 AND is_shared "
        f"THEN CONCAT(first.name, {expressions.class_number('first.share_class')}) "
        "ELSE first.name END AS ticker",
    )


def _aggregate(rows: str) -> str:
    """One row per session and ticker.

    Stocks that come by the same name in a session, such as two classes of a company of which only options
    traded, share its row: a reader expects one row per ticker, and none of the volume may be lost.
    """
    sums = {
        "line": "MIN(line)",
        "trades": "CASE WHEN NOT BOOL_OR(is_doubtful) THEN SUM(totneg) END",
        "quantity": "SUM(quatot)",
        "volume": "SUM(voltot)",
        **{name: f"SUM({expressions.volume(name.removesuffix('_volume'))})" for name in _BY_MARKET},
        "lines": "SUM(lines)",
        "option_series": f"SUM(IF({expressions.IS_OPTION} AND series IS NULL, lines, 0))"
        " + SIZE(COLLECT_SET(series))",
        "next_expiry": f"MIN(CASE WHEN {expressions.IS_OPTION} THEN datven END)",
    }
    columns = ", ".join(f"{what} AS {name}" for name, what in sums.items())
    return f"(SELECT trade_date, ticker, {columns} FROM {rows} GROUP BY trade_date, ticker)"  # noqa: S608


def _with_index(stocks: str, portfolios: str, dates: Iterable[dt.date]) -> str:
    """Join each session to the newest portfolio dated on or before it, and spell the columns out: the query.

    The portfolio's date stands on every row of the session, in the index or not: it says which portfolio was
    consulted. It is null where there is none yet.
    """
    kind = expressions.security_type("bulletin_code", "share_class", "company", "isin")
    columns = {
        **{field.name: field.name for field in (*COLUMNS, *PARTITION_KEYS)},
        "ticker": "stocks.ticker",
        "put_call_ratio": expressions.PUT_CALL_RATIO,
        "days_to_expiry": "DATEDIFF(next_expiry, trade_date)",
        "security_type": kind,
        "currency": expressions.CURRENCY,
        "index_weight": "weight",
        "portfolio_date": "stocks.portfolio_date",
        "portfolio_age_days": "DATEDIFF(trade_date, stocks.portfolio_date)",
    }
    typed = ", ".join(
        f"CAST({columns[field.name]} AS {field.type}) AS {field.name}"
        for field in (*COLUMNS, *PARTITION_KEYS)
    )
    return f"""
        SELECT /*+ BROADCAST(members) */ {typed}
        FROM (
          SELECT *, line.*,
            ARRAY_MAX(FILTER(ARRAY({_listed(dates)}), day -> day <= trade_date)) AS portfolio_date
          FROM {stocks}
        ) AS stocks
        LEFT JOIN {portfolios} AS members
          ON members.portfolio_date = stocks.portfolio_date AND members.ticker = stocks.ticker"""  # noqa: S608


def collected(refined: DataFrame) -> pa.Table:
    """Refined rows in this process: `PARTITION_KEYS`, then `COLUMNS`."""
    schema = arrow.schema((*PARTITION_KEYS, *COLUMNS))
    # Spark 4 has `toArrow` for it; 3.5 has this, or rows of Python's one by one
    batches = refined._collect_as_arrow()
    return (
        pa.Table.from_batches(batches).select(schema.names).cast(schema) if batches else schema.empty_table()
    )


def _sums_of(refined: pa.Table) -> Sums:
    """What refined rows add up to, and how many of them are not as they should be."""
    columns: dict[str, Any] = dict(zip(refined.column_names, refined.columns, strict=True))
    by_market = functools.reduce(pc.add, (columns[name] for name in _BY_MARKET))
    rows: Any = pa.table(
        {
            **{name: columns[name] for name in ("trade_date", "volume", "lines")},
            "ticker": pc.if_else(pc.equal(columns["ticker"], pa.scalar("")), None, columns["ticker"]),
            "unbalanced": pc.fill_null(pc.not_equal(columns["volume"], by_market), True),
        }
    )
    sums = {
        "volume": ("volume", "sum"),
        "lines": ("lines", "sum"),
        "rows": ("trade_date", "count"),
        "tickers": ("ticker", "count_distinct"),
        "unbalanced": ("unbalanced", "sum"),
    }
    found = rows.group_by("trade_date").aggregate([*sums.values()]).to_pylist()
    return {each["trade_date"]: {name: each["_".join(of)] for name, of in sums.items()} for each in found}


def reconcile(raw: Sums, refined: pa.Table) -> list[Session]:
    """Compare what the refined rows add up to with the raw lines.

    Args:
        raw: What the raw lines add up to: `volume` and `lines`.
        refined: The rows, `collected`.

    Returns:
        The sessions, by date.

    Raises:
        InvariantBroken: In some session the volume differs from the raw lines' by a cent or more, a line is
            missing or counted twice, the markets' volumes do not add up, or a ticker is empty or there twice.
    """
    found = _sums_of(refined)
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
