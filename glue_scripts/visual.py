"""The refine job as a Glue Studio graph: the boxes that stand for `refine.py` when the job is visual.

The graph is data: `build_nodes` returns the `CodeGenConfigurationNodes` of Glue's CreateJob, from which Glue
generates the script that it runs and Glue Studio draws the picture. It takes the same job arguments as the
script and makes the same rows, which tests hold the two to.

What a graph gives up against the script, which publishes file by file:

- The target only appends, so the sessions' folders are cleared before it writes. In between, readers find no
  rows of those sessions, and a run that dies there leaves none until it is run again. What can be checked is
  checked before anything is cleared: there are quotes, the rows add up to them, the table lies where it
  should.
- A source reads its whole folder, so every run reads every raw session: DynamicFrames from S3 take no
  predicate, and Glue's own do not know the partition projection of the raw tables.
- Raw types are cast to what they should be, not compared with it. A session that has a daily and a backfill
  file, as for a moment while the writer replaces one by the other, counts twice.
- The table is made by Glue's sink: it has no comments, and its files have names of Spark's.

The code of the CustomCode nodes is that of `choose_sessions` and `clear_sessions` below: Glue gets their
bodies, and puts them into a script that imports what they use without importing it.
"""

# ruff: noqa: PLC0415 - a body that becomes a node's code brings its imports along
# ruff: noqa: S608 - the queries are made of this file's constants alone
from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awsglue.context import GlueContext
    from awsglue.dynamicframe import DynamicFrame, DynamicFrameCollection
    from awsglue.utils import getResolvedOptions

Columns = dict[str, str]  # Glue types by name, in order
Node = dict[str, Any]

# ---------------------------------------------------------------------------------------------------------
# Columns, as they flow through the graph
# ---------------------------------------------------------------------------------------------------------
# What the job reads of the raw files. Their partition key is a text, as every key that is part of a path
_RAW_PRICES = ("preabe", "premax", "premin", "premed", "preult", "preofc", "preofv")
QUOTES: Columns = {
    "trade_date": "date",
    "codneg": "string",
    "tpmerc": "string",
    "nomres": "string",
    "especi": "string",
    **dict.fromkeys(_RAW_PRICES, "decimal(13,2)"),
    "totneg": "bigint",
    "quatot": "bigint",
    "voltot": "decimal(18,2)",
    "datven": "date",
    "fatcot": "bigint",
    "codisi": "string",
}
PORTFOLIOS: Columns = {
    "portfolio_date": "date",
    "index_code": "string",
    "ticker": "string",
    "sector": "string",
    "weight": "decimal(9,3)",
}

_MARKETS = {"cash": "010", "odd_lot": "020", "forward": "030", "call": "070", "put": "080"}  # TPMERC
_VOLUMES = (*(f"{market}_volume" for market in _MARKETS), "other_volume")

# Prices for one unit. Division by a bigint keeps 23 decimals: the last step rounds, once
_UNIT_PRICED: Columns = {
    name: kind for name, kind in QUOTES.items() if name not in {*_RAW_PRICES, "fatcot", "codisi"}
} | {"isin": "string", **dict.fromkeys(_RAW_PRICES, "decimal(34,23)")}
_NAMED: Columns = {**_UNIT_PRICED, "ticker": "string", "position": "int"}
_SPLIT: Columns = {
    "trade_date": "date",
    "ticker": "string",
    "totneg": "bigint",
    "quatot": "bigint",
    "voltot": "decimal(18,2)",
    **dict.fromkeys(_VOLUMES, "decimal(18,2)"),
    "series": "string",
    "expiry": "date",
    "line": "int",
}
_SUMS: Columns = {
    "summed_date": "date",
    "summed_ticker": "string",
    "trades": "bigint",
    "quantity": "bigint",
    "volume": "decimal(28,2)",
    **dict.fromkeys(_VOLUMES, "decimal(28,2)"),
    "option_series": "bigint",
    "next_expiry": "date",
    "lines": "bigint",
}
_IN_FORCE: Columns = {"session": "date", "portfolio_date": "date"}
_MEMBERS: Columns = {
    "composition_date": "date",
    "member": "string",
    "index_weight": "decimal(9,3)",
    "sector": "string",
}
_JOINED: Columns = {
    **{{"preult": "close", "premed": "average_price"}.get(name, name): kind for name, kind in _NAMED.items()},
    **_SUMS,
    **_IN_FORCE,
    **_MEMBERS,
}
_DATED: Columns = {**_JOINED, "days_to_expiry": "int", "portfolio_age_days": "int"}

# The refined table: each column, its type, and the expression that makes it of the joined columns
_REFINED = {
    "isin": ("string", "isin"),
    "company": ("string", "nomres"),
    "share_class": ("string", "especi"),
    "open": ("decimal(18,6)", "preabe"),
    "high": ("decimal(18,6)", "premax"),
    "low": ("decimal(18,6)", "premin"),
    "close": ("decimal(18,6)", "close"),
    "average_price": ("decimal(18,6)", "average_price"),
    "best_bid": ("decimal(18,6)", "preofc"),
    "best_ask": ("decimal(18,6)", "preofv"),
    "trades": ("bigint", "trades"),
    "quantity": ("bigint", "quantity"),
    "volume": ("decimal(24,2)", "volume"),
    **{name: ("decimal(24,2)", name) for name in _VOLUMES},
    "option_series": ("int", "option_series"),
    # In double: a quotient of two decimals this wide would keep too few of its digits
    "put_call_ratio": (
        "double",
        "CASE WHEN call_volume <> 0 THEN CAST(put_volume AS DOUBLE) / CAST(call_volume AS DOUBLE) END",
    ),
    "next_expiry": ("date", "next_expiry"),
    "days_to_expiry": ("int", "days_to_expiry"),
    "lines": ("int", "lines"),
    "index_weight": ("decimal(9,3)", "index_weight"),
    "sector": ("string", "sector"),
    "portfolio_date": ("date", "portfolio_date"),
    "portfolio_age_days": ("int", "portfolio_age_days"),
    "trade_date": ("date", "trade_date"),
    "ticker": ("string", "ticker"),
}
PARTITION_KEYS = ("trade_date", "ticker")

# ---------------------------------------------------------------------------------------------------------
# Spark SQL
# ---------------------------------------------------------------------------------------------------------
_CASH, _ODD_LOT, _FORWARD, _CALL, _PUT = _MARKETS.values()
_NEXT = ",\n  "  # between two columns of a query

# Prices are the cash line's alone, for one unit; B3 writes 0 where there was no bid or no ask
_PRICE_PER_UNIT = f"""
SELECT
  trade_date, codneg, tpmerc, nomres, especi, totneg, quatot, voltot, datven,
  NULLIF(TRIM(codisi), '') AS isin,
  CASE WHEN tpmerc = '{_CASH}' THEN preabe / NULLIF(fatcot, 0) END AS preabe,
  CASE WHEN tpmerc = '{_CASH}' THEN premax / NULLIF(fatcot, 0) END AS premax,
  CASE WHEN tpmerc = '{_CASH}' THEN premin / NULLIF(fatcot, 0) END AS premin,
  CASE WHEN tpmerc = '{_CASH}' THEN premed / NULLIF(fatcot, 0) END AS premed,
  CASE WHEN tpmerc = '{_CASH}' THEN preult / NULLIF(fatcot, 0) END AS preult,
  CASE WHEN tpmerc = '{_CASH}' AND preofc <> 0 THEN preofc / NULLIF(fatcot, 0) END AS preofc,
  CASE WHEN tpmerc = '{_CASH}' AND preofv <> 0 THEN preofv / NULLIF(fatcot, 0) END AS preofv
FROM quotes
"""

# A stock is what shares an ISIN in a session; lines without an ISIN are a stock for each name. Stocks that
# come by the same name share a row. Whatever the row takes from its first line is in the second order, so
# that no tie is left to chance
_NAME_STOCKS = f"""
WITH ranked AS (
  SELECT
    *,
    CASE tpmerc WHEN '{_CASH}' THEN 0 WHEN '{_ODD_LOT}' THEN 1 ELSE 2 END AS rank,
    CASE tpmerc
      WHEN '{_CASH}' THEN codneg
      WHEN '{_ODD_LOT}' THEN REGEXP_REPLACE(codneg, 'F$', '')
      ELSE RTRIM(SUBSTRING(codneg, 1, 4))
    END AS name
  FROM lines
),
named AS (
  SELECT
    *,
    FIRST_VALUE(name) OVER (
      PARTITION BY trade_date, isin, CASE WHEN isin IS NULL THEN name END
      ORDER BY rank, -voltot, codneg, name
    ) AS ticker
  FROM ranked
)
SELECT
  {", ".join(_UNIT_PRICED)},
  ticker,
  ROW_NUMBER() OVER (
    PARTITION BY trade_date, ticker
    ORDER BY rank, -voltot, codneg, name, isin, nomres, especi,
      preabe, premax, premin, preult, premed, preofc, preofv
  ) AS position
FROM named
"""

_SPLIT_VOLUMES = f"""
SELECT
  trade_date, ticker, totneg, quatot, voltot,
  CASE WHEN tpmerc = '{_CASH}' THEN voltot ELSE 0 END AS cash_volume,
  CASE WHEN tpmerc = '{_ODD_LOT}' THEN voltot ELSE 0 END AS odd_lot_volume,
  CASE WHEN tpmerc = '{_FORWARD}' THEN voltot ELSE 0 END AS forward_volume,
  CASE WHEN tpmerc = '{_CALL}' THEN voltot ELSE 0 END AS call_volume,
  CASE WHEN tpmerc = '{_PUT}' THEN voltot ELSE 0 END AS put_volume,
  CASE WHEN tpmerc NOT IN {tuple(_MARKETS.values())} THEN voltot ELSE 0 END AS other_volume,
  CASE WHEN tpmerc IN ('{_CALL}', '{_PUT}') THEN codneg END AS series,
  CASE WHEN tpmerc IN ('{_CALL}', '{_PUT}') THEN datven END AS expiry,
  1 AS line
FROM lines
"""

_NAME_SUMS = f"""
SELECT
  trade_date AS summed_date,
  ticker AS summed_ticker,
  `sum(totneg)` AS trades,
  `sum(quatot)` AS quantity,
  `sum(voltot)` AS volume,
  {_NEXT.join(f"`sum({volume})` AS {volume}" for volume in _VOLUMES)},
  `count(DISTINCT series)` AS option_series,
  `min(expiry)` AS next_expiry,
  `count(line)` AS lines
FROM sums
"""

_FIND_PORTFOLIOS = """
SELECT sessions.trade_date AS session, MAX(portfolios.portfolio_date) AS portfolio_date
FROM (SELECT DISTINCT trade_date FROM quotes) AS sessions
LEFT JOIN portfolios ON portfolios.portfolio_date <= sessions.trade_date
GROUP BY sessions.trade_date
"""

_LIST_MEMBERS = """
SELECT portfolio_date AS composition_date, ticker AS member, weight AS index_weight, sector
FROM portfolios
"""

_CALCULATE_DATES = """
SELECT
  *,
  DATEDIFF(next_expiry, trade_date) AS days_to_expiry,
  DATEDIFF(trade_date, portfolio_date) AS portfolio_age_days
FROM stocks
"""

# Spread by its keys, a partition of the table is one task's, and so one file; the tasks are as many as two
# G.1X workers have cores. Spark left to itself would have a single task put a thousand files, one by one
_SHAPE = f"""
SELECT /*+ REPARTITION(8, {", ".join(PARTITION_KEYS)}) */
  {_NEXT.join(f"CAST({what} AS {kind.upper()}) AS {name}" for name, (kind, what) in _REFINED.items())}
FROM stocks
SORT BY {", ".join(PARTITION_KEYS)}
"""


# ---------------------------------------------------------------------------------------------------------
# Custom code
# ---------------------------------------------------------------------------------------------------------
def choose_sessions(
    glueContext: GlueContext,  # noqa: N803 - Glue's name
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """From the raw quotes and portfolios, the quotes of the run's sessions, and every portfolio; typed.

    Raises:
        ValueError: The job's arguments name no session, there are no raw quotes of the sessions that they
            name, or the raw files lack columns.
    """
    from datetime import date

    from pyspark.sql import functions as F  # noqa: N812

    given = [name for name in ("trade_date", "start_date", "end_date") if f"--{name}" in sys.argv]
    if given not in (["trade_date"], ["start_date", "end_date"]):
        raise ValueError(f"give either --trade_date, or --start_date and --end_date; found {given}")
    options = getResolvedOptions(sys.argv, given)
    first, last = date.fromisoformat(options[given[0]]), date.fromisoformat(options[given[-1]])
    if first > last:
        raise ValueError(f"--start_date {first} is after --end_date {last}")

    spark = glueContext.spark_session
    # An overflow is an error, where Spark's default is a null
    spark.conf.set("spark.sql.ansi.enabled", "true")

    schemas = {"quotes": QUOTES, "portfolios": PORTFOLIOS}
    frames = {
        name: spark.createDataFrame([], ", ".join(" ".join(column) for column in columns.items()))
        for name, columns in schemas.items()
    }
    for key in list(dfc.keys()):
        frame = dfc.select(key).toDF()
        if not frame.columns:  # what Glue makes of a folder without files
            continue
        name = "quotes" if "codneg" in frame.columns else "portfolios"
        missing = [column for column in schemas[name] if column not in frame.columns]
        if missing:
            raise ValueError(f"raw {name} lack the columns {missing}; found {frame.columns}")
        frames[name] = frame.select([F.col(column).cast(kind) for column, kind in schemas[name].items()])

    # Kept, since every branch of the graph would read the whole folder again
    frames["quotes"] = frames["quotes"].where(F.col("trade_date").between(first, last)).persist()
    if frames["quotes"].isEmpty():
        raise ValueError(
            f"no raw quotes of {first} to {last}: ingest the sessions first; "
            "if B3 was closed on those days, there is nothing to refine"
        )
    return DynamicFrameCollection(
        {name: DynamicFrame.fromDF(frame, glueContext, name) for name, frame in frames.items()}, glueContext
    )


def clear_sessions(
    glueContext: GlueContext,  # noqa: N803 - Glue's name
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """Make room for the refined rows, once they reconcile with the quotes of the sessions.

    The sessions' files are purged, and the partitions of tickers that are gone are unregistered, which no
    target does. The database is created where it is missing: the target creates a table only.

    Raises:
        RuntimeError: The rows do not add up to the quotes, or the table lies elsewhere. Nothing was cleared.
    """
    import boto3
    from pyspark.sql import functions as F  # noqa: N812

    options = getResolvedOptions(sys.argv, ["refined_bucket", "refined_database", "refined_table"])
    folder = f"s3://{options['refined_bucket']}/refined"
    database, table = options["refined_database"], options["refined_table"]
    frames = [dfc.select(key).toDF() for key in list(dfc.keys())]
    quotes, rows = sorted(frames, key=lambda frame: "codneg" not in frame.columns)
    rows = rows.persist()  # what is checked is what is written

    raw = quotes.groupBy("trade_date").agg(F.sum("voltot"), F.count("*"))
    expected = {str(session): (volume, lines) for session, volume, lines in raw.collect()}
    name = F.when(F.col("ticker") != "", F.col("ticker"))
    refined = rows.groupBy("trade_date").agg(
        F.sum("volume"), F.sum("lines"), F.count("*"), F.collect_set(name)
    )
    found, tickers = {}, {}
    for session, volume, lines, count, names in refined.collect():
        found[str(session)], tickers[str(session)] = (volume, lines), set(names)
        if len(names) != count:
            raise RuntimeError(
                f"{session}: expected {count} rows with a ticker of their own, found {len(names)}; "
                "nothing was written"
            )
    if found != expected:
        raise RuntimeError(
            "the refined rows do not reconcile with the raw quotes, so nothing was written: "
            f"expected volume and lines {expected}, found {found}"
        )

    glue = boto3.client("glue")
    try:
        glue.get_database(Name=database)
    except glue.exceptions.EntityNotFoundException:
        glue.create_database(DatabaseInput={"Name": database})
    try:
        location = glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]["Location"]
    except glue.exceptions.EntityNotFoundException:
        location = None
    if location and location.rstrip("/") != folder:
        raise RuntimeError(
            f"table {database}.{table} lies in {location}, expected {folder}; nothing was written. "
            "Give the job another --refined_table, or drop the table, which leaves its files"
        )
    for session, current in tickers.items():
        partitions = []
        if location:
            partitions = [
                partition
                for page in glue.get_paginator("get_partitions").paginate(
                    DatabaseName=database, TableName=table, Expression=f"trade_date = '{session}'"
                )
                for partition in page["Partitions"]
            ]
        for values in (partition["Values"] for partition in partitions):
            if values[0] == session and values[1] not in current:
                glue.delete_partition(DatabaseName=database, TableName=table, PartitionValues=values)
        # Without a retention period of 0, files younger than 168 hours stay
        glueContext.purge_s3_path(f"{folder}/trade_date={session}/", {"retentionPeriod": 0})
    return DynamicFrameCollection({"rows": DynamicFrame.fromDF(rows, glueContext, "rows")}, glueContext)


# ---------------------------------------------------------------------------------------------------------
# Graph
# ---------------------------------------------------------------------------------------------------------
def build_nodes(
    *, raw_bucket: str, refined_bucket: str, refined_database: str, refined_table: str
) -> dict[str, Node]:
    """The graph, as the `CodeGenConfigurationNodes` of Glue's CreateJob and UpdateJob.

    The arguments may be CloudFormation tokens: they stand in paths and names, and nothing is made of them.

    Args:
        raw_bucket: Name of the bucket with the quotes and portfolios.
        refined_bucket: Name of the bucket with the folder `refined`.
        refined_database: Database of the refined table.
        refined_table: Name of the refined table.

    Returns:
        The nodes by id: each a dictionary of one entry, the node's type and its properties. Ids are of the
        form `node-<word>`; the names are what Glue Studio writes on the boxes.
    """
    raw = f"s3://{raw_bucket}/raw"
    keys = ("trade_date", "ticker")
    return {
        "node-rawquotes": _parquet("Raw quotes", f"{raw}/cotahist/", {**QUOTES, "trade_date": "string"}),
        "node-rawportfolios": _parquet(
            "Raw index portfolios", f"{raw}/index_portfolio/", {**PORTFOLIOS, "portfolio_date": "string"}
        ),
        "node-choose": _custom_code(
            "Choose the sessions of the run",
            choose_sessions,
            ("node-rawquotes", "node-rawportfolios"),
            QUOTES,
            PORTFOLIOS,
            constants={"QUOTES": QUOTES, "PORTFOLIOS": PORTFOLIOS},
        ),
        "node-quotes": _select("Quotes of the sessions", "node-choose", 0),
        "node-portfolios": _select("Portfolios", "node-choose", 1),
        "node-ibov": _filter("Keep the IBOV", "node-portfolios", "index_code", "REGEX", "^IBOV$"),
        # Lines
        "node-unit": _sql(
            "Divide prices by their factor", _PRICE_PER_UNIT, _UNIT_PRICED, quotes="node-quotes"
        ),
        "node-stocks": _sql("Name the stock of each line", _NAME_STOCKS, _NAMED, lines="node-unit"),
        "node-naming": _filter("Keep the line that names the stock", "node-stocks", "position", "EQ", "1"),
        "node-close": _rename("Rename preult to close", "node-naming", "preult", "close"),
        "node-average": _rename("Rename premed to average_price", "node-close", "premed", "average_price"),
        # Sums
        "node-split": _sql("Split volume by market", _SPLIT_VOLUMES, _SPLIT, lines="node-stocks"),
        "node-sum": _aggregate(
            "Sum by session and ticker",
            "node-split",
            keys,
            *[(name, "sum") for name in ("totneg", "quatot", "voltot", *_VOLUMES)],
            ("series", "countDistinct"),
            ("expiry", "min"),
            ("line", "count"),
        ),
        "node-sums": _sql("Name the sums", _NAME_SUMS, _SUMS, sums="node-sum"),
        "node-withsums": _join(
            "Join the sums", ("node-average", keys), ("node-sums", ("summed_date", "summed_ticker"))
        ),
        # Portfolio
        "node-inforce": _sql(
            "Find the newest portfolio up to each session",
            _FIND_PORTFOLIOS,
            _IN_FORCE,
            quotes="node-quotes",
            portfolios="node-ibov",
        ),
        "node-members": _sql(
            "List the members of portfolios", _LIST_MEMBERS, _MEMBERS, portfolios="node-ibov"
        ),
        "node-withportfolio": _join(
            "Join the portfolio in force", ("node-withsums", ("trade_date",)), ("node-inforce", ("session",))
        ),
        "node-withweights": _join(
            "Join index weight and sector",
            ("node-withportfolio", ("portfolio_date", "ticker")),
            ("node-members", ("composition_date", "member")),
        ),
        # Table
        "node-dates": _sql(
            "Calculate days to expiry and portfolio age", _CALCULATE_DATES, _DATED, stocks="node-withweights"
        ),
        "node-refined": _sql(
            "Shape the refined table",
            _SHAPE,
            {name: kind for name, (kind, _) in _REFINED.items()},
            stocks="node-dates",
        ),
        "node-clear": _custom_code(
            "Clear the folders of the sessions",
            clear_sessions,
            ("node-refined", "node-quotes"),
            {name: kind for name, (kind, _) in _REFINED.items()},
        ),
        "node-rows": _select("Rows to write", "node-clear", 0),
        "node-target": {
            "S3GlueParquetTarget": {
                "Name": "Refined table by date and ticker",
                "Inputs": ["node-rows"],
                "PartitionKeys": [[key] for key in PARTITION_KEYS],
                "Path": f"s3://{refined_bucket}/refined/",
                "Compression": "snappy",
                "SchemaChangePolicy": {
                    "EnableUpdateCatalog": True,
                    "UpdateBehavior": "UPDATE_IN_DATABASE",
                    "Table": refined_table,
                    "Database": refined_database,
                },
            }
        },
    }


def _parquet(name: str, path: str, columns: Columns) -> Node:
    return {
        "S3ParquetSource": {
            "Name": name,
            "Paths": [path],
            "Recurse": True,
            "OutputSchemas": [_schema(columns)],
        }
    }


def _custom_code(
    name: str,
    function: Callable[..., Any],
    inputs: Sequence[str],
    *outputs: Columns,
    constants: Mapping[str, object] | None = None,
) -> Node:
    """A node whose code is a function's body, after the constants that it uses."""
    body = textwrap.dedent(inspect.getsource(function).partition('"""\n')[2])
    prelude = "".join(f"{constant} = {value!r}\n" for constant, value in (constants or {}).items())
    return {
        "CustomCode": {
            "Name": name,
            "Inputs": list(inputs),
            "ClassName": function.__name__,
            "Code": prelude + body,
            "OutputSchemas": [_schema(columns) for columns in outputs],
        }
    }


def _select(name: str, source: str, index: int) -> Node:
    """One frame of those that a CustomCode node makes."""
    return {"SelectFromCollection": {"Name": name, "Inputs": [source], "Index": index}}


def _filter(name: str, source: str, column: str, operation: str, value: str) -> Node:
    return {
        "Filter": {
            "Name": name,
            "Inputs": [source],
            "LogicalOperator": "AND",
            "Filters": [
                {
                    "Operation": operation,
                    "Negated": False,
                    "Values": [
                        {"Type": "COLUMNEXTRACTED", "Value": [column]},
                        {"Type": "CONSTANT", "Value": [value]},
                    ],
                }
            ],
        }
    }


def _rename(name: str, source: str, old: str, new: str) -> Node:
    return {"RenameField": {"Name": name, "Inputs": [source], "SourcePath": [old], "TargetPath": [new]}}


def _aggregate(name: str, source: str, groups: Sequence[str], *aggregates: tuple[str, str]) -> Node:
    return {
        "Aggregate": {
            "Name": name,
            "Inputs": [source],
            "Groups": [[group] for group in groups],
            "Aggs": [{"Column": [column], "AggFunc": function} for column, function in aggregates],
        }
    }


def _join(name: str, left: tuple[str, Sequence[str]], right: tuple[str, Sequence[str]]) -> Node:
    """Every row of the left side. No column may be on both sides: Glue would keep the two under one name."""
    return {
        "Join": {
            "Name": name,
            "Inputs": [left[0], right[0]],
            "JoinType": "left",
            "Columns": [{"From": source, "Keys": [[key] for key in keys]} for source, keys in (left, right)],
        }
    }


def _sql(name: str, query: str, columns: Columns, **inputs: str) -> Node:
    """A query of its inputs, each under its alias."""
    return {
        "SparkSQL": {
            "Name": name,
            "Inputs": list(inputs.values()),
            "SqlQuery": query.strip(),
            "SqlAliases": [{"From": source, "Alias": alias} for alias, source in inputs.items()],
            "OutputSchemas": [_schema(columns)],
        }
    }


def _schema(columns: Columns) -> Node:
    return {"Columns": [{"Name": name, "Type": kind} for name, kind in columns.items()]}
