"""The refine job as a Glue Studio graph: the boxes that stand for `refine.py` when the job is visual.

The graph is data: `build_nodes` returns the `CodeGenConfigurationNodes` of Glue's CreateJob, from which Glue
generates the script that it runs and Glue Studio draws the picture. It takes the same job arguments as the
script and makes the same rows, which tests hold the two to.

What a graph gives up against the script, which publishes file by file:

- The targets only append, so the sessions' folders are cleared before they write. In between, readers find no
  rows of those sessions, and a run that dies there leaves none until it is run again. What can be checked is
  checked before anything is cleared: there are quotes, the rows add up to them, the tables are where and what
  they should be.
- A source reads its whole folder, so every run reads every raw session: DynamicFrames from S3 take no
  predicate, and Glue's own do not know the partition projection of the raw tables.
- Events and factors of corporate actions, and the members of indices, are made before the sessions are
  published, as no node comes after a target; a run that dies in between leaves those of rows that are not
  there yet.
- Raw types are cast to what they should be, not compared with it. A session that has a daily and a backfill
  file, as for a moment while the writer replaces one by the other, counts twice.
- The files that it makes have names of Spark's.

Both tables are made, and kept as they should be, before Glue's targets write to them, so that the targets
have nothing to do in the catalog but to register partitions (update behavior LOG). A target could make a
table itself, but without the index that Athena needs for many partitions; and under UPDATE_IN_DATABASE it
puts the columns of whatever it is given over the table's, perhaps those of a frame without rows too, which is
what the wide target is given under `--compact_only true`.

The code of the CustomCode nodes is that of the functions below: Glue gets their bodies, and puts them into a
script that imports what they use without importing it.
"""

# ruff: noqa: PLC0415 - a body that becomes a node's code brings its imports along
# ruff: noqa: S608 - the queries are made of this file's constants alone
from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lake.keys import COMPACT_FOLDER, WIDE_FOLDER
from refinement import expressions
from refinement.columns import COMPACT_SUFFIX, INDEX, PORTFOLIO_COLUMNS, QUOTE_COLUMNS

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
QUOTES: Columns = {"trade_date": "date", **QUOTE_COLUMNS}
PORTFOLIOS: Columns = {"portfolio_date": "date", **PORTFOLIO_COLUMNS}

_VOLUMES = (*(f"{market}_volume" for market in expressions.MARKETS), "other_volume")

# Prices for one unit. Division by a bigint keeps 23 decimals: the last step rounds, once
_UNIT_PRICED: Columns = {
    name: kind for name, kind in QUOTES.items() if name not in {*_RAW_PRICES, "fatcot", "codisi", "dismes"}
} | {"isin": "string", **dict.fromkeys(_RAW_PRICES, "decimal(34,23)"), "dismes": "bigint"}
_TYPED: Columns = {**_UNIT_PRICED, "security_type": "string"}
_COUNTED: Columns = {**_TYPED, "is_doubtful": "boolean"}
_NAMED: Columns = {**_COUNTED, "ticker": "string", "position": "int"}
_SPLIT: Columns = {
    "trade_date": "date",
    "ticker": "string",
    "totneg": "bigint",
    "doubtful": "int",
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
    "put_call_ratio": ("double", expressions.PUT_CALL_RATIO),
    "next_expiry": ("date", "next_expiry"),
    "days_to_expiry": ("int", "days_to_expiry"),
    "lines": ("int", "lines"),
    "index_weight": ("decimal(9,3)", "index_weight"),
    "sector": ("string", "sector"),
    "portfolio_date": ("date", "portfolio_date"),
    "portfolio_age_days": ("int", "portfolio_age_days"),
    "security_type": ("string", "security_type"),
    "bulletin_code": ("string", "codbdi"),
    "currency": ("string", expressions.CURRENCY),
    "distribution_number": ("int", "dismes"),
    "trade_date": ("date", "trade_date"),
    "ticker": ("string", "ticker"),
}
_ROWS: Columns = {name: kind for name, (kind, _) in _REFINED.items()}
PARTITION_KEYS = ("trade_date", "ticker")

# The two tables of the same columns: folder and partition keys, by what is added to the refined table's name
TABLES = {"": (WIDE_FOLDER, list(PARTITION_KEYS)), COMPACT_SUFFIX: (COMPACT_FOLDER, ["trade_date"])}
_COMPACT: Columns = {name: _ROWS[name] for name in ("ticker", *_ROWS)}  # ends with the key, as the other

# ---------------------------------------------------------------------------------------------------------
# Spark SQL
# ---------------------------------------------------------------------------------------------------------
_NEXT = ",\n  "  # between two columns of a query


def _as(columns: Mapping[str, str]) -> str:
    """Columns of a query, by their names."""
    return _NEXT.join(f"{what} AS {name}" for name, what in columns.items())


# Prices are the cash line's alone, for one unit
_PRICES = {
    **{name: expressions.price(name) for name in _RAW_PRICES[:5]},
    **{name: expressions.quotation(name) for name in _RAW_PRICES[5:]},
}
_PRICE_PER_UNIT = f"""
SELECT
  trade_date, codbdi, codneg, tpmerc, nomres, especi, totneg, quatot, voltot, datven,
  {_as({"isin": expressions.ISIN, **_PRICES, "dismes": expressions.DISTRIBUTION_NUMBER})}
FROM quotes
"""

_TELL_TYPES = f"""
SELECT
  *,
  {expressions.security_type("codbdi", "especi", "nomres", "isin")} AS security_type
FROM lines
"""

_IS_JUDGED = expressions.is_judged("security_type")
_DOUBT_TRADES = f"""
WITH judged AS (
  SELECT
    trade_date, tpmerc,
    CAST(voltot AS DOUBLE) / totneg AS size,
    ROW_NUMBER() OVER (PARTITION BY trade_date, tpmerc ORDER BY voltot DESC, totneg DESC) AS place
  FROM lines
  WHERE {_IS_JUDGED} AND totneg <> 0
),
usual AS (
  SELECT trade_date AS of_date, tpmerc AS of_market, MEDIAN(size) AS size
  FROM judged
  WHERE place <= {expressions.PEERS}
  GROUP BY trade_date, tpmerc
  HAVING COUNT(*) = {expressions.PEERS}
)
SELECT
  {", ".join(_TYPED)},
  {expressions.is_doubtful(_IS_JUDGED, "usual.size")} AS is_doubtful
FROM lines
LEFT JOIN usual ON of_date = trade_date AND of_market = tpmerc
"""

# A stock is what shares an ISIN in a session; lines without an ISIN are a stock for each name. It goes by its
# cash line's name, else its odd lot's or another market's, less the market's suffix; else by the four letters
# of its options, and the number of its class where another ISIN goes by the same. Stocks that come by one
# name all the same share a row. Whatever the row takes from its first line is in the order, so that no tie is
# left to chance
_NAME_STOCKS = f"""
WITH ranked AS (
  SELECT
    *,
    {_as({"rank": expressions.RANK, "name": expressions.NAME})}
  FROM lines
),
named AS (
  SELECT
    *,
    FIRST_VALUE(name) OVER stock AS first_name,
    FIRST_VALUE(rank) OVER stock AS first_rank,
    FIRST_VALUE(especi) OVER stock AS first_especi
  FROM ranked
  WINDOW stock AS (
    PARTITION BY trade_date, isin, CASE WHEN isin IS NULL THEN name END
    ORDER BY rank, -voltot, name, nomres, especi
  )
),
told_apart AS (
  SELECT
    *,
    CASE
      WHEN first_rank = 3 AND MIN(isin) OVER namesakes <> MAX(isin) OVER namesakes THEN CONCAT(
        first_name,
        {expressions.class_number("first_especi")}
      )
      ELSE first_name
    END AS ticker
  FROM named
  WINDOW namesakes AS (PARTITION BY trade_date, first_name)
)
SELECT
  {", ".join(_COUNTED)},
  ticker,
  ROW_NUMBER() OVER (
    PARTITION BY trade_date, ticker
    ORDER BY rank, -voltot, name, isin, nomres, especi, codbdi,
      preabe, premax, premin, preult, premed, preofc, preofv, dismes
  ) AS position
FROM told_apart
"""

_SPLIT_VOLUMES = f"""
SELECT
  trade_date, ticker, totneg, CASE WHEN is_doubtful THEN 1 ELSE 0 END AS doubtful, quatot, voltot,
  {_as({name: expressions.volume(name.removesuffix("_volume")) for name in _VOLUMES})},
  CASE WHEN {expressions.IS_OPTION} THEN codneg END AS series,
  CASE WHEN {expressions.IS_OPTION} THEN datven END AS expiry,
  1 AS line
FROM lines
"""

_NAME_SUMS = f"""
SELECT
  trade_date AS summed_date,
  ticker AS summed_ticker,
  CASE WHEN `max(doubtful)` = 0 THEN `sum(totneg)` END AS trades,
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

# A session is one task's, and so one file, which a reader of one ticker leaves after a page or two
_SHAPE_COMPACT = f"""
SELECT /*+ REPARTITION(8, trade_date) */
  {", ".join(_COMPACT)}
FROM stocks
SORT BY trade_date, ticker
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
        ValueError: The job's arguments name no session or make no sense otherwise, there are no raw quotes
            of the sessions that they name, or the raw files lack columns.
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
    if "--compact_only" in sys.argv:
        compact_only = getResolvedOptions(sys.argv, ["compact_only"])["compact_only"]
        if compact_only not in ("true", "false"):
            raise ValueError(f"--compact_only is {compact_only!r}, expected true or false")

    spark = glueContext.spark_session
    # An overflow is an error, where Spark's default is a null
    spark.conf.set("spark.sql.ansi.enabled", "true")

    schemas = {"quotes": QUOTES, "portfolios": PORTFOLIOS}
    frames = {
        name: spark.range(0)
        .where("false")
        .select([F.lit(None).cast(kind).alias(c) for c, kind in columns.items()])
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


def reconcile(
    glueContext: GlueContext,  # noqa: N803 - Glue's name
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """From the refined rows and the quotes of the sessions, the rows, if they add up to the quotes.

    Raises:
        RuntimeError: They do not, or a session has a ticker twice or a row without one. By the words with
            which the message begins, the alarm knows it from other failures.
    """
    from pyspark.sql import functions as F  # noqa: N812

    frames = [dfc.select(key).toDF() for key in list(dfc.keys())]
    quotes, rows = sorted(frames, key=lambda frame: "codneg" not in frame.columns)
    rows = rows.persist()  # what is checked is what is written

    raw = quotes.groupBy("trade_date").agg(F.sum("voltot"), F.count("*"))
    expected = {str(session): (volume, lines) for session, volume, lines in raw.collect()}
    ticker = F.when(F.col("ticker") != "", F.col("ticker"))
    refined = rows.groupBy("trade_date").agg(
        F.sum("volume"), F.sum("lines"), F.count("*"), F.count_distinct(ticker)
    )
    found = {}
    for session, volume, lines, count, tickers in refined.collect():
        found[str(session)] = (volume, lines)
        if tickers != count:
            raise RuntimeError(
                f"invariant broken: {session}: expected {count} rows with a ticker of their own, found "
                f"{tickers}; nothing was written"
            )
    if found != expected:
        raise RuntimeError(
            "invariant broken: the refined rows do not reconcile with the raw quotes, so nothing was "
            f"written: expected volume and lines {expected}, found {found}"
        )
    return DynamicFrameCollection({"rows": DynamicFrame.fromDF(rows, glueContext, "rows")}, glueContext)


def prepare_tables(
    glueContext: GlueContext,  # noqa: N803, ARG001 - Glue's name, and Glue's signature
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """Pass the rows on once both tables are there as the targets need them.

    The job's packages do it, as the script does. An index that Glue is still making takes new partitions all
    the same ("Creating partition indexes" in its guide).

    Raises:
        RefineError: A table is not the job's. No table was changed.
    """
    import boto3

    from refinement.catalog import Catalog, compact_table, wide_table

    options = getResolvedOptions(
        sys.argv, ["refined_bucket", "refined_database", "refined_table", "index_codes"]
    )
    name, bucket = options["refined_table"], options["refined_bucket"]
    index = options["index_codes"].partition(",")[0]
    glue = boto3.client("glue")
    catalogs = [
        Catalog(glue, database=options["refined_database"], table=table)
        for table in (wide_table(name, bucket, index=index), compact_table(name, bucket, index))
    ]
    for catalog in catalogs:
        catalog.check()
    for catalog in catalogs:
        catalog.prepare()
    return dfc


def adjust_prices(
    glueContext: GlueContext,  # noqa: N803, ARG001 - Glue's name, and Glue's signature
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """Pass the rows on once events and factors of corporate actions are what they make them.

    The job's packages do it, which its argument `--extra-py-files` names. The rows stand for the files that
    the targets are about to write.

    Raises:
        RefineError: A table is not the job's, or what the bucket has is not as it should be. No session was
            touched.
    """
    import boto3

    from refinement import arrow, aws
    from refinement.adjustment import state, tables

    given = ["raw_bucket", "refined_bucket", "refined_database", "refined_table", "index_codes"]
    options = getResolvedOptions(sys.argv, given)
    names = {
        "database": options["refined_database"],
        "refined_table": options["refined_table"],
        "bucket": options["refined_bucket"],
    }
    glue = boto3.client("glue")
    tables.check(glue, **names)
    rows = dfc.select(next(iter(dfc.keys()))).toDF()
    state.refresh(
        aws.s3_client(),
        raw_bucket=options["raw_bucket"],
        refined_bucket=options["refined_bucket"],
        in_hand=arrow.by_session(rows, state.SESSION),
    )
    tables.prepare(glue, **names, index=options["index_codes"].partition(",")[0])
    return dfc


def list_members(
    glueContext: GlueContext,  # noqa: N803, ARG001 - Glue's name, and Glue's signature
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """Pass the rows on once the members of the indices are listed, of each of the sessions.

    The job's packages do it, as the script does.

    Raises:
        RefineError: The table is not the job's. No session was touched.
    """
    import boto3

    from refinement import arrow, aws, members
    from refinement.columns import COMPACT_COLUMNS

    names = ["raw_bucket", "refined_bucket", "refined_database", "refined_table"]
    options = getResolvedOptions(sys.argv, [*names, "index_codes"])
    rows = dfc.select(next(iter(dfc.keys()))).toDF()
    schema = arrow.schema(field for field in COMPACT_COLUMNS if field.name in ("ticker", "isin"))
    members.publish(
        aws.s3_client(),
        boto3.client("glue"),
        arrow.by_session(rows, schema),
        **{name: options[name] for name in names},
        indices=options["index_codes"].split(","),
    )
    return dfc


def clear_sessions(
    glueContext: GlueContext,  # noqa: N803 - Glue's name
    dfc: DynamicFrameCollection,
) -> DynamicFrameCollection:
    """Make room for the rows in each table that they go to; return them for the wide, for the compact one.

    The sessions' files are purged, and partitions that the rows no longer have, such as a ticker's that is
    gone, are unregistered, which no target does. Under `--compact_only true` the wide table is left alone,
    and the rows for it are none.
    """
    import boto3
    from pyspark.sql import functions as F  # noqa: N812

    names = ["refined_bucket", "refined_database", "refined_table"]
    options = getResolvedOptions(
        sys.argv, [*names, "compact_only"] if "--compact_only" in sys.argv else names
    )
    compact_only = options.get("compact_only") == "true"
    rows = dfc.select(next(iter(dfc.keys()))).toDF()

    glue = boto3.client("glue")
    _, all_keys = TABLES[""]
    found = rows.select([F.col(key).cast("string") for key in all_keys]).collect()
    for suffix, (folder, keys) in TABLES.items():
        if compact_only and not suffix:
            continue
        of_table = {
            "DatabaseName": options["refined_database"],
            "TableName": options["refined_table"] + suffix,
        }
        current = {tuple(row[key] for key in keys) for row in found}
        for session in sorted({values[0] for values in current}):
            pages = glue.get_paginator("get_partitions").paginate(
                **of_table, Expression=f"trade_date = '{session}'", ExcludeColumnSchema=True
            )
            for values in [partition["Values"] for page in pages for partition in page["Partitions"]]:
                # The expression saves time; what may be unregistered is decided by the values themselves
                if values[0] == session and tuple(values) not in current:
                    glue.delete_partition(**of_table, PartitionValues=values)
            # Without a retention period of 0, files younger than 168 hours stay
            path = f"s3://{options['refined_bucket']}/{folder}/trade_date={session}/"
            glueContext.purge_s3_path(path, {"retentionPeriod": 0})
    wide = rows.limit(0) if compact_only else rows
    return DynamicFrameCollection(
        {
            "wide": DynamicFrame.fromDF(wide, glueContext, "wide"),
            "compact": DynamicFrame.fromDF(rows, glueContext, "compact"),
        },
        glueContext,
    )


# ---------------------------------------------------------------------------------------------------------
# Graph
# ---------------------------------------------------------------------------------------------------------
def build_nodes(
    *, raw_bucket: str, refined_bucket: str, refined_database: str, refined_table: str, index: str = INDEX
) -> dict[str, Node]:
    """The graph, as the `CodeGenConfigurationNodes` of Glue's CreateJob and UpdateJob.

    The arguments may be CloudFormation tokens: they stand in paths and names, and nothing is made of them.

    Args:
        raw_bucket: Name of the bucket with the quotes and portfolios.
        refined_bucket: Name of the bucket with the folders `refined` and `refined_compact`.
        refined_database: Database of the refined tables.
        refined_table: Name of the refined table; the compact one's is this name and `_compact`.
        index: The index whose weights the rows have, no token.

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
        "node-index": _filter(f"Keep the {index}", "node-portfolios", "index_code", "REGEX", f"^{index}$"),
        # Lines
        "node-unit": _sql(
            "Divide prices by their factor", _PRICE_PER_UNIT, _UNIT_PRICED, quotes="node-quotes"
        ),
        "node-types": _sql("Tell the type of paper", _TELL_TYPES, _TYPED, lines="node-unit"),
        "node-counts": _sql(
            "Doubt counts of trades that have wrapped", _DOUBT_TRADES, _COUNTED, lines="node-types"
        ),
        "node-stocks": _sql("Name the stock of each line", _NAME_STOCKS, _NAMED, lines="node-counts"),
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
            ("doubtful", "max"),
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
            portfolios="node-index",
        ),
        "node-members": _sql(
            "List the members of portfolios", _LIST_MEMBERS, _MEMBERS, portfolios="node-index"
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
            _ROWS,
            stocks="node-dates",
        ),
        "node-reconcile": _custom_code(
            "Reconcile the rows with the quotes", reconcile, ("node-refined", "node-quotes"), _ROWS
        ),
        "node-reconciled": _select("Reconciled rows", "node-reconcile", 0),
        "node-prepare": _custom_code(
            "Prepare both tables",
            prepare_tables,
            ("node-reconciled",),
            _ROWS,
        ),
        "node-prepared": _select("Rows of prepared tables", "node-prepare", 0),
        "node-adjust": _custom_code("Adjust for corporate actions", adjust_prices, ("node-prepared",), _ROWS),
        "node-adjusted": _select("Rows of adjusted sessions", "node-adjust", 0),
        "node-list": _custom_code("List the members of indices", list_members, ("node-adjusted",), _ROWS),
        "node-listed": _select("Rows of listed sessions", "node-list", 0),
        "node-clear": _custom_code(
            "Clear the folders of the sessions",
            clear_sessions,
            ("node-listed",),
            _ROWS,
            _ROWS,
            constants={"TABLES": TABLES},
        ),
        "node-rows": _select("Rows of the wide table", "node-clear", 0),
        "node-target": _target(
            "Refined table by date and ticker",
            "node-rows",
            "",
            bucket=refined_bucket,
            database=refined_database,
            table=refined_table,
        ),
        "node-compactrows": _select("Rows of the compact table", "node-clear", 1),
        "node-compact": _sql(
            "Sort each session into one file", _SHAPE_COMPACT, _COMPACT, stocks="node-compactrows"
        ),
        "node-compacttarget": _target(
            "Compact table by date",
            "node-compact",
            "_compact",
            bucket=refined_bucket,
            database=refined_database,
            table=refined_table,
        ),
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


def _target(name: str, source: str, suffix: str, *, bucket: str, database: str, table: str) -> Node:
    """Files of a table, and their partitions in the catalog."""
    folder, keys = TABLES[suffix]
    return {
        "S3GlueParquetTarget": {
            "Name": name,
            "Inputs": [source],
            "PartitionKeys": [[key] for key in keys],
            "Path": f"s3://{bucket}/{folder}/",
            "Compression": "snappy",
            "SchemaChangePolicy": {
                "EnableUpdateCatalog": True,
                "UpdateBehavior": "LOG",
                "Table": f"{table}{suffix}",
                "Database": database,
            },
        }
    }


def _schema(columns: Columns) -> Node:
    return {"Columns": [{"Name": name, "Type": kind} for name, kind in columns.items()]}
