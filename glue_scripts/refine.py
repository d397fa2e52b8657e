"""Refine trading sessions: from B3's quotes, a line per ticker, market and term, to one row per stock.

The job of AWS Glue 5.1 (PySpark 3.5), deployed as this one file. `transform` and what it calls are pure
functions of DataFrames; `main` does the input and output: it reads the raw sessions, checks that nothing was
lost, publishes one Parquet file per session and ticker, and catalogues them in the Glue Data Catalog. It
refuses a session without raw quotes, raw files of another schema, and rows that do not add up to the raw
quotes: it then says what was expected and leaves refined files and catalog as they were.

Prices are in BRL for one unit, volumes in BRL; both are decimal from end to end.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote

import boto3
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - the name by which every PySpark code base knows it

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import (
        ColumnOutputTypeDef,
        ColumnTypeDef,
        PartitionInputTypeDef,
        StorageDescriptorTypeDef,
    )

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
    Field("open", "decimal(18,6)", "First price in the cash market [BRL per unit]; null without a cash line"),
    Field("high", "decimal(18,6)", "Highest price in the cash market [BRL per unit]"),
    Field("low", "decimal(18,6)", "Lowest price in the cash market [BRL per unit]"),
    Field("close", "decimal(18,6)", "Last price in the cash market [BRL per unit]"),
    Field("average_price", "decimal(18,6)", "Average price in the cash market [BRL per unit]"),
    Field(
        "best_bid", "decimal(18,6)", "Best bid at the close of the cash market [BRL per unit]; null if none"
    ),
    Field(
        "best_ask", "decimal(18,6)", "Best ask at the close of the cash market [BRL per unit]; null if none"
    ),
    Field("trades", "bigint", "Number of trades, every market"),
    Field("quantity", "bigint", "Quantity traded, every market [shares or contracts]"),
    Field("volume", "decimal(24,2)", "Financial volume, every market [BRL]"),
    Field("cash_volume", "decimal(24,2)", "Volume in the cash market [BRL]"),
    Field("odd_lot_volume", "decimal(24,2)", "Volume in the odd-lot market [BRL]"),
    Field("forward_volume", "decimal(24,2)", "Volume of forwards [BRL]"),
    Field("call_volume", "decimal(24,2)", "Premiums paid for calls [BRL]"),
    Field("put_volume", "decimal(24,2)", "Premiums paid for puts [BRL]"),
    Field(
        "other_volume", "decimal(24,2)", "Volume in every other market, such as exercises and auctions [BRL]"
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
)
PARTITION_KEYS = (
    Field("trade_date", "date", "Trading session"),
    Field(
        "ticker", "string", "Ticker; a stock without a cash line goes by its odd lot's or its options' name"
    ),
)

# The same rows a second time, for queries that span sessions: one file a session, the ticker a column
COMPACT_COLUMNS = (PARTITION_KEYS[1], *COLUMNS)
COMPACT_KEYS = PARTITION_KEYS[:1]
WIDE_FOLDER, COMPACT_FOLDER = "refined", "refined_compact"  # of the refined bucket
COMPACT_SUFFIX = "_compact"  # of the table's name

# The columns of the raw tables that the job reads, with the types that it relies on
QUOTE_COLUMNS = {
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
_SUMMED = ("tpmerc", "codneg", "totneg", "quatot", "voltot", "datven")
CASH, ODD_LOT, FORWARD, CALL, PUT = MARKETS = ("010", "020", "030", "070", "080")  # TPMERC
INDEX = "IBOV"
FILE_NAME = "part-00000.parquet"

_THREADS = ThreadPoolExecutor(32)  # each waits for S3 or Glue, none computes
_CATALOG_BATCH = 100  # partitions that one call of the Glue API takes


class RefineError(RuntimeError):
    """The run cannot be done, or cannot be finished; the message says what was written, if anything."""


class Session(NamedTuple):
    """What a session adds up to: raw lines, refined tickers, volume in BRL over all markets."""

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
    stocks = _with_index(_aggregate(_with_ticker(quotes)), portfolios)
    return stocks.select(
        *[F.col(field.name).cast(field.type).alias(field.name) for field in (*COLUMNS, *PARTITION_KEYS)]
    )


def _with_ticker(quotes: DataFrame) -> DataFrame:
    """Add `line`, which sorts first where it names its stock, and `ticker`, the name of the line's stock.

    A stock is what shares an ISIN in a session. Lines without an ISIN are a stock for each name.
    """
    is_cash = F.col("tpmerc") == CASH
    is_odd_lot = F.col("tpmerc") == ODD_LOT
    name = (
        F.when(is_cash, F.col("codneg"))
        .when(is_odd_lot, F.regexp_replace("codneg", "F$", ""))
        .otherwise(F.rtrim(F.substring("codneg", 1, 4)))
    )
    # Division by a bigint keeps 23 decimals, so that the cast to 6 is the only rounding (half up)
    unit = F.when(F.col("fatcot") != 0, F.col("fatcot"))

    def price(field: str) -> Column:
        return F.when(is_cash, F.col(field) / unit)

    def quotation(field: str) -> Column:
        return F.when(is_cash & (F.col(field) != 0), F.col(field) / unit)

    line = F.struct(
        F.when(is_cash, 0).when(is_odd_lot, 1).otherwise(2).alias("rank"),
        F.negate("voltot").alias("by_volume"),
        F.col("codneg"),
        name.alias("name"),
        # From here on only what the row takes from the line; being in the sort, no tie is left to chance
        F.when(F.trim("codisi") != "", F.trim("codisi")).alias("isin"),
        F.col("nomres").alias("company"),
        F.col("especi").alias("share_class"),
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
    return lines.select("*", F.min("line").over(stock)["name"].alias("ticker"))


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
            F.sum("totneg").alias("trades"),
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
        RefineError: In some session the volume differs from the raw lines' by a cent or more, a line is
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
        raise RefineError(
            "the refined rows do not reconcile with the raw quotes, so nothing was written:\n  "
            + "\n  ".join(problems)
            + "\nThis is a fault of the job or of the raw files: query the session in the raw table, "
            "correct, run again."
        )
    return [
        Session(trade_date, raw[trade_date]["lines"], found[trade_date]["tickers"], raw[trade_date]["volume"])
        for trade_date in sorted(raw)
    ]


# ---------------------------------------------------------------------------------------------------------
# Storage
# ---------------------------------------------------------------------------------------------------------
class Storage:
    """Files at `s3://` paths, through the Hadoop file system that Spark itself reads and writes with."""

    def __init__(self, spark: SparkSession) -> None:
        jvm: Any = spark._jvm  # the gateway to Hadoop, which has no typed face in Python
        self._configuration: Any = spark._jsc.hadoopConfiguration()
        # Each name on the way to a class is a call to the gateway, so the way is gone once
        self._path = jvm.org.apache.hadoop.fs.Path
        self._copy = jvm.org.apache.hadoop.fs.FileUtil.copy
        self._content_equals = jvm.org.apache.commons.io.IOUtils.contentEquals

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        file_system, location = self._locate(path)
        return bool(file_system.exists(location))

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted; none if it does not exist."""
        if not self.exists(path):
            return []
        file_system, location = self._locate(path)
        return sorted(
            status.getPath().getName() for status in file_system.listStatus(location) if status.isDirectory()
        )

    def files(self, path: str) -> dict[str, int]:
        """Every file below a folder: its path below the folder, its bytes; none without folder."""
        if not self.exists(path):
            return {}
        file_system, location = self._locate(path)
        prefix = f"{file_system.makeQualified(location).toString()}/"
        statuses = file_system.listFiles(location, True)
        files = {}
        while statuses.hasNext():
            status = statuses.next()
            files[status.getPath().toString().removeprefix(prefix)] = int(status.getLen())
        return files

    def same_content(self, one: str, other: str) -> bool:
        """Whether two files hold the same bytes."""
        with closing(self._read(one)) as left, closing(self._read(other)) as right:
            return bool(self._content_equals(left, right))

    def copy(self, source: str, target: str) -> None:
        """Copy a file over another. An object store shows the old one until the new one is whole."""
        source_system, source_location = self._locate(source)
        target_system, target_location = self._locate(target)
        self._copy(
            source_system, source_location, target_system, target_location, False, True, self._configuration
        )

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        file_system, location = self._locate(path)
        if not file_system.delete(location, True) and file_system.exists(location):
            raise OSError(f"{path} cannot be deleted")

    def _read(self, path: str) -> Any:
        file_system, location = self._locate(path)
        return file_system.open(location)

    def _locate(self, path: str) -> tuple[Any, Any]:
        location = self._path(path)
        return location.getFileSystem(self._configuration), location


def _in_parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call `function` on each item, many at a time; if any fails, raise its error when all have ended."""
    calls = [_THREADS.submit(function, item) for item in items]
    wait(calls)
    return [call.result() for call in calls]


@contextmanager
def _staging_folder(storage: Storage, bucket: str) -> Iterator[str]:
    """A folder of this run alone, removed at its end."""
    folder = f"s3://{bucket}/staging/{uuid.uuid4().hex}"
    try:
        yield folder
    except BaseException:
        try:
            storage.delete(folder)
        except Exception as error:  # noqa: BLE001 - reported; what made the run fail is what is raised
            _log(f"{folder} is left behind: {error}")
        raise
    storage.delete(folder)


# ---------------------------------------------------------------------------------------------------------
# Raw
# ---------------------------------------------------------------------------------------------------------
def find_quotes(storage: Storage, bucket: str, first: dt.date, last: dt.date) -> dict[dt.date, str]:
    """The raw quotes of each session of a range, by date.

    A session has one file: `daily.parquet`, or `backfill.parquet`. For a moment, while the writer replaces
    one by the other, it has both: then it is the daily one, which is what B3 published for that session.

    Raises:
        RefineError: The range has none. In a range of several days, those without one are non-sessions.
    """
    root = f"s3://{bucket}/raw/cotahist"
    days = [first + dt.timedelta(days) for days in range((last - first).days + 1)]

    def find(day: dt.date) -> str | None:
        candidates = (f"{root}/trade_date={day}/{name}.parquet" for name in ("daily", "backfill"))
        return next(filter(storage.exists, candidates), None)

    found = dict(zip(days, _in_parallel(find, days), strict=True))
    paths = {day: path for day, path in found.items() if path}
    if not paths:
        wanted = f"{root}/trade_date={first}/" + (f" to {root}/trade_date={last}/" if last != first else "")
        raise RefineError(
            f"no raw quotes: expected daily.parquet or backfill.parquet in {wanted}. Ingest the session "
            f"first (python -m scraper ingest --date {first}); if B3 was closed on that day, there is "
            "nothing to refine."
        )
    missing = [str(day) for day in days if day not in paths]
    if missing:
        _log(f"no raw quotes, so taken for days without a session: {', '.join(missing)}")
    return paths


def find_portfolios(storage: Storage, bucket: str, first: dt.date, last: dt.date) -> list[str]:
    """The raw portfolios of the index that sessions of the range may need, oldest first.

    Those are the ones dated within the range, and the newest one up to its first day.
    """
    root = f"s3://{bucket}/raw/index_portfolio"

    def path(portfolio_date: str) -> str:
        return f"{root}/portfolio_date={portfolio_date}/{INDEX}.parquet"

    dates = [folder.removeprefix("portfolio_date=") for folder in storage.folders(root)]
    before = (path(date) for date in reversed(dates) if date <= first.isoformat())
    newest = itertools.islice(filter(storage.exists, before), 1)
    within = [path(date) for date in dates if first.isoformat() < date <= last.isoformat()]
    there = _in_parallel(storage.exists, within)
    return [*newest, *itertools.compress(within, there)]


def read_raw(
    spark: SparkSession, paths: Iterable[str], root: str, partition_key: str, columns: Mapping[str, str]
) -> DataFrame:
    """Read raw Parquet files of a partitioned table.

    Args:
        spark: The session.
        paths: The files, `<root>/<partition_key>=YYYY-MM-DD/<name>.parquet`.
        root: The table's folder.
        partition_key: The table's partition key, a date.
        columns: The columns to read, and the types that they must have.

    Raises:
        RefineError: A file lacks one of the columns, or has it with another type.
    """
    paths = list(paths)
    schema = ", ".join(f"{name} {kind}" for name, kind in {**columns, partition_key: "date"}.items())
    if not paths:
        return spark.createDataFrame([], schema)

    def check(path: str) -> None:
        found = {field.name: field.dataType.simpleString() for field in spark.read.parquet(path).schema}
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

    # Spark on its own takes the first file's schema for all, and fails in the midst of the others
    _in_parallel(check, paths)
    return spark.read.schema(schema).option("basePath", root).parquet(*paths)


# ---------------------------------------------------------------------------------------------------------
# Catalog
# ---------------------------------------------------------------------------------------------------------
class Catalog:
    """The refined table in the Glue Data Catalog.

    The job owns the table: it creates it, adds columns to it, and keeps its partitions equal to the folders
    of the sessions that it refines. Columns that somebody else added stay.
    """

    def __init__(self, glue: GlueClient, *, database: str, table: str, location: str) -> None:
        """A table that may not exist yet; `location` is its folder, without a slash at the end."""
        self._glue = glue
        self._database = database
        self._table = table
        self._location = location
        self._columns: list[AnyColumn] = []

    def prepare(self) -> None:
        """Create the database and the table where missing, add columns that the table lacks.

        Raises:
            RefineError: The table that is there has another location, other partition keys, or a column of
                another type.
        """
        try:
            table = self._glue.get_table(DatabaseName=self._database, Name=self._table)["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            self._create()
            return
        descriptor = table["StorageDescriptor"]
        existing: list[AnyColumn] = [*descriptor.get("Columns", [])]
        self._require_compatible(existing, table.get("PartitionKeys", []), descriptor.get("Location", ""))
        ours: dict[str, Any] = {column["Name"]: column for column in _glue_columns(COLUMNS)}
        kept: list[Any] = [{**column, **ours.pop(column["Name"], {})} for column in existing]
        self._columns = [*kept, *ours.values()]
        if self._columns != existing:
            # UpdateTable replaces the table: what it is not given is lost
            changed: Any = {key: value for key, value in table.items() if key in _TABLE_INPUT and value}
            changed["StorageDescriptor"] = {**descriptor, "Columns": self._columns}
            self._glue.update_table(DatabaseName=self._database, TableInput=changed)
            _log(f"table {self._database}.{self._table} updated; new columns: {', '.join(ours) or 'none'}")

    def synchronise(self, trade_date: dt.date, folders: Iterable[str]) -> dict[str, int]:
        """Make a session's partitions those of the given folders: first register, then unregister.

        Args:
            trade_date: The session.
            folders: Names of the folders of its tickers, `ticker=<ticker>`, escaped as Hive does it.

        Returns:
            How many partitions were registered, updated and unregistered.

        Raises:
            RefineError: The catalog refused some of them.
        """
        wanted = {
            unquote(folder.removeprefix("ticker=")): f"{self._location}/trade_date={trade_date}/{folder}/"
            for folder in folders
        }
        registered = self._registered(trade_date)
        new: list[PartitionInputTypeDef] = []
        changed: list[PartitionInputTypeDef] = []
        for ticker, location in wanted.items():
            partition: PartitionInputTypeDef = {
                "Values": [trade_date.isoformat(), ticker],
                "StorageDescriptor": self._descriptor(location, self._columns),
            }
            if ticker not in registered:
                new.append(partition)
            elif registered[ticker] != (location, _types(self._columns)):
                changed.append(partition)
        stale = sorted(registered.keys() - wanted.keys())

        table = {"DatabaseName": self._database, "TableName": self._table}
        for batch in _batches(new):
            created = self._glue.batch_create_partition(**table, PartitionInputList=batch)
            # One that is there by now was registered by another run of the same session
            self._require_none(
                [error for error in created.get("Errors", []) if not _already_exists(error)], trade_date
            )
        for batch in _batches(changed):
            entries: Any = [{"PartitionValueList": each["Values"], "PartitionInput": each} for each in batch]
            updated = self._glue.batch_update_partition(**table, Entries=entries)
            self._require_none(updated.get("Errors", []), trade_date)
        _in_parallel(lambda ticker: self._unregister(trade_date, ticker), stale)
        return {"registered": len(new), "updated": len(changed), "unregistered": len(stale)}

    def _create(self) -> None:
        try:
            self._glue.get_database(Name=self._database)
        except self._glue.exceptions.EntityNotFoundException:
            self._glue.create_database(DatabaseInput={"Name": self._database})
        self._columns = _glue_columns(COLUMNS)
        self._glue.create_table(
            DatabaseName=self._database,
            TableInput={
                "Name": self._table,
                "Description": "One row per stock and trading session of B3, over all markets",
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
                "PartitionKeys": _glue_columns(PARTITION_KEYS),
                "StorageDescriptor": self._descriptor(f"{self._location}/", self._columns),
            },
        )
        _log(f"table {self._database}.{self._table} created")

    def _require_compatible(
        self, columns: Iterable[AnyColumn], partition_keys: Iterable[AnyColumn], location: str
    ) -> None:
        there = dict(_types(columns))
        comparisons = (
            ("location", self._location, location.rstrip("/")),
            ("partition keys", _types(_glue_columns(PARTITION_KEYS)), _types(partition_keys)),
            *((f"column {name}", kind, there[name]) for name, kind, _ in COLUMNS if name in there),
        )
        problems = [
            f"{what}: expected {ours}, found {theirs}" for what, ours, theirs in comparisons if ours != theirs
        ]
        if problems:
            raise RefineError(
                f"table {self._database}.{self._table} is not the one that this job writes: "
                f"{'; '.join(problems)}. Nothing was written. Give the job another --refined_table; or drop "
                "the table, which leaves the files, and run the job over every session to register them anew."
            )

    def _registered(self, trade_date: dt.date) -> dict[str, tuple[str, Types]]:
        """Location and columns of each partition of a session, by ticker."""
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database, TableName=self._table, Expression=f"trade_date = '{trade_date}'"
        )
        registered = {}
        for partition in (partition for page in pages for partition in page["Partitions"]):
            session, ticker = partition["Values"]
            # The expression saves time; what may be unregistered is decided by the values themselves
            if session == trade_date.isoformat():
                descriptor = partition.get("StorageDescriptor", {})
                registered[ticker] = descriptor.get("Location", ""), _types(descriptor.get("Columns", []))
        return registered

    def _unregister(self, trade_date: dt.date, ticker: str) -> None:
        # One that is not there was unregistered by another run of the same session
        with suppress(self._glue.exceptions.EntityNotFoundException):
            self._glue.delete_partition(
                DatabaseName=self._database,
                TableName=self._table,
                PartitionValues=[trade_date.isoformat(), ticker],
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

    def _require_none(self, errors: Sequence[Any], trade_date: dt.date) -> None:
        if errors:
            raise RefineError(
                f"{len(errors)} partitions of {trade_date} were not registered in {self._database}."
                f"{self._table}, the first because of {errors[0]}. The files are published: run the job "
                "again for the session."
            )


# What GetTable tells and UpdateTable takes
_TABLE_INPUT = {"Name", "Description", "Owner", "Retention", "PartitionKeys", "TableType", "Parameters"}


def _glue_columns(fields: Iterable[Field]) -> list[AnyColumn]:
    return [{"Name": name, "Type": kind, "Comment": comment} for name, kind, comment in fields]


def _types(columns: Iterable[AnyColumn]) -> Types:
    return [(column["Name"], column.get("Type", "")) for column in columns]


def _already_exists(error: Any) -> bool:
    return bool(error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException")


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _CATALOG_BATCH] for start in range(0, len(items), _CATALOG_BATCH))


# ---------------------------------------------------------------------------------------------------------
# Publish
# ---------------------------------------------------------------------------------------------------------
def stage(rows: DataFrame, folder: str) -> None:
    """Write rows to `<folder>/trade_date=.../ticker=.../`, one file for each pair."""
    keys = [key.name for key in PARTITION_KEYS]
    tasks = rows.sparkSession.sparkContext.defaultParallelism
    (
        rows.repartition(tasks, *keys)
        .sortWithinPartitions(*keys)
        .write.partitionBy(*keys)
        .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        # Staging has no readers: tasks may move their own files there, which the driver would do one by one
        .option("mapreduce.fileoutputcommitter.algorithm.version", "2")
        .parquet(folder)
    )


def publish(storage: Storage, catalog: Catalog, session: Session, staging: str, table: str) -> None:
    """Make the staged files of a session the refined ones, in an order in which a reader never misses a row.

    First the new files go over the old ones, then the catalog follows, and what no longer exists goes last. A
    crash in between leaves each ticker's old or new row; the next run ends what was begun.

    Args:
        storage: Where the files are.
        catalog: The table that they are registered in.
        session: What was staged.
        staging: The folder with the staged session, `trade_date=YYYY-MM-DD` in it.
        table: The table's folder.

    Raises:
        RefineError: Not every ticker has one staged file, or the catalog refused a partition.
    """
    source, target = (f"{root}/trade_date={session.trade_date}" for root in (staging, table))
    staged, published = storage.files(source), storage.files(target)
    folder_of = {file: file.rpartition("/")[0] for file in staged}
    folders = set(folder_of.values())
    if not len(staged) == len(folders) == session.tickers:
        raise RefineError(
            f"{source}: expected one file for each of {session.tickers} tickers, found {len(staged)} files "
            f"in {len(folders)} folders; nothing of {session.trade_date} was published. Run the job again."
        )

    def put(file: str) -> bool:
        name = f"{folder_of[file]}/{FILE_NAME}"
        staged_path, path = f"{source}/{file}", f"{target}/{name}"
        if published.get(name) == staged[file] and storage.same_content(staged_path, path):
            return False
        storage.copy(staged_path, path)
        return True

    written = sum(_in_parallel(put, staged))
    _log(f"{session.trade_date}  {written:,} files written, {len(staged) - written:,} unchanged in {target}")

    changes = catalog.synchronise(session.trade_date, sorted(folders))
    _log(
        f"{session.trade_date}  partitions: "
        + ", ".join(f"{count:,} {what}" for what, count in changes.items())
    )

    current = {f"{folder}/{FILE_NAME}" for folder in folders}
    stale = {
        file if file.partition("/")[0] in folders else file.partition("/")[0]
        for file in published.keys() - current
    }
    _in_parallel(lambda name: storage.delete(f"{target}/{name}"), stale)
    if stale:
        _log(f"{session.trade_date}  deleted, no longer there: {', '.join(sorted(stale))}")


# ---------------------------------------------------------------------------------------------------------
# Run
# ---------------------------------------------------------------------------------------------------------
def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the job's arguments; those that Glue adds of its own are passed over.

    Returns:
        `start_date`, `end_date` (dates, both the session's for `--trade_date`), `raw_bucket`,
        `refined_bucket`, `refined_database`, `refined_table`.
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
    arguments, _ = parser.parse_known_args(argv)
    dates = (
        arguments.trade_date is not None,
        arguments.start_date is not None,
        arguments.end_date is not None,
    )
    if dates not in {(True, False, False), (False, True, True)}:
        parser.error("give either --trade_date, or --start_date and --end_date")
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

    A range is read and reconciled as a whole before the first of its sessions is published; from then on they
    go one after another.

    Raises:
        RefineError: There is nothing to refine, the raw files or the table are not as expected, or the rows
            do not reconcile; see the message.
    """
    arguments = parse_arguments(argv)
    first, last, raw_bucket = arguments.start_date, arguments.end_date, arguments.raw_bucket
    table = f"s3://{arguments.refined_bucket}/refined"
    spark = spark_session()
    storage = Storage(spark)
    catalog = Catalog(
        boto3.client("glue"),
        database=arguments.refined_database,
        table=arguments.refined_table,
        location=table,
    )

    quote_files = find_quotes(storage, raw_bucket, first, last)
    portfolio_files = find_portfolios(storage, raw_bucket, first, last)
    _log(f"reading {_listed([*quote_files.values(), *portfolio_files])}")
    raw = f"s3://{raw_bucket}/raw"
    quotes = read_raw(spark, quote_files.values(), f"{raw}/cotahist", "trade_date", QUOTE_COLUMNS)
    portfolios = read_raw(
        spark, portfolio_files, f"{raw}/index_portfolio", "portfolio_date", PORTFOLIO_COLUMNS
    )

    refined = transform(quotes, portfolios).persist(StorageLevel.MEMORY_AND_DISK)
    sessions = reconcile(quotes, refined)
    without_quotes = sorted(quote_files.keys() - {session.trade_date for session in sessions})
    if without_quotes:
        raise RefineError(
            f"{quote_files[without_quotes[0]]} holds no quotes, expected some; nothing was written"
        )
    catalog.prepare()

    for session in sessions:
        _log(
            f"{session.trade_date}  {session.lines:,} quotes make {session.tickers:,} tickers, "
            f"volume {session.volume:,} BRL"
        )
        with _staging_folder(storage, arguments.refined_bucket) as staging:
            stage(refined.where(F.col("trade_date") == F.lit(session.trade_date)), staging)
            _log(f"{session.trade_date}  staged in {staging}")
            publish(storage, catalog, session, staging, table)
    refined.unpersist()
    _log("done")


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths) if len(paths) <= 3 else f"{len(paths):,} files, {paths[0]} to {paths[-1]}"


_started = time.monotonic()


def _log(message: str) -> None:
    """Print a line, which Glue puts into CloudWatch, with the seconds since the job's start."""
    print(f"{time.monotonic() - _started:6.1f} s  {message}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
