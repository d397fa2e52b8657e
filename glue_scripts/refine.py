"""Refine trading sessions: from B3's quotes, a line per ticker, market and term, to one row per stock.

The job of AWS Glue 5.1 (PySpark 3.5), deployed as this one file. `transform` and what it calls are pure
functions of DataFrames; `main` does the input and output: it reads the raw sessions, checks that nothing was
lost, publishes the rows twice (wide: a Parquet file for each session and ticker; compact: one for each
session) and keeps a table for each in the Glue Data Catalog. It refuses a session without raw quotes, raw
files of another schema, and rows that do not add up to the raw quotes: it then says what was expected and
leaves refined files and catalog as they were.

A range goes in batches of sessions, so that it takes the memory of a batch, however long it is. Spark reads
and computes; its tasks write the files by S3's own API, each those of whole sessions, since Spark's own
committer would rename a year's 330,000 one by one.

Prices are in BRL for one unit, volumes in BRL; both are decimal from end to end. Before 1994-07-04 they are
in thousands of cruzeiros reais, as the column `currency` says.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import functools
import hashlib
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - the name by which every PySpark code base knows it
from pyspark.sql.pandas.types import from_arrow_schema

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import (
        ColumnOutputTypeDef,
        ColumnTypeDef,
        PartitionInputTypeDef,
        StorageDescriptorTypeDef,
        TableTypeDef,
    )
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    AnyColumn = ColumnTypeDef | ColumnOutputTypeDef  # as the Glue API takes it, and as it answers

Types = list[tuple[str, str]]  # names and Glue types of columns, in order
T = TypeVar("T")
R = TypeVar("R")


class Field(NamedTuple):
    """A column of the refined table: its name, its type (spelled alike in Glue and Spark), its comment."""

    name: str
    type: str
    comment: str


COLUMNS = (
    Field("isin", "string", "ISIN of the stock; null where B3 gives none"),
    Field("company", "string", "Short name of the company"),
    Field("share_class", "string", "Share class, rights and listing segment"),
    Field(
        "open",
        "decimal(18,6)",
        "First price in the cash market [BRL per unit; see currency]; null without a cash line",
    ),
    Field("high", "decimal(18,6)", "Highest price in the cash market [BRL per unit; see currency]"),
    Field("low", "decimal(18,6)", "Lowest price in the cash market [BRL per unit; see currency]"),
    Field("close", "decimal(18,6)", "Last price in the cash market [BRL per unit; see currency]"),
    Field("average_price", "decimal(18,6)", "Average price in the cash market [BRL per unit; see currency]"),
    Field(
        "best_bid",
        "decimal(18,6)",
        "Best bid at the close of the cash market [BRL per unit; see currency]; null if none",
    ),
    Field(
        "best_ask",
        "decimal(18,6)",
        "Best ask at the close of the cash market [BRL per unit; see currency]; null if none",
    ),
    Field(
        "trades",
        "bigint",
        "Number of trades, every market; null where a line's volume contradicts its count, of which B3 gives "
        "the last five digits",
    ),
    Field("quantity", "bigint", "Quantity traded, every market [shares or contracts]"),
    Field("volume", "decimal(24,2)", "Financial volume, every market [BRL; see currency]"),
    Field("cash_volume", "decimal(24,2)", "Volume in the cash market [BRL; see currency]"),
    Field("odd_lot_volume", "decimal(24,2)", "Volume in the odd-lot market [BRL; see currency]"),
    Field("forward_volume", "decimal(24,2)", "Volume of forwards [BRL; see currency]"),
    Field("call_volume", "decimal(24,2)", "Premiums paid for calls [BRL; see currency]"),
    Field("put_volume", "decimal(24,2)", "Premiums paid for puts [BRL; see currency]"),
    Field(
        "other_volume",
        "decimal(24,2)",
        "Volume in every other market, such as exercises and auctions [BRL; see currency]",
    ),
    Field("option_series", "int", "Number of option series (calls and puts) that traded"),
    Field("put_call_ratio", "double", "put_volume / call_volume; null without calls"),
    Field("next_expiry", "date", "Earliest expiry among the option series that traded"),
    Field("days_to_expiry", "int", "Days from trade_date to next_expiry"),
    Field("lines", "int", "Number of raw lines behind this row"),
    Field("index_weight", "decimal(9,3)", "Weight in the IBOV [percent]; null outside the index"),
    Field("sector", "string", "Economic sector, as in the IBOV's portfolio; null outside the index"),
    Field("portfolio_date", "date", "Date of the IBOV portfolio consulted: the newest up to trade_date"),
    Field("portfolio_age_days", "int", "Days from portfolio_date to trade_date"),
    Field(
        "security_type",
        "string",
        "Kind of paper: share, unit, right (subscription rights, receipts, bonuses), fund, etf, bdr, index, "
        "or other",
    ),
    Field("bulletin_code", "string", "B3's bulletin code of the line that names the row"),
    Field(
        "currency",
        "string",
        "Of prices and volumes: BRL; before 1994-07-04 CRR thousand, thousands of cruzeiros reais",
    ),
)
PARTITION_KEYS = (
    Field("trade_date", "date", "Trading session"),
    Field(
        "ticker",
        "string",
        "Ticker; a stock without a cash line goes by its odd lot's name, another line's, or its options'",
    ),
)

# The same rows a second time, for queries that span sessions: one file a session, the ticker a column
COMPACT_COLUMNS = (PARTITION_KEYS[1], *COLUMNS)
COMPACT_KEYS = PARTITION_KEYS[:1]
WIDE_FOLDER, COMPACT_FOLDER = "refined", "refined_compact"  # of the refined bucket
COMPACT_SUFFIX = "_compact"  # of the table's name

# The columns of the raw tables that the job reads, with the types that it relies on
QUOTE_COLUMNS = {
    "codbdi": "string",
    "codneg": "string",
    "tpmerc": "string",
    "nomres": "string",
    "especi": "string",
    "preabe": "decimal(13,2)",
    "premax": "decimal(13,2)",
    "premin": "decimal(13,2)",
    "premed": "decimal(13,2)",
    "preult": "decimal(13,2)",
    "preofc": "decimal(13,2)",
    "preofv": "decimal(13,2)",
    "totneg": "bigint",
    "quatot": "bigint",
    "voltot": "decimal(18,2)",
    "datven": "date",
    "fatcot": "bigint",
    "codisi": "string",
}
PORTFOLIO_COLUMNS = {
    "index_code": "string",
    "ticker": "string",
    "sector": "string",
    "weight": "decimal(9,3)",
}

# What becomes sums, counts and expiries
_SUMMED = ("tpmerc", "codneg", "totneg", "is_doubtful", "quatot", "voltot", "datven")
CASH, ODD_LOT, FORWARD, CALL, PUT = MARKETS = ("010", "020", "030", "070", "080")  # TPMERC
NAMED_BY_SERIES = (CALL, PUT, "012", "013")  # options and their exercises
INDEX = "IBOV"
FILE_NAME = "part-00000.parquet"
INVARIANT_BROKEN = "invariant broken"
FIRST_IN_BRL = dt.date(1994, 7, 4)
CRR_THOUSAND = "CRR thousand"  # thousands of cruzeiros reais, in which B3 publishes the sessions before

# CODBDI of ETFs, and of exercises, forwards and options, of which CI has no others; names of other funds
_ETF_CODES = ("14", "38", "42", "62", "78", "82")
_FUND_NAMES = "(^| )(FI(I|A|C|M|P|RF|DC|NOR|NAM|SET|AGRO)?|FDC|FUNDES)( |$)|(^| )INFRA"
# What stands behind a ticker's digits in markets other than options: a letter, or BL. A ticker may end in B
_MARKET_SUFFIX = "(?<=[0-9]B?)(BL|[A-Z])$"
_CLASS_NUMBERS = {"ON": "3", "PN": "4", "PNA": "5", "PNB": "6", "PNC": "7", "PND": "8", "UNT": "11"}

# B3 writes the last five digits of a number of trades. A count is doubted where a trade would be more than so
# many times as large as usual, and with so many trades more at least so much of it; what is usual, so many
# lines of the session tell
_TRADES_MODULUS = 100_000
_TOO_LARGE, _LARGE_ENOUGH = 5, 0.75
_PEERS = 50

# A batch of sessions takes as many quotes as this; or sessions, where they are small
_BATCH_QUOTES = 250_000
_BATCH_SESSIONS = 60
_S3_CALLS = 16  # in flight in each task; each waits for S3, none computes for long
_FOOTER_CALLS = 32  # in flight in the driver
_FOOTER_PORTION = 1000  # files after which the log tells how far it is
_FOOTER_BYTES = 64 * 1024  # more than the footer of any raw file
_GLUE_CALLS = 8  # in flight; Glue allows an account few calls a second, and the client slows down by itself
_CATALOG_BATCH = 100  # partitions that one call of the Glue API takes
_DELETE_BATCH = 1000  # objects that one call of S3 takes

# How the files are written: nothing in them but the rows, so that the same rows are the same bytes. Of a
# single row, compression, dictionaries and statistics would be most of the file
_FILE = {"use_dictionary": False, "store_schema": False}
_WIDE_FILE: dict[str, Any] = {**_FILE, "compression": "none", "write_statistics": False}
# Some builds of Arrow, such as that of AWS's pandas layer for Lambda, have no zstd
_COMPACT_FILE: dict[str, Any] = {
    **_FILE,
    "compression": "zstd" if pa.Codec.is_available("zstd") else "snappy",
}


class RefineError(RuntimeError):
    """The run cannot be done, or cannot be finished; the message says what was written, if anything."""


class InvariantBroken(RefineError):  # noqa: N818 - it names what is wrong, as the alarm and the runbook do
    """The refined rows do not add up to the raw quotes.

    By `INVARIANT_BROKEN`, with which the message begins, the alarm knows it from other failures. The message
    is one line: of several, Glue may show but one.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"{INVARIANT_BROKEN}: {message}")


class Session(NamedTuple):
    """What a session adds up to: raw lines, refined tickers, volume over all markets in its currency."""

    trade_date: dt.date
    lines: int
    tickers: int
    volume: Decimal


# ---------------------------------------------------------------------------------------------------------
# Transform
# ---------------------------------------------------------------------------------------------------------
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
    return stocks.select(
        *[F.col(field.name).cast(field.type).alias(field.name) for field in (*COLUMNS, *PARTITION_KEYS)]
    )


def _with_ticker(quotes: DataFrame) -> DataFrame:
    """Add `line`, which sorts first where it names its stock, and `ticker`, the name of the line's stock.

    A stock is what shares an ISIN in a session. Lines without an ISIN are a stock for each name. It goes by
    its cash line's name, else its odd lot's or another market's, less the market's suffix; else by the four
    letters of its options. Classes of a company have these in common: if two of them would go by the same
    name, each has the number of its class behind it.
    """
    is_cash = F.col("tpmerc") == CASH
    is_odd_lot = F.col("tpmerc") == ODD_LOT
    is_series = F.col("tpmerc").isin(*NAMED_BY_SERIES)
    name = (
        F.when(is_cash, F.col("codneg"))
        .when(is_odd_lot, F.regexp_replace("codneg", "F$", ""))
        .when(is_series, F.rtrim(F.substring("codneg", 1, 4)))
        .otherwise(F.regexp_replace("codneg", _MARKET_SUFFIX, ""))
    )
    # Division by a bigint keeps 23 decimals, so that the cast to 6 is the only rounding (half up)
    unit = F.when(F.col("fatcot") != 0, F.col("fatcot"))

    def price(field: str) -> Column:
        return F.when(is_cash, F.col(field) / unit)

    def quotation(field: str) -> Column:
        return F.when(is_cash & (F.col(field) != 0), F.col(field) / unit)

    line = F.struct(
        F.when(is_cash, 0).when(is_odd_lot, 1).when(is_series, 3).otherwise(2).alias("rank"),
        F.negate("voltot").alias("by_volume"),
        F.col("codneg"),
        name.alias("name"),
        # From here on only what the row takes from the line; being in the sort, no tie is left to chance
        F.when(F.trim("codisi") != "", F.trim("codisi")).alias("isin"),
        F.col("nomres").alias("company"),
        F.col("especi").alias("share_class"),
        F.col("codbdi").alias("bulletin_code"),
        price("preabe").alias("open"),
        price("premax").alias("high"),
        price("premin").alias("low"),
        price("preult").alias("close"),
        price("premed").alias("average_price"),
        quotation("preofc").alias("best_bid"),
        quotation("preofv").alias("best_ask"),
    )
    lines = quotes.select("trade_date", *_SUMMED, line.alias("line"))
    unnamed = F.when(F.col("line.isin").isNull(), F.col("line.name"))
    stock = Window.partitionBy("trade_date", "line.isin", unnamed)
    lines = lines.withColumn("first", F.min("line").over(stock)).withColumn("name", F.col("first.name"))
    namesakes = Window.partitionBy("trade_date", "name")
    is_shared = F.min("line.isin").over(namesakes) != F.max("line.isin").over(namesakes)
    number = F.lit("")
    for share_class, digits in _CLASS_NUMBERS.items():
        word = F.regexp_extract("first.share_class", "^[A-Z]+", 0)
        number = F.when(word == share_class, digits).otherwise(number)
    ticker = F.when((F.col("first.rank") == 3) & is_shared, F.concat("name", number)).otherwise(F.col("name"))
    return lines.select("trade_date", *_SUMMED, "line", ticker.alias("ticker"))


def _with_trades(quotes: DataFrame) -> DataFrame:
    """Add `is_doubtful`: whether a line's volume contradicts its number of trades.

    B3 writes the last five digits. A session's own lines have to tell, so that its rows do not depend on what
    else is in the lake. In the cash and in the odd-lot market, the usual size of a trade is the median of the
    50 lines of shares and units with the largest volume; where there are fewer there is no verdict. A count
    is doubted where a trade would be more than five times as large, and with 100,000 trades more at least
    three quarters as large; and wherever there is a volume and no trade.
    """
    kind = security_type(F.col("codbdi"), F.col("especi"), F.col("nomres"), F.trim("codisi"))
    is_judged = F.col("tpmerc").isin(CASH, ODD_LOT) & kind.isin("share", "unit")
    volume, trades = F.col("voltot").cast("double"), F.col("totneg")
    is_peer = is_judged & (trades != 0)
    of_market = Window.partitionBy("trade_date", "tpmerc")
    by_volume = of_market.orderBy(F.desc(is_peer), F.desc("voltot"), F.desc("totneg"))
    size = F.when(is_peer & (F.col("place") <= _PEERS), volume / F.when(trades != 0, trades))
    lines = quotes.withColumn("place", F.row_number().over(by_volume)).withColumn("size", size)
    usual_size = F.when(F.count("size").over(of_market) == _PEERS, F.median("size").over(of_market))
    more = trades + _TRADES_MODULUS
    has_wrapped = (
        is_judged
        & (volume > F.col("usual_size") * _TOO_LARGE * trades)
        & (volume >= F.col("usual_size") * _LARGE_ENOUGH * more)
        & (F.col("quatot") >= more)  # a trade is of one unit or more
    )
    is_doubtful = ((trades == 0) & (F.col("voltot") != 0)) | F.coalesce(has_wrapped, F.lit(False))
    return lines.withColumn("usual_size", usual_size).withColumn("is_doubtful", is_doubtful)


def _aggregate(lines: DataFrame) -> DataFrame:
    """One row per session and ticker.

    Stocks that come by the same name in a session, such as two classes of a company of which only options
    traded, share its row: a reader expects one row per ticker, and none of the volume may be lost.
    """

    def volume(market: Column) -> Column:
        return F.sum(F.when(market, F.col("voltot")).otherwise(0))

    market = F.col("tpmerc")
    is_option = market.isin(CALL, PUT)
    call_volume, put_volume = volume(market == CALL), volume(market == PUT)
    next_expiry = F.min(F.when(is_option, F.col("datven")))
    return (
        lines.groupBy("trade_date", "ticker")
        .agg(
            F.min("line").alias("line"),
            F.when(~F.bool_or("is_doubtful"), F.sum("totneg")).alias("trades"),
            F.sum("quatot").alias("quantity"),
            F.sum("voltot").alias("volume"),
            volume(market == CASH).alias("cash_volume"),
            volume(market == ODD_LOT).alias("odd_lot_volume"),
            volume(market == FORWARD).alias("forward_volume"),
            call_volume.alias("call_volume"),
            put_volume.alias("put_volume"),
            volume(~market.isin(*MARKETS)).alias("other_volume"),
            F.count_distinct(F.when(is_option, F.col("codneg"))).alias("option_series"),
            # In double: a quotient of two decimals this wide would keep too few of its digits
            F.when(call_volume != 0, put_volume.cast("double") / call_volume.cast("double")).alias(
                "put_call_ratio"
            ),
            next_expiry.alias("next_expiry"),
            F.datediff(next_expiry, F.col("trade_date")).alias("days_to_expiry"),
            F.count("*").alias("lines"),
        )
        .select("*", "line.*")
        .withColumn(
            "security_type",
            security_type(*(F.col(name) for name in ("bulletin_code", "share_class", "company", "isin"))),
        )
        .withColumn("currency", F.when(F.col("trade_date") < FIRST_IN_BRL, CRR_THOUSAND).otherwise("BRL"))
    )


def security_type(bulletin_code: Column, share_class: Column, company: Column, isin: Column) -> Column:
    """What kind of paper a line is of, from CODBDI, ESPECI, NOMRES and CODISI.

    ESPECI decides where it can. Of every fund it says CI: those under CODBDI 14, or with options or forwards,
    are ETFs, but for the funds of infrastructure and tax incentives that B3 has under 14 too, which their
    names tell.
    """

    def is_of(classes: str) -> Column:
        return share_class.rlike(f"^({classes})(?![A-Z0-9])")

    return (
        F.when(
            bulletin_code.isin("10", "22") | is_of("DIR|BNS|REC") | share_class.rlike(" REC( |$)"), "right"
        )
        .when(bulletin_code.isin("34", "35", "36") | is_of("BDR|DR[A-Z0-9]"), "bdr")
        .when(is_of("IBO") | isin.rlike("^BR.{4}IND"), "index")
        .when(is_of("UNT|CDA"), "unit")
        .when(is_of("O[NPER]|P[NPER][A-HRV]?"), "share")
        .when(is_of("CI[A-Z]?") & bulletin_code.isin(*_ETF_CODES) & ~company.rlike(_FUND_NAMES), "etf")
        .when(is_of("CI[A-Z]?|FIDC"), "fund")
        .otherwise("other")
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


# ---------------------------------------------------------------------------------------------------------
# AWS
# ---------------------------------------------------------------------------------------------------------
def aws_config(calls: int) -> Config:
    """A client's settings for so many calls at a time; throttled, it slows down and tries again."""
    return Config(retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=calls)


def _objects(s3: S3Client, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectTypeDef]:
    """The objects below a prefix, by key, from the first one after `after`."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
    return (item for page in pages for item in page.get("Contents", []))


def _in_parallel(function: Callable[[T], R], items: Iterable[T], calls: int) -> list[R]:
    """Call `function` on each item, so many at a time; if one fails, raise its error when all have ended."""
    with ThreadPoolExecutor(calls) as threads:
        return list(threads.map(function, items))


# ---------------------------------------------------------------------------------------------------------
# Raw
# ---------------------------------------------------------------------------------------------------------
def find_quotes(s3: S3Client, bucket: str, first: dt.date, last: dt.date) -> dict[dt.date, str]:
    """The raw quotes of each session of a range, by date, oldest first: `s3://` paths.

    A session has one file: `daily.parquet`, or `backfill.parquet`. For a moment, while the writer replaces
    one by the other, it has both: then it is the daily one, which is what B3 published for that session.

    Raises:
        RefineError: The range has none. In a range of several days, those without one are non-sessions.
    """
    root = "raw/cotahist"
    name_of_key = re.compile(rf"{root}/trade_date=(\d{{4}}-\d{{2}}-\d{{2}})/(daily|backfill)\.parquet")
    days = {str(day): day for day in (first + dt.timedelta(n) for n in range((last - first).days + 1))}
    keys: dict[dt.date, str] = {}
    for item in _objects(s3, bucket, f"{root}/trade_date=", after=f"{root}/trade_date={first}"):
        if item["Key"] > f"{root}/trade_date={last}0":  # a 0 comes after the slash
            break
        name = name_of_key.fullmatch(item["Key"])
        if name and name[1] in days:
            keys[days[name[1]]] = item["Key"]  # by key, the backfill comes before the daily file
    if not keys:
        folder = f"s3://{bucket}/{root}/trade_date="
        wanted = f"{folder}{first}/" + (f" to {folder}{last}/" if last != first else "")
        raise RefineError(
            f"no raw quotes: expected daily.parquet or backfill.parquet in {wanted}. Ingest the session "
            f"first (python -m scraper ingest --date {first}); if B3 was closed on that day, there is "
            "nothing to refine."
        )
    missing = [name for name, day in days.items() if day not in keys]
    if missing:
        _log(f"no raw quotes, so taken for days without a session: {_listed(missing, 'days')}")
    return {day: f"s3://{bucket}/{key}" for day, key in sorted(keys.items())}


def find_portfolios(s3: S3Client, bucket: str) -> dict[str, str]:
    """The raw portfolios of the index, oldest first: `s3://` paths by date, as it stands in the path."""
    root = "raw/index_portfolio"
    date_of_key = re.compile(rf"{root}/portfolio_date=(\d{{4}}-\d{{2}}-\d{{2}})/{INDEX}\.parquet")
    keys = (item["Key"] for item in _objects(s3, bucket, f"{root}/portfolio_date="))
    dates = ((date_of_key.fullmatch(key), key) for key in keys)
    return {date[1]: f"s3://{bucket}/{key}" for date, key in dates if date}


def portfolios_in_force(portfolios: Mapping[str, str], first: dt.date, last: dt.date) -> dict[str, str]:
    """Those of the portfolios that sessions of a range may need, oldest first.

    They are the ones dated within the range, and the newest one up to its first day.
    """
    begin = max((date for date in portfolios if date <= str(first)), default=str(first))
    return {date: path for date, path in portfolios.items() if begin <= date <= str(last)}


def count_rows(s3: S3Client, paths: Sequence[str], columns: Mapping[str, str]) -> list[int]:
    """How many rows each raw Parquet file has, from its last bytes; and that it has the columns.

    Spark on its own takes the first file's schema for all, and fails in the midst of the others.

    Args:
        s3: A client for many calls at a time.
        paths: The files, `s3://` paths.
        columns: The columns that a file must have, and their types.

    Raises:
        RefineError: A file is no Parquet, lacks one of the columns, or has it with another type.
    """

    def count(path: str) -> int:
        footer = _footer(s3, path)
        found = {field.name: _glue_type(field.type) for field in footer.schema.to_arrow_schema()}
        problems = [
            f"column {name}: expected {kind}, found {found.get(name, 'none')}"
            for name, kind in columns.items()
            if found.get(name) != kind
        ]
        if problems:
            raise RefineError(
                f"{path} does not have the raw table's schema: {'; '.join(problems)}. "
                "Nothing was written. Ingest it again with this version of the scraper."
            )
        return int(footer.num_rows)

    counts: list[int] = []
    for portion in _portions(paths, _FOOTER_PORTION):
        counts += _in_parallel(count, portion, _FOOTER_CALLS)
        if len(paths) > _FOOTER_PORTION:
            _log(f"{len(counts):,} of {len(paths):,} raw files have the columns that they should")
    return counts


def _footer(s3: S3Client, path: str) -> pq.FileMetaData:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    try:
        tail = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{_FOOTER_BYTES}")["Body"].read()
        return pq.read_metadata(pa.BufferReader(tail))
    except (ClientError, pa.ArrowInvalid) as error:
        # S3 has no last bytes of an empty object
        if isinstance(error, ClientError) and error.response["Error"]["Code"] != "InvalidRange":
            raise
        raise RefineError(
            f"{path} cannot be read as Parquet: {error}. Nothing was written. Ingest it again."
        ) from error


class Raw(NamedTuple):
    """The raw files of a range.

    Attributes:
        root: The folder of the raw tables, an `s3://` path.
        quotes: The file of each session.
        rows: How many quotes each session has.
        portfolios: The files of the index's portfolios, by date.
    """

    root: str
    quotes: dict[dt.date, str]
    rows: dict[dt.date, int]
    portfolios: dict[str, str]


def find_raw(s3: S3Client, bucket: str, first: dt.date, last: dt.date) -> Raw:
    """Find the raw files that the sessions of a range need, and check that they can be refined.

    Raises:
        RefineError: There are none, one has no quotes, or not the columns that the job relies on.
    """
    quotes = find_quotes(s3, bucket, first, last)
    portfolios = portfolios_in_force(find_portfolios(s3, bucket), first, last)
    _log(f"reading {_listed([*quotes.values(), *portfolios.values()], 'files')}")
    rows = dict(zip(quotes, count_rows(s3, [*quotes.values()], QUOTE_COLUMNS), strict=True))
    without_quotes = [day for day, count in rows.items() if not count]
    if without_quotes:
        raise RefineError(f"{quotes[without_quotes[0]]} holds no quotes, expected some; nothing was written")
    count_rows(s3, [*portfolios.values()], PORTFOLIO_COLUMNS)
    return Raw(f"s3://{bucket}/raw", quotes, rows, portfolios)


def read_raw(
    spark: SparkSession, paths: Sequence[str], root: str, partition_key: str, columns: Mapping[str, str]
) -> DataFrame:
    """Read raw Parquet files of a partitioned table.

    Args:
        spark: The session.
        paths: The files, `<root>/<partition_key>=YYYY-MM-DD/<name>.parquet`.
        root: The table's folder.
        partition_key: The table's partition key, a date.
        columns: The columns to read, and the types that they have.
    """
    schema = ", ".join(f"{name} {kind}" for name, kind in {**columns, partition_key: "date"}.items())
    if not paths:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).option("basePath", root).parquet(*paths)


def batches_of_sessions(quotes: Mapping[dt.date, int]) -> Iterator[list[dt.date]]:
    """Divide sessions, with their numbers of quotes, into batches that are worked on one after another."""
    batch: list[dt.date] = []
    for session in sorted(quotes):
        total = sum(quotes[other] for other in batch) + quotes[session]
        if batch and (total > _BATCH_QUOTES or len(batch) == _BATCH_SESSIONS):
            yield batch
            batch = []
        batch.append(session)
    yield batch


# ---------------------------------------------------------------------------------------------------------
# Catalog
# ---------------------------------------------------------------------------------------------------------
class Table(NamedTuple):
    """What the job keeps in the catalog of one of its tables.

    Attributes:
        name: Its name.
        location: Its folder, without a slash at the end.
        description: What a reader finds in it.
        columns: Its columns.
        keys: Its partition keys, `trade_date` first.
        parameters: Its properties, beside those of every Parquet table.
        is_indexed: Whether the catalog is to find partitions by an index over all keys.
    """

    name: str
    location: str
    description: str
    columns: tuple[Field, ...]
    keys: tuple[Field, ...]
    parameters: Mapping[str, str] = {}
    is_indexed: bool = False


def wide_table(name: str, bucket: str, sessions: int = 0) -> Table:
    """The table of one file for each session and ticker; of the newest so many sessions, or of all with 0."""
    older = f", and those older than the newest {sessions:,}" if sessions else ""
    return Table(
        name=name,
        location=f"s3://{bucket}/{WIDE_FOLDER}",
        description="One row per stock and trading session of B3, over all markets. A partition for each "
        "session and ticker, about 330,000 a year: for one session, or one ticker in few sessions. For more "
        f"sessions use {name}{COMPACT_SUFFIX}, which alone has those that were refined with --compact_only"
        f"{older}.",
        columns=COLUMNS,
        keys=PARTITION_KEYS,
        # Athena asks the catalog for the partitions of a query alone, and the catalog finds them by its index
        parameters={"partition_filtering.enabled": "true"},
        is_indexed=True,
    )


def compact_table(name: str, bucket: str) -> Table:
    """The table of one file for each session, of the wide table's name."""
    return Table(
        name=f"{name}{COMPACT_SUFFIX}",
        location=f"s3://{bucket}/{COMPACT_FOLDER}",
        description=f"The rows of {name}, one file a session, sorted by ticker: for whatever spans sessions. "
        "Sessions that were refined with --compact_only, as deep history is, are in this table alone.",
        columns=COMPACT_COLUMNS,
        keys=COMPACT_KEYS,
    )


class Catalog:
    """One of the refined tables in the Glue Data Catalog.

    The job owns the table: it creates it, adds columns and properties to it, and keeps its partitions equal
    to the folders of the sessions that it refines. Columns and properties that somebody else added stay.

    Attributes:
        name: Database and table, with a dot between.
    """

    def __init__(self, glue: GlueClient, *, database: str, table: Table) -> None:
        """A table that may not exist yet."""
        self._glue = glue
        self._database = database
        self._table = table
        self.name = f"{database}.{table.name}"
        self._columns: list[AnyColumn] = []

    def check(self) -> None:
        """Look whether the table can be the job's, and change nothing.

        Raises:
            RefineError: The table that is there has another location, other partition keys, or a column of
                another type.
        """
        with suppress(self._glue.exceptions.EntityNotFoundException):
            self._existing()

    def prepare(self) -> None:
        """Create the database and the table where missing; add columns, properties and index that it lacks.

        Raises:
            RefineError: As `check` does.
        """
        try:
            self._adopt()
        except self._glue.exceptions.EntityNotFoundException:
            try:
                self._create()
            except self._glue.exceptions.AlreadyExistsException:  # another run has just created it
                self._adopt()

    def synchronise(self, rows: Iterable[tuple[str, str]]) -> dict[str, int]:
        """Make the partitions of some sessions those of their rows: first register, then unregister.

        Args:
            rows: Date and ticker of every row of the sessions.

        Returns:
            How many partitions were registered, updated and unregistered.

        Raises:
            RefineError: The catalog refused some of them.
        """
        wanted = list(dict.fromkeys(row[: len(self._table.keys)] for row in rows))
        registered = self._registered({values[0] for values in wanted})
        # Of their columns, partitions need no comments
        columns: list[AnyColumn] = [{"Name": name, "Type": kind} for name, kind in _types(self._columns)]
        new: list[PartitionInputTypeDef] = []
        changed: list[PartitionInputTypeDef] = []
        for values in wanted:
            location = f"{partition_folder(self._table.location, self._table.keys, values)}/"
            partition: PartitionInputTypeDef = {
                "Values": values,
                "StorageDescriptor": self._descriptor(location, columns),
            }
            if values not in registered:
                new.append(partition)
            elif registered[values] != (location, _types(columns)):
                changed.append(partition)
        stale = sorted(registered.keys() - set(wanted))
        _in_parallel(self._register, _portions(new, _CATALOG_BATCH), _GLUE_CALLS)
        _in_parallel(self._update, _portions(changed, _CATALOG_BATCH), _GLUE_CALLS)
        _in_parallel(self._unregister, stale, _GLUE_CALLS)
        return {"registered": len(new), "updated": len(changed), "unregistered": len(stale)}

    def sessions(self, among: Iterable[dt.date]) -> set[dt.date]:
        """Those of some sessions that have a partition."""
        days = {str(session) for session in among}
        return {dt.date.fromisoformat(values[0]) for values in self._registered(days)} if days else set()

    def unregister(self, session: dt.date) -> int:
        """Take the partitions of a session out of the table; how many there were."""
        partitions = sorted(self._registered({str(session)}))
        _in_parallel(self._unregister, partitions, _GLUE_CALLS)
        return len(partitions)

    def _create(self) -> None:
        try:
            self._glue.get_database(Name=self._database)
        except self._glue.exceptions.EntityNotFoundException:
            with suppress(self._glue.exceptions.AlreadyExistsException):
                self._glue.create_database(DatabaseInput={"Name": self._database})
        columns = _glue_columns(self._table.columns)
        indexes: Any = {"PartitionIndexes": [self._index()]} if self._table.is_indexed else {}
        self._glue.create_table(
            DatabaseName=self._database,
            TableInput={
                "Name": self._table.name,
                "Description": self._table.description,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet", **self._table.parameters},
                "PartitionKeys": _glue_columns(self._table.keys),
                "StorageDescriptor": self._descriptor(f"{self._table.location}/", columns),
            },
            **indexes,
        )
        self._columns = columns
        _log(f"table {self.name} created")

    def _adopt(self) -> None:
        """Use the table that is there, and add what it lacks."""
        table = self._existing()
        descriptor = table["StorageDescriptor"]
        existing = descriptor.get("Columns", [])
        ours: dict[str, Any] = {column["Name"]: column for column in _glue_columns(self._table.columns)}
        kept: list[Any] = [{**column, **ours.pop(column["Name"], {})} for column in existing]
        self._columns = [*kept, *ours.values()]
        # UpdateTable replaces the table: what it is not given is lost
        former: Any = {key: value for key, value in table.items() if key in _TABLE_INPUT and value}
        changed: Any = {
            **former,
            "Description": self._table.description,
            "Parameters": {**former.get("Parameters", {}), **self._table.parameters},
            "StorageDescriptor": {**descriptor, "Columns": self._columns},
        }
        if changed != former:
            self._glue.update_table(DatabaseName=self._database, TableInput=changed)
            _log(f"table {self.name} updated; new columns: {', '.join(ours) or 'none'}")
        if self._table.is_indexed:
            self._require_index()

    def _require_index(self) -> None:
        where: Any = {"DatabaseName": self._database, "TableName": self._table.name}
        index = self._index()
        pages = self._glue.get_paginator("get_partition_indexes").paginate(**where)
        there = [
            [key["Name"] for key in each["Keys"]]
            for page in pages
            for each in page["PartitionIndexDescriptorList"]
        ]
        if index["Keys"] not in there:
            with suppress(self._glue.exceptions.AlreadyExistsException):  # by another run
                self._glue.create_partition_index(**where, PartitionIndex=index)
            _log(f"table {self.name} gets an index of its partitions")

    def _index(self) -> Any:
        keys = [key.name for key in self._table.keys]
        return {"Keys": keys, "IndexName": "_".join(keys)}

    def _existing(self) -> TableTypeDef:
        """The table that is there, which has to be one that the job can use."""
        table = self._glue.get_table(DatabaseName=self._database, Name=self._table.name)["Table"]
        descriptor = table["StorageDescriptor"]
        location, partition_keys = descriptor.get("Location", ""), table.get("PartitionKeys", [])
        there = dict(_types(descriptor.get("Columns", [])))
        comparisons = (
            ("location", self._table.location, location.rstrip("/")),
            ("partition keys", _types(_glue_columns(self._table.keys)), _types(partition_keys)),
            *(
                (f"column {name}", kind, there[name])
                for name, kind, _ in self._table.columns
                if name in there
            ),
        )
        problems = [
            f"{what}: expected {ours}, found {theirs}" for what, ours, theirs in comparisons if ours != theirs
        ]
        if problems:
            raise RefineError(
                f"table {self.name} is not the one that this job writes: "
                f"{'; '.join(problems)}. Nothing was written. Give the job another --refined_table; or drop "
                "the table, which leaves the files, and run the job over every session to register them anew."
            )
        return table

    def _registered(self, sessions: set[str]) -> dict[tuple[str, ...], tuple[str, Types]]:
        """Location and columns of the registered partitions of sessions, by the partitions' values."""
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database,
            TableName=self._table.name,
            Expression=f"trade_date >= '{min(sessions)}' AND trade_date <= '{max(sessions)}'",
        )
        registered = {}
        for partition in (partition for page in pages for partition in page["Partitions"]):
            # The expression saves time; what may be unregistered is decided by the values themselves
            if partition["Values"][0] in sessions:
                descriptor = partition.get("StorageDescriptor", {})
                location, columns = descriptor.get("Location", ""), descriptor.get("Columns", [])
                registered[tuple(partition["Values"])] = location, _types(columns)
        return registered

    def _register(self, partitions: Sequence[PartitionInputTypeDef]) -> None:
        created = self._glue.batch_create_partition(
            DatabaseName=self._database, TableName=self._table.name, PartitionInputList=partitions
        )
        # One that is there by now was registered by another run of the same session
        self._require_none([error for error in created.get("Errors", []) if not _already_exists(error)])

    def _update(self, partitions: Sequence[PartitionInputTypeDef]) -> None:
        entries: Any = [{"PartitionValueList": each["Values"], "PartitionInput": each} for each in partitions]
        updated = self._glue.batch_update_partition(
            DatabaseName=self._database, TableName=self._table.name, Entries=entries
        )
        self._require_none(updated.get("Errors", []))

    def _unregister(self, values: tuple[str, ...]) -> None:
        # One that is not there was unregistered by another run of the same session
        with suppress(self._glue.exceptions.EntityNotFoundException):
            self._glue.delete_partition(
                DatabaseName=self._database, TableName=self._table.name, PartitionValues=values
            )

    def _descriptor(self, location: str, columns: Sequence[AnyColumn]) -> StorageDescriptorTypeDef:
        return {
            "Columns": columns,
            "Location": location,
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
        }

    def _require_none(self, errors: Sequence[Any]) -> None:
        if errors:
            raise RefineError(
                f"{len(errors)} partitions were not registered in {self.name}, the first because of "
                f"{errors[0]}. The files are published: run the job again for the session."
            )


# What GetTable tells and UpdateTable takes
_TABLE_INPUT = {
    *("Name", "Description", "Owner", "Retention"),
    *("PartitionKeys", "StorageDescriptor", "TableType", "Parameters"),
}


def _glue_columns(fields: Iterable[Field]) -> list[AnyColumn]:
    return [{"Name": name, "Type": kind, "Comment": comment} for name, kind, comment in fields]


def _types(columns: Iterable[AnyColumn]) -> Types:
    return [(column["Name"], column.get("Type", "")) for column in columns]


def _already_exists(error: Any) -> bool:
    return bool(error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException")


def _portions(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


# ---------------------------------------------------------------------------------------------------------
# Publish
# ---------------------------------------------------------------------------------------------------------
class Published(NamedTuple):
    """What a task has done with a session.

    Attributes:
        trade_date: The session.
        tickers: Its tickers.
        written: How many files it wrote.
        unchanged: How many it found with the bytes that it would have written.
        stale: Keys of the objects in the session's folders that are none of its files.
        problem: Why it wrote nothing; empty if it wrote.
    """

    trade_date: dt.date
    tickers: list[str]
    written: int
    unchanged: int
    stale: list[str]
    problem: str


_PUBLISHED = pa.schema(
    {
        "trade_date": pa.date32(),
        "tickers": pa.list_(pa.string()),
        "written": pa.int32(),
        "unchanged": pa.int32(),
        "stale": pa.list_(pa.string()),
        "problem": pa.string(),
    }
)


def publish(
    refined: DataFrame, sessions: Sequence[Session], bucket: str, *, compact_only: bool
) -> list[Published]:
    """Write the files of reconciled sessions to the refined bucket, over the old ones; delete none.

    A session is one task's. S3 shows a file's old bytes until it has the new ones whole; a task that fails in
    between has replaced some of the session's files, and the next one replaces the others.

    Args:
        refined: The sessions' rows.
        sessions: What each of them adds up to.
        bucket: The refined bucket.
        compact_only: Write the compact files, and leave the wide ones as they are.

    Returns:
        What was done, by session.

    Raises:
        RefineError: A session's rows are no longer those that were reconciled; none of it was written.
    """
    write = functools.partial(
        _write_sessions,
        expected=sessions,
        bucket=bucket,
        compact_only=compact_only,
        region=boto3.Session().region_name,
    )
    # A task for each core: ranges hold about as many rows each, and a task takes a while to begin
    tasks = min(len(sessions), refined.sparkSession.sparkContext.defaultParallelism)
    answers = (
        refined.select("trade_date", *[field.name for field in COMPACT_COLUMNS])
        .repartitionByRange(tasks, "trade_date")
        .mapInArrow(write, from_arrow_schema(_PUBLISHED))
        .collect()
    )
    published = sorted(Published(*answer) for answer in answers)
    problems = [one.problem for one in published if one.problem]
    lost = {session.trade_date for session in sessions} - {one.trade_date for one in published}
    problems += [f"{trade_date}: expected rows, found none" for trade_date in sorted(lost)]
    if problems:
        raise RefineError(
            "rows changed after they had been reconciled, as when raw files are replaced meanwhile; nothing "
            "of these sessions was written:\n  " + "\n  ".join(problems) + "\nRun the job again."
        )
    _log(
        f"{_span([one.trade_date for one in published])}  {sum(one.written for one in published):,} files "
        f"written, {sum(one.unchanged for one in published):,} unchanged"
    )
    return published


def _write_sessions(
    batches: Iterable[pa.RecordBatch],
    *,
    expected: Sequence[Session],
    bucket: str,
    compact_only: bool,
    region: str | None,
) -> Iterator[pa.RecordBatch]:
    """What a task does: write the files of each session among its rows; yield `Published`, as Arrow."""
    parts = list(batches)
    if not parts:
        return
    rows = pa.Table.from_batches(parts).sort_by([("trade_date", "ascending"), ("ticker", "ascending")])
    s3 = boto3.client("s3", region_name=region, config=aws_config(_S3_CALLS))
    # Otherwise each file takes two round trips: boto3 first asks S3 whether it would take the body at all
    s3.meta.events.register_last("before-call.s3", _without_expect)
    done = []
    with ThreadPoolExecutor(_S3_CALLS) as threads:
        for session in expected:
            found = rows.filter(pc.equal(rows["trade_date"], pa.scalar(session.trade_date)))
            figures = found.num_rows, pc.sum(found["volume"]).as_py()
            if figures == (session.tickers, session.volume):
                done.append(_write_session(s3, threads, bucket, found, compact_only=compact_only))
            elif figures[0]:
                problem = (
                    f"{session.trade_date}: expected {session.tickers} tickers and a volume of "
                    f"{session.volume}, found {figures[0]} and {figures[1]}"
                )
                done.append(Published(session.trade_date, [], 0, 0, [], problem))
    yield pa.RecordBatch.from_pylist([one._asdict() for one in done], schema=_PUBLISHED)


def _write_session(
    s3: S3Client, threads: ThreadPoolExecutor, bucket: str, rows: pa.Table, *, compact_only: bool
) -> Published:
    """Write the files of a session, except those that are there with the same bytes."""
    (trade_date,) = {str(day) for day in rows["trade_date"].unique().to_pylist()}
    tickers = [str(ticker) for ticker in rows["ticker"].to_pylist()]
    rows = rows.select([field.name for field in COMPACT_COLUMNS]).cast(_arrow_schema(COMPACT_COLUMNS))

    folder = partition_folder(COMPACT_FOLDER, COMPACT_KEYS, [trade_date])
    folders = [folder]
    files = {f"{folder}/{FILE_NAME}": functools.partial(_parquet, rows, _COMPACT_FILE)}
    if not compact_only:
        folders.append(partition_folder(WIDE_FOLDER, PARTITION_KEYS[:1], [trade_date]))
        wide = rows.drop_columns(["ticker"]).combine_chunks()  # in one piece a row is quickly taken out
        for place, ticker in enumerate(tickers):
            folder = partition_folder(WIDE_FOLDER, PARTITION_KEYS, [trade_date, ticker])
            files[f"{folder}/{FILE_NAME}"] = functools.partial(_parquet, wide.slice(place, 1), _WIDE_FILE)
    there = {
        item["Key"]: (item["Size"], item["ETag"])
        for folder in folders
        for item in _objects(s3, bucket, f"{folder}/")
    }

    def put(key: str) -> bool:
        body = files[key]()
        digest = hashlib.md5(body, usedforsecurity=False)
        # In a bucket with a KMS key an ETag is no MD5: there every file is written again
        if there.get(key) == (len(body), f'"{digest.hexdigest()}"'):
            return False
        checksum = base64.b64encode(digest.digest()).decode()
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentMD5=checksum)
        return True

    written = sum(threads.map(put, files))
    stale = sorted(there.keys() - files.keys())
    return Published(dt.date.fromisoformat(trade_date), tickers, written, len(files) - written, stale, "")


def _without_expect(params: dict[str, Any], **_: object) -> None:
    params["headers"].pop("Expect", None)


def partition_folder(root: str, keys: Iterable[Field], values: Iterable[str]) -> str:
    """The folder of a partition, with its values escaped as Hive and Spark do it."""
    names = (f"{key.name}={_SPECIAL.sub(_escaped, value)}" for key, value in zip(keys, values, strict=True))
    return "/".join([root, *names])


_SPECIAL = re.compile(r"[\x01-\x1f\x7f\"#%'*/:=?\\{\[\]^]")


def _escaped(character: re.Match[str]) -> str:
    return f"%{ord(character[0]):02X}"


def _parquet(rows: pa.Table, options: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **options)
    return sink.getvalue().to_pybytes()


def _arrow_schema(fields: Iterable[Field]) -> pa.Schema:
    return pa.schema([(name, _arrow_type(kind)) for name, kind, _ in fields])


def _arrow_type(kind: str) -> pa.DataType:
    """Arrow's type for one that is spelled as in Glue and Spark."""
    if kind.startswith("decimal"):
        precision, scale = map(int, re.findall(r"\d+", kind))
        return pa.decimal128(precision, scale)
    return _ARROW_TYPES[kind]


def _glue_type(kind: pa.DataType) -> str:
    """The spelling in Glue and Spark of an Arrow type; Arrow's own where those have none."""
    if isinstance(kind, pa.Decimal128Type):
        return f"decimal({kind.precision},{kind.scale})"
    spellings = {arrow: name for name, arrow in _ARROW_TYPES.items()} | {pa.large_string(): "string"}
    return spellings.get(kind, str(kind))


_ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
}


def finish(
    s3: S3Client, catalogs: Iterable[Catalog], bucket: str, published: Sequence[Published], phases: Phases
) -> None:
    """Let the catalog follow the published files, then delete what is none of the sessions' files any more.

    In this order a reader never misses a row. A crash in between leaves each ticker's old or new row; the
    next run ends what was begun.

    Raises:
        RefineError: The catalog refused a partition, or S3 to delete an object.
    """
    span = _span([one.trade_date for one in published])
    rows = [(one.trade_date.isoformat(), ticker) for one in published for ticker in one.tickers]
    with phases.of("catalog"):
        for catalog in catalogs:
            changes = catalog.synchronise(rows)
            counts = ", ".join(f"{count:,} {what}" for what, count in changes.items())
            _log(f"{span}  partitions of {catalog.name}: {counts}")
    stale = [key for one in published for key in one.stale]
    with phases.of("deletions"):
        _delete(s3, bucket, stale, span)
    if stale:
        _log(f"{span}  deleted, no longer there: {_listed(stale, 'objects')}")


def _delete(s3: S3Client, bucket: str, keys: Sequence[str], span: str) -> None:
    """Delete objects of sessions, to which the catalog leads nobody any more."""
    for portion in _portions(keys, _DELETE_BATCH):
        objects: Any = [{"Key": key} for key in portion]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            raise RefineError(
                f"{len(errors)} objects of s3://{bucket} were not deleted, the first because of "
                f"{errors[0]}. No partition holds them any more: run the job again for {span}."
            )


# ---------------------------------------------------------------------------------------------------------
# Retention
# ---------------------------------------------------------------------------------------------------------
def compact_sessions(s3: S3Client, bucket: str) -> set[dt.date]:
    """The sessions that have a compact file."""
    root = f"{COMPACT_FOLDER}/trade_date="
    # The visual mode names its files otherwise than this script
    files = (item["Key"] for item in _objects(s3, bucket, root))
    return _dates(rf"{root}{_DATE}/[^/_.][^/]*\.parquet", files)


def wide_sessions(s3: S3Client, bucket: str) -> set[dt.date]:
    """The sessions that have a wide folder; the files in it, a thousand and more, are not listed."""
    root = f"{WIDE_FOLDER}/trade_date="
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root, Delimiter="/")
    folders = (folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", []))
    return _dates(rf"{root}{_DATE}/", folders)


_DATE = r"(\d{4}-\d{2}-\d{2})"


def _dates(pattern: str, keys: Iterable[str]) -> set[dt.date]:
    """The dates that a pattern finds in keys; a folder whose name is no date is no session."""
    found = set()
    for name in filter(None, map(re.compile(pattern).fullmatch, keys)):
        with suppress(ValueError):
            found.add(dt.date.fromisoformat(name[1]))
    return found


def newest(sessions: Iterable[dt.date], count: int) -> set[dt.date]:
    """The newest so many sessions; all with 0."""
    return set(sorted(sessions)[-count:])


def retire(s3: S3Client, wide: Catalog, compact: Catalog, bucket: str, count: int) -> None:
    """Leave the newest so many sessions of the compact table in the wide one, and take the older ones out.

    A session's partitions go before its files, so that nobody is led to a file that is gone. After a crash in
    between, what is left of its folder tells the next run to go on. A session whose file or partition the
    compact table lacks stays: its rows are nowhere else.

    Raises:
        RefineError: S3 refused to delete an object.
    """
    refined_compact = compact_sessions(s3, bucket)
    surplus = wide_sessions(s3, bucket) - newest(refined_compact, count)
    expendable = sorted(compact.sessions(surplus & refined_compact))
    if expendable:
        _log(f"{_span(expendable)}  older than the newest {count:,}: to be taken out of {wide.name}")
    for session in expendable:
        partitions = wide.unregister(session)
        folder = partition_folder(WIDE_FOLDER, PARTITION_KEYS[:1], [str(session)])
        keys = [item["Key"] for item in _objects(s3, bucket, f"{folder}/")]
        _delete(s3, bucket, keys, str(session))
        _log(
            f"{session}  taken out of {wide.name}: {partitions:,} partitions, {len(keys):,} files; "
            f"its rows are in {compact.name}"
        )
    if remaining := sorted(surplus - set(expendable)):
        _log(
            f"{_span(remaining)}  not taken out of {wide.name}: no file or no partition in {compact.name}; "
            "run the job over them once more"
        )


# ---------------------------------------------------------------------------------------------------------
# Run
# ---------------------------------------------------------------------------------------------------------
class Phases:
    """Seconds that the phases of a run have taken; some go on beside one another."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count the block's seconds for a phase."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0) + time.monotonic() - started

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._seconds.items())


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the job's arguments; those that Glue adds of its own are passed over.

    Returns:
        `start_date`, `end_date` (dates, both the session's for `--trade_date`), `raw_bucket`,
        `refined_bucket`, `refined_database`, `refined_table` (the wide one's name), `compact_only` (a bool),
        `wide_sessions` (a number, 0 for no bound), `JOB_RUN_ID` (empty where Glue gives none).
    """
    parser = argparse.ArgumentParser(prog="refine", description=__doc__, allow_abbrev=False)
    parser.add_argument("--trade_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="one session")
    parser.add_argument(
        "--start_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="first of a range"
    )
    parser.add_argument(
        "--end_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="last of a range"
    )
    parser.add_argument("--raw_bucket", required=True)
    parser.add_argument("--refined_bucket", required=True)
    parser.add_argument("--refined_database", required=True)
    parser.add_argument("--refined_table", required=True)
    parser.add_argument(
        "--compact_only", choices=("true", "false"), default="false", help="leave the wide table as it is"
    )
    parser.add_argument("--JOB_RUN_ID", default="", metavar="ID", help="Glue's own, for the log")
    parser.add_argument(
        "--wide_sessions",
        type=int,
        default=0,
        metavar="N",
        help="sessions that the wide table keeps, the newest; 0 keeps all (the default)",
    )
    arguments, _ = parser.parse_known_args(argv)
    dates = (
        arguments.trade_date is not None,
        arguments.start_date is not None,
        arguments.end_date is not None,
    )
    if dates not in {(True, False, False), (False, True, True)}:
        parser.error("give either --trade_date, or --start_date and --end_date")
    if arguments.wide_sessions < 0:
        parser.error(f"--wide_sessions is {arguments.wide_sessions}, expected 0 or more")
    arguments.compact_only = arguments.compact_only == "true"
    if arguments.trade_date:
        arguments.start_date = arguments.end_date = arguments.trade_date
    if arguments.start_date > arguments.end_date:
        parser.error(f"--start_date {arguments.start_date} is after --end_date {arguments.end_date}")
    return arguments


def spark_session() -> SparkSession:
    """The Spark session that Glue or the caller has made, or else a new one, set up for this job."""
    # ANSI: an overflow is an error, where Spark's default is a null
    spark = SparkSession.builder.config("spark.sql.ansi.enabled", "true").getOrCreate()
    # A session has some ten thousand lines: Spark's default, 200 tasks a shuffle, would be mostly overhead
    spark.conf.set("spark.sql.shuffle.partitions", spark.sparkContext.defaultParallelism)
    return spark


def main(argv: Sequence[str]) -> None:
    """Refine a session, or each session of a range.

    A range goes in batches of sessions: each is read and reconciled, then its files are written; its
    partitions follow while the next batch is computed. Where one fails, those before it are published whole.
    Sessions older than the wide table's bound are published in the compact one alone, and what the bound
    leaves out is taken from the wide table at the end. With `--compact_only` the wide table is not touched.

    Raises:
        RefineError: There is nothing to refine, the raw files or a table are not as expected, or the rows do
            not reconcile; see the message.
    """
    arguments = parse_arguments(argv)
    _log_as(arguments)
    bucket, compact_only = arguments.refined_bucket, arguments.compact_only
    bound = arguments.wide_sessions
    phases = Phases()
    s3 = boto3.client("s3", config=aws_config(_FOOTER_CALLS))
    with phases.of("search"):
        raw = find_raw(s3, arguments.raw_bucket, arguments.start_date, arguments.end_date)
        to_be_wide = set() if compact_only else set(raw.rows)
        if bound and to_be_wide:
            to_be_wide &= newest(to_be_wide | compact_sessions(s3, bucket), bound)
    tables = [compact_table(arguments.refined_table, bucket)]
    if not compact_only:
        tables.append(wide_table(arguments.refined_table, bucket, bound))
    glue = boto3.client("glue", config=aws_config(_GLUE_CALLS))
    catalogs = [Catalog(glue, database=arguments.refined_database, table=table) for table in tables]
    for catalog in catalogs:
        catalog.check()
    with phases.of("start"):
        spark = spark_session()

    done: list[Session] = []
    with ThreadPoolExecutor(1) as background:
        finishing: Future[None] = background.submit(lambda: None)
        try:
            for days, is_wide in _batches(raw.rows, to_be_wide):
                with _refined(spark, raw, days, phases) as (refined, sessions):
                    if not done:
                        for catalog in catalogs:
                            catalog.prepare()
                    with phases.of("files"):
                        published = publish(refined, sessions, bucket, compact_only=not is_wide)
                finishing.result()
                followers = catalogs if is_wide else catalogs[:1]
                finishing = background.submit(finish, s3, followers, bucket, published, phases)
                done += sessions
                if len(raw.rows) > len(sessions):
                    _log(f"{len(done):,} of {len(raw.rows):,} sessions")
            finishing.result()
        except Exception as error:
            finishing.result()
            if not done:
                raise
            raise RefineError(
                f"{str(error).removesuffix('.')}. The sessions up to {done[-1].trade_date} are published; "
                "run the job again for those after."
            ) from error
    if bound and not compact_only:
        with phases.of("retention"):
            compact, wide = catalogs
            retire(s3, wide, compact, bucket, bound)
    _log(f"done: {_span([session.trade_date for session in done])}; {phases}")


def _batches(quotes: Mapping[dt.date, int], to_be_wide: Set[dt.date]) -> Iterator[tuple[list[dt.date], bool]]:
    """The batches of a run's sessions, and whether they go to both tables or to the compact one alone."""
    for is_wide in (False, True):  # by date: what is not to be wide is older than what is
        some = {day: count for day, count in quotes.items() if (day in to_be_wide) is is_wide}
        if some:
            yield from ((days, is_wide) for days in batches_of_sessions(some))


@contextmanager
def _refined(
    spark: SparkSession, raw: Raw, days: Sequence[dt.date], phases: Phases
) -> Iterator[tuple[DataFrame, list[Session]]]:
    """The refined rows of some sessions, computed once and reconciled, and what the sessions add up to."""
    with phases.of("rows"):
        quotes = read_raw(
            spark, [raw.quotes[day] for day in days], f"{raw.root}/cotahist", "trade_date", QUOTE_COLUMNS
        )
        portfolios = read_raw(
            spark,
            [*portfolios_in_force(raw.portfolios, days[0], days[-1]).values()],
            f"{raw.root}/index_portfolio",
            "portfolio_date",
            PORTFOLIO_COLUMNS,
        )
        refined = transform(quotes, portfolios).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        with phases.of("rows"):
            sessions = reconcile(quotes, refined)
        _log(
            f"{_span(days)}  {sum(session.lines for session in sessions):,} quotes make "
            f"{sum(session.tickers for session in sessions):,} rows, volume {_volumes(sessions)}"
        )
        yield refined, sessions
    finally:
        refined.unpersist()


def _volumes(sessions: Iterable[Session]) -> str:
    """What sessions add up to in each currency."""
    sums: dict[str, Decimal] = {}
    for session in sessions:
        currency = "BRL" if session.trade_date >= FIRST_IN_BRL else CRR_THOUSAND
        sums[currency] = sums.get(currency, Decimal(0)) + session.volume
    return " and ".join(f"{volume:,} {currency}" for currency, volume in sums.items())


def _span(days: Sequence[dt.date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days):,} sessions)"


def _listed(items: Sequence[str], what: str) -> str:
    return ", ".join(items) if len(items) <= 3 else f"{len(items):,} {what}, {items[0]} to {items[-1]}"


_started = time.monotonic()
_run = ""


def _log_as(arguments: argparse.Namespace) -> None:
    """Have each line say which run it is of, and of which session or range."""
    global _run  # noqa: PLW0603 - a process is one run
    first, last = arguments.start_date, arguments.end_date
    sessions = f"{first}" if first == last else f"{first}/{last}"
    run_id = f"run={arguments.JOB_RUN_ID} " if arguments.JOB_RUN_ID else ""
    _run = f"  [{run_id}session_date={sessions}]"


def _log(message: str) -> None:
    """Print a line, which Glue puts into CloudWatch, with the seconds since the job's start."""
    print(f"{time.monotonic() - _started:6.1f} s  {message}{_run}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
