"""From B3's quotes, a line per ticker, market and term, to one row per stock: pure functions of DataFrames.

Prices are in BRL for one unit, volumes in BRL; both are decimal from end to end. Before 1994-07-04 they are
in thousands of cruzeiros reais, as the column `currency` says.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name by which every PySpark code base knows it

from refinement.columns import COLUMNS, PARTITION_KEYS
from refinement.errors import InvariantBroken

# What becomes sums, counts and expiries
_SUMMED = ("tpmerc", "codneg", "totneg", "is_doubtful", "quatot", "voltot", "datven")
CASH, ODD_LOT, FORWARD, CALL, PUT = MARKETS = ("010", "020", "030", "070", "080")  # TPMERC
NAMED_BY_SERIES = (CALL, PUT, "012", "013")  # options and their exercises
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
