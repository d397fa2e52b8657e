"""What the pipeline costs: measured durations, sizes and requests times AWS's public prices.

`make cost`. It takes what the benchmarks left in `build/benchmarks`, or else the figures kept in
`docs/figures`, and writes the tables of `docs/cost.md` anew. What was not measured is a constant here, with
the reason for it; the load of history is the model that `python -m scraper backfill --dry-run` prints.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from benchmarks import figures
from operating import aws_prices as prices
from operating.estimate import CATALOG_OBJECTS_A_TICKER, Load, Refinement, load_of, refinement_of, total
from operating.range_run import START_SECONDS
from scraper.history.backfill import tasks
from scraper.history.span import Span
from scraper.runtime.metrics import Metric

TICKERS, QUOTES = 1_383, 12_226
"""A session of B3's: 2024-11-08."""
SESSIONS_A_MONTH, DAYS_A_MONTH, MONTHS = 21, 30, 12
SESSIONS_A_YEAR = SESSIONS_A_MONTH * MONTHS

RUNS_A_DAY = 3
"""Of the scraper (`schedule_hours`)."""
SCRAPER_GIB, STARTER_GIB = Decimal(1), Decimal("0.125")
STARTER_SECONDS = 2
"""Assumed: the starter imports boto3 and makes one call."""
GLUE_WORKERS = 2
"""G.1X, a DPU each (`glue_worker_count`)."""
SCRAPER_REQUESTS = 64
"""Assumed, of each run: what it asks of ten sessions in both buckets and of portfolio and levels of an index,
priced as LIST."""
RAW_PUTS = 3
"""Of a session: quotes, portfolio and levels."""
ACTIONS_ASKED, ACTIONS_SECONDS = 80, 2.5
"""Assumed, of a session: issuers asked for corporate actions, some 30 for a rise of a distribution number (of
7,300 a year) and a twentieth of a thousand; the pause of two seconds, and an answer."""
JOB_LISTS, JOB_GETS = 9, 21
"""Assumed, of a job run: listings of raw and refined folders; footers and column chunks of the raw files."""
INDICES = 5
"""`index_codes` for which the difference is told."""
INDEX_REQUESTS, INDEX_SECONDS = 4, 3
"""Assumed, of each scraper run and further index: what it asks of the bucket, priced as LIST; B3's answers,
the portfolio and the levels, with the pauses between them."""
INDEX_PUTS, INDEX_GETS = 2, 2
"""Of a session and further index: portfolio and levels; footer and rows of the portfolio, by the job. The
members of all indices are one file."""
INDEX_BYTES = 10_000
"""Of the same: a portfolio and its members, of a hundred papers."""
ADJUSTING_SECONDS, ADJUSTING_PUTS, ADJUSTING_GETS = 1, 13, 51
"""Measured, of a morning of a lake of a year with 1,000 papers (`python -m benchmarks.adjustment`); PUT and
LIST, which cost the same, together."""
CATALOG_PARTITIONS_A_CALL, CATALOG_OTHER_CALLS = 100, 20
"""The job's; the others are assumed: databases, tables, partitions that are there."""
LOG_BYTES_A_DAY = 2_000_000
"""Assumed: mostly Spark's."""
ALARMS = 4
"""On a metric each (`stacks/monitoring.py`)."""
BOUND = 240
"""Sessions of the wide table that the catalog holds for free."""
GOAL_MONTH = Decimal(1)
"""USD, of daily operation."""

FORTY_YEARS = Span(date(1986, 1, 1), date(2025, 12, 31))
ONE_YEAR = Span(date(2024, 1, 1), date(2024, 12, 31))

DAY = "a day, in a new Java"
"""The run of the job that is as on AWS, where each starts a Java of its own."""
REPORTS = ("range_run", "reads", "handler_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the benchmarks say of a session of B3's size.

    Attributes:
        job_seconds: The Glue job, from the first file that it reads, without its start.
        scraper_seconds: The scraper's cold run that finds a new session.
        raw_bytes: Of the session's raw file.
        wide_bytes: Of the session's wide files.
        compact_bytes: Of its compact file.
        queries: Each query's name, and what it reads of each table.
    """

    job_seconds: float
    scraper_seconds: float
    raw_bytes: float
    wide_bytes: float
    compact_bytes: float
    queries: Sequence[tuple[str, Mapping[str, Reads]]]


class Reads(NamedTuple):
    """What a query reads of a table, at most: objects, GET requests, and bytes, those of whole files."""

    objects: float
    requests: float
    scanned_bytes: float


class Line(NamedTuple):
    """A line of the bill [USD].

    Attributes:
        name: What is paid for.
        basis: The quantities.
        day: Of a day with a session.
        month: Of a year's last month, in which a whole year is stored.
        year: Of the first year.
    """

    name: str
    basis: str
    day: Decimal
    month: Decimal
    year: Decimal


def main() -> None:
    """Writes the tables of `docs/cost.md` from the newest figures, and prints them."""
    reports = {name: figures.keep(name) for name in REPORTS}
    written = blocks(reports)
    figures.update(figures.DOCS / "cost.md", written)
    for block in written.values():
        print(block, end="\n\n")


def blocks(reports: Mapping[str, figures.Report]) -> dict[str, str]:
    """The generated parts of `docs/cost.md`, by their markers."""
    measured = measure(reports)
    return {
        "prices": price_table(),
        "operation": operation_table(measured),
        "indices": indices_sentence(measured),
        "catalog": catalog_table(),
        "backfill": backfill_table(measured),
        "queries": query_table(measured),
        "measured": measured_list(measured, reports),
    }


def measure(reports: Mapping[str, figures.Report]) -> Measured:
    """Takes the benchmarks' markets, which are smaller, to a session of B3's size.

    The job is measured on one of that size. Wide files grow in number with the tickers, compact files in the
    bytes of their columns, not of their footer.
    """
    job, reads, handler = (reports[name] for name in REPORTS)
    days = [run for run in job["runs"] if run["span"] == DAY and not run["compact_only"]]
    market = reads["market"]
    a_file = TICKERS / market["tickers"]
    more_of = {"wide": a_file, "compact": a_file, "raw": QUOTES * market["sessions"] / market["quotes"]}
    files = reads["files"]
    footer = files["compact_footer_bytes"]
    return Measured(
        job_seconds=statistics.median(
            run["seconds"] - run["phases"]["start"] - run["phases"]["adjustment"] for run in days
        ),
        scraper_seconds=handler["import_seconds"] + handler["handler_seconds"],
        raw_bytes=files["raw_bytes_a_quote"] * QUOTES,
        wide_bytes=files["wide_bytes"] * TICKERS,
        compact_bytes=footer + (files["compact_bytes"] - footer) * a_file,
        queries=[
            (
                query["name"],
                {
                    table: _scaled(query["name"], table, of_table, more_of[table])
                    for table, of_table in query["reads"].items()
                    if of_table["objects"]
                },
            )
            for query in reads["queries"]
        ],
    )


def operation(measured: Measured, region: str = prices.REGION) -> list[Line]:
    """The bill of daily operation, line by line, in its first year."""
    put, get = prices.of("S3_PUT", region), prices.of("S3_GET", region)
    job_seconds = measured.job_seconds + ADJUSTING_SECONDS
    seconds = max(START_SECONDS + job_seconds, prices.GLUE_MINIMUM_SECONDS)
    gets = JOB_GETS + ADJUSTING_GETS
    dpu_hours = GLUE_WORKERS * Decimal(str(seconds)) / 3600
    asked = 2 * ACTIONS_ASKED  # a listing and a write each
    puts = RAW_PUTS + TICKERS + 2 + JOB_LISTS + ADJUSTING_PUTS + asked
    stored = Decimal(str(measured.raw_bytes + measured.wide_bytes + measured.compact_bytes)) / 10**9
    gb_month = stored * prices.of("S3_GB_MONTH", region)
    scraper = _invocation(SCRAPER_GIB, measured.scraper_seconds, region)
    starter = _invocation(STARTER_GIB, STARTER_SECONDS, region)
    calls = math.ceil(TICKERS / CATALOG_PARTITIONS_A_CALL) + 1 + CATALOG_OTHER_CALLS
    queries = [_of_query(tables, region) for name, tables in measured.queries if _is_named(name)]
    return [
        _repeated(
            "Glue job",
            f"{GLUE_WORKERS} DPU × {seconds:.0f} s: {START_SECONDS} s assumed until it reads, "
            f"{job_seconds:.0f} s measured here, {ADJUSTING_SECONDS} of them for events and factors",
            session=dpu_hours * prices.of("GLUE_DPU_HOUR", region),
        ),
        _repeated(
            "S3 PUT and LIST",
            f"{puts:,} of a session: {TICKERS:,} wide files, a compact one, one of members of indices, "
            f"{RAW_PUTS} raw, {asked} of corporate actions, listings; "
            f"{SCRAPER_REQUESTS} of each scraper run",
            session=puts * put,
            day=RUNS_A_DAY * SCRAPER_REQUESTS * put,
        ),
        _repeated(
            "S3 GET by the job",
            f"{gets:,} of a session: footers and columns of raw files, what is kept of the sessions before, "
            "corporate actions of issuers of which something is new",
            session=gets * get,
        ),
        Line(
            "S3 storage",
            f"{float(stored) * 1000:.1f} MB of a session: wide {measured.wide_bytes / 1e6:.1f}, compact "
            f"{measured.compact_bytes / 1e6:.2f}, raw {measured.raw_bytes / 1e6:.2f}; no versions, as "
            "nothing is replaced unless B3 corrects it",
            day=gb_month / DAYS_A_MONTH,
            month=gb_month * SESSIONS_A_YEAR,
            year=gb_month * SESSIONS_A_MONTH * sum(range(1, MONTHS + 1)),
        ),
        _repeated(
            "Lambda",
            f"{RUNS_A_DAY} scraper runs of {measured.scraper_seconds:.1f} s in {SCRAPER_GIB} GiB, all as if "
            f"they found a session; {ACTIONS_ASKED} issuers asked for corporate actions, "
            f"{ACTIONS_SECONDS} s each; the starter",
            session=starter + _invocation(SCRAPER_GIB, ACTIONS_ASKED * ACTIONS_SECONDS, region),
            day=RUNS_A_DAY * scraper,
        ),
        _repeated("EventBridge Scheduler", f"{RUNS_A_DAY} a day; 14 million a month are free"),
        _repeated("Glue Data Catalog, requests", f"{calls} of a session; a million a month are free"),
        _repeated(
            "Glue Data Catalog, partitions",
            f"{TICKERS + 1:,} of a session, and their entries in two indexes; the first million objects are "
            f"free, which is enough with `wide_sessions={BOUND}`, and without a bound until month "
            f"{first_paid_month() - 1}, as below",
        ),
        _repeated(
            "Athena, and its S3 GETs",
            f"the {len(queries)} named queries once a session, over a table of a year",
            session=sum(queries, Decimal(0)),
        ),
        _repeated(
            "CloudWatch Logs",
            f"{LOG_BYTES_A_DAY / 1e6:.0f} MB a day, assumed",
            day=Decimal(LOG_BYTES_A_DAY) / 10**9 * prices.of("LOGS_GB", region),
        ),
        Line(
            "CloudWatch metrics, alarms, dashboard",
            f"{len(Metric)} custom metrics, {ALARMS} alarms, a dashboard; {prices.FREE_METRICS}, "
            f"{prices.FREE_ALARMS} and {prices.FREE_DASHBOARDS} are free",
            monitoring_month() / DAYS_A_MONTH,
            monitoring_month(),
            monitoring_month() * MONTHS,
        ),
    ]


def of_another_index(region: str = prices.REGION) -> Decimal:
    """What each index beyond the first adds to the bill of a year's last month [USD]."""
    put, get = prices.of("S3_PUT", region), prices.of("S3_GET", region)
    session = INDEX_PUTS * put + INDEX_GETS * get
    seconds = SCRAPER_GIB * INDEX_SECONDS * prices.of("LAMBDA_GB_SECOND", region)
    stored = Decimal(INDEX_BYTES) / 10**9 * prices.of("S3_GB_MONTH", region) * SESSIONS_A_YEAR
    return session * SESSIONS_A_MONTH + (INDEX_REQUESTS * put + seconds) * RUNS_A_DAY * DAYS_A_MONTH + stored


def indices_sentence(measured: Measured) -> str:
    """A month with one index and with `INDICES`, in both regions."""
    words = []
    for region in (prices.REGION, prices.SAO_PAULO):
        one = sum((line.month for line in operation(measured, region)), Decimal(0))
        several = one + (INDICES - 1) * of_another_index(region)
        words.append(f"{_usd(one)} USD in {region} with one index, {_usd(several)} with {INDICES}")
    return f"A month is {'; '.join(words)}: each index more adds {of_another_index():.4f}."


def monitoring_month(others: int = 0) -> Decimal:
    """What metrics, alarms and dashboard cost in a month [USD].

    Args:
        others: How many of each the account has besides.
    """
    paid = (
        (len(Metric), prices.FREE_METRICS, prices.METRIC_MONTH),
        (ALARMS, prices.FREE_ALARMS, prices.ALARM_MONTH),
        (1, prices.FREE_DASHBOARDS, prices.DASHBOARD_MONTH),
    )
    return sum((min(max(others + own - free, 0), own) * price for own, free, price in paid), Decimal(0))


def catalog_objects(sessions: int) -> int:
    """What the catalog holds of so many sessions: wide partitions, their index entries, compact ones."""
    return sessions * (TICKERS * CATALOG_OBJECTS_A_TICKER + 1)


def catalog_month(months: int) -> Decimal:
    """What the partitions cost in the given month of daily operation, counted from 1 [USD]."""
    objects = catalog_objects(months * SESSIONS_A_MONTH)
    return max(objects - prices.CATALOG_FREE_OBJECTS, 0) * prices.CATALOG_OBJECT_MONTH


def first_paid_month() -> int:
    """The month of daily operation in which the partitions begin to cost, counted from 1."""
    return prices.CATALOG_FREE_OBJECTS // catalog_objects(SESSIONS_A_MONTH) + 1


def operation_table(measured: Measured) -> str:
    """Daily operation in both regions, and whether it stays within the goal."""
    here, there = operation(measured), operation(measured, prices.SAO_PAULO)
    lines = [
        [line.name, line.basis, *(_usd(value) for value in (line.day, line.month, line.year, other.month))]
        for line, other in zip(here, there, strict=True)
    ]
    month = sum((line.month for line in here), Decimal(0))
    sums = (
        sum((line.day for line in here), Decimal(0)),
        month,
        sum((line.year for line in here), Decimal(0)),
        sum((line.month for line in there), Decimal(0)),
    )
    lines.append(["**all**", "", *(f"**{_usd(value)}**" for value in sums)])
    headings = ["", "what is counted", "a day", "a month", "a year", "a month in São Paulo"]
    verdict = "met" if month < GOAL_MONTH else "**not met**"
    goal = f"Goal, less than {GOAL_MONTH} USD a month: {verdict} in {prices.REGION} ({_usd(month)} USD)"
    return f"{figures.table(headings, lines, left=2)}\n\n{goal}, as long as the partitions cost nothing."


def catalog_table() -> str:
    """What the wide table's partitions come to cost."""
    first = first_paid_month()
    lines = [
        [f"{years}", f"{catalog_objects(years * SESSIONS_A_YEAR):,}", _usd(catalog_month(years * MONTHS))]
        for years in (1, 2, 3, 4, 5, 10)
    ]
    sentence = (
        f"They begin to cost in month {first} of daily operation, in the "
        f"{_ordinal((first - 1) // MONTHS + 1)} year. "
        f"Bound to {BOUND} sessions (`wide_sessions`), they stay at {catalog_objects(BOUND):,}, and free."
    )
    return f"{figures.table(['after years', 'objects', 'USD a month'], lines, left=0)}\n\n{sentence}"


def backfill_table(measured: Measured) -> str:
    """A year and forty years of history, wide and compact."""
    columns = [
        (
            days,
            compact_only,
            total(load_of(task) for task in tasks(days)),
            refinement_of(days, compact_only=compact_only),
        )
        for days in (ONE_YEAR, FORTY_YEARS)
        for compact_only in (False, True)
    ]
    headings = ["", *(f"{_span(days)}, {_mode(compact)}" for days, compact, _, _ in columns)]
    rows: dict[str, list[str]] = {
        "sessions": [f"{load.sessions:,}" for _, _, load, _ in columns],
        "partitions": [f"{run.partitions:,}" for *_, run in columns],
        "Glue workers × minutes, assumed": [
            f"{run.size.workers} × {run.size.minutes:.0f}" for *_, run in columns
        ],
        "S3 PUTs, raw and refined": [f"{load.puts + run.puts:,}" for _, _, load, run in columns],
        "the load, on one's own line": [_usd(load.request_cost) for _, _, load, _ in columns],
        "more with `--via lambda`": [_usd(load.function_cost) for _, _, load, _ in columns],
        "the Glue run": [_usd(run.glue_cost) for *_, run in columns],
        "its S3 PUTs": [_usd(run.put_cost) for *_, run in columns],
        "its catalog requests": [_usd(run.catalog_cost) for *_, run in columns],
        "**once, all**": [f"**{_usd(_once(load, run))}**" for _, _, load, run in columns],
        "storage, a month": [
            _usd(_storage(measured, load, days, compact_only=compact)) for days, compact, load, _ in columns
        ],
        "partitions and index, a month": [_usd(run.catalog_month_cost) for *_, run in columns],
    }
    return figures.table(headings, [[name, *values] for name, values in rows.items()])


def query_table(measured: Measured) -> str:
    """What each query costs, once and on every session of a year."""
    lines = []
    for name, tables in measured.queries:
        scanned = sum(reads.scanned_bytes for reads in tables.values())
        cost, there = (_of_query(tables, region) for region in (prices.REGION, prices.SAO_PAULO))
        lines.append(
            [
                name,
                ", ".join(tables),
                f"{sum(reads.objects for reads in tables.values()):,.0f}",
                f"{scanned / 1e6:,.2f}",
                f"{_billed(scanned) / 1e6:,.0f}",
                _usd(cost),
                _usd(cost * SESSIONS_A_YEAR),
                _usd(there * SESSIONS_A_YEAR),
            ]
        )
    headings = ["", "tables", "objects", "MB read", "MB billed", "once", "252 times", "in São Paulo"]
    return figures.table(headings, lines, left=2)


def measured_list(measured: Measured, reports: Mapping[str, figures.Report]) -> str:
    """Where the measured figures come from."""
    job, reads, handler = (reports[name] for name in REPORTS)
    months = [run for run in job["runs"] if run["span"] == "a month" and not run["compact_only"]]
    rate = months[0]["files"] / statistics.median(run["phases"]["files"] for run in months)
    return "\n".join(
        [
            f"- The job (`python -m benchmarks range_run`): {measured.job_seconds:.0f} s from its first "
            f"file, in a Java that has just started. It wrote {rate:,.0f} files a second over a month, on "
            f"{job['machine']['cpus']} CPUs that it shared with the emulated S3.",
            f"- Sizes and reads (`python -m benchmarks reads`): sessions of {reads['market']['tickers']} "
            f"tickers, taken to {TICKERS:,}: {reads['files']['wide_bytes']:,.0f} bytes a wide file, "
            f"{reads['files']['raw_bytes_a_quote']:.0f} bytes of raw Parquet a quote.",
            f"- The scraper's function (`python -m benchmarks handler_memory`): "
            f"{measured.scraper_seconds:.1f} s for {handler['quotes']:,} quotes, its cold start included.",
        ]
    )


def price_table() -> str:
    """The prices in both regions."""
    names = {
        "S3_PUT": ("S3 PUT, LIST, a thousand", 1_000),
        "S3_GET": ("S3 GET, a thousand", 1_000),
        "S3_GB_MONTH": ("S3 Standard, a GB and month", 1),
        "GLUE_DPU_HOUR": ("Glue, a DPU-hour", 1),
        "CATALOG_OBJECT_MONTH": ("Glue Data Catalog, 100,000 objects and month", 100_000),
        "LAMBDA_GB_SECOND": ("Lambda, a million GB-seconds", 1_000_000),
        "ATHENA_TB": ("Athena, a TB", 1),
        "LOGS_GB": ("CloudWatch Logs, a GB taken in", 1),
        "METRIC_MONTH": ("CloudWatch, a custom metric beyond ten and month", 1),
        "ALARM_MONTH": ("CloudWatch, an alarm beyond ten and month", 1),
        "DASHBOARD_MONTH": ("CloudWatch, a dashboard beyond three and month", 1),
    }
    lines = [
        [label, *(f"{(prices.of(name, region) * unit).normalize():f}" for region in REGIONS), SEEN[name]]
        for name, (label, unit) in names.items()
    ]
    header = ["USD", *REGIONS, "last seen"]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---", "---:", "---:", "---"], *lines))


REGIONS = (prices.REGION, prices.SAO_PAULO)

_SAMPLE = "us-east-1: cost table of an AWS sample, 2024-07-09 (us-east-2, the same)"
_LIST = "sa-east-1: AWS's price list of 2026-09-26, quoted by a third party"
SEEN = {
    "S3_PUT": f"{_SAMPLE}; {_LIST}",
    "S3_GET": f"{_SAMPLE}; {_LIST}",
    "S3_GB_MONTH": f"{_SAMPLE}; {_LIST}",
    "GLUE_DPU_HOUR": f"{_SAMPLE}; sa-east-1: PerfKitBenchmarker's list, made from AWS's prices, undated",
    "CATALOG_OBJECT_MONTH": "us-east-1: awsnegotiations.com, May 2026; sa-east-1: **to be checked**",
    "LAMBDA_GB_SECOND": "**to be checked**",
    "ATHENA_TB": "us-east-1: AWS's page, undated, and athena.guide, 2020-10; sa-east-1: **to be checked**",
    "LOGS_GB": "us-east-1: AWS's price API, 2025-10-28, by a third party; sa-east-1: **to be checked**",
    "METRIC_MONTH": "**to be checked**",
    "ALARM_MONTH": "**to be checked**",
    "DASHBOARD_MONTH": "us-east-1: factualminds.com, June 2026; sa-east-1: **to be checked**",
}
"""Where each price was last seen, in stored copies of public pages: AWS's own price pages fetch their figures
when they are opened, and a copy has none."""


def _scaled(name: str, table: str, reads: Mapping[str, Any], more: float) -> Reads:
    if table != "wide":
        # Columns grow, footers do not
        scanned = reads["footer_bytes"] + (reads["file_bytes"] - reads["footer_bytes"]) * more
        return Reads(reads["objects"], reads["requests"], scanned)
    # A query for one ticker opens as many files however many tickers there are
    more = 1 if name.startswith(("one ticker", "ticker_")) else more
    return Reads(reads["objects"] * more, reads["requests"] * more, reads["file_bytes"] * more)


def _is_named(query: str) -> bool:
    """Named queries go by their files' names."""
    return " " not in query


def _of_query(tables: Mapping[str, Reads], region: str) -> Decimal:
    scanned = sum(reads.scanned_bytes for reads in tables.values())
    requests = sum(reads.requests for reads in tables.values())
    athena = Decimal(_billed(scanned)) / 10**12 * prices.of("ATHENA_TB", region)
    return athena + Decimal(str(requests)) * prices.of("S3_GET", region)


def _billed(scanned: float) -> int:
    """Bytes that Athena bills: whole megabytes, and its least."""
    return max(math.ceil(scanned / 1e6) * 10**6, prices.ATHENA_MINIMUM_BYTES)


def _invocation(gib: Decimal, seconds: float, region: str) -> Decimal:
    compute = gib * Decimal(str(seconds)) * prices.of("LAMBDA_GB_SECOND", region)
    return prices.of("LAMBDA_REQUEST", region) + compute


def _repeated(name: str, basis: str, *, session: Decimal = Decimal(0), day: Decimal = Decimal(0)) -> Line:
    """A line of what happens with each session, and on each day of the calendar."""
    month = session * SESSIONS_A_MONTH + day * DAYS_A_MONTH
    return Line(name, basis, session + day, month, session * SESSIONS_A_YEAR + day * 365)


def _once(load: Load, run: Refinement) -> Decimal:
    return load.request_cost + run.cost


def _storage(measured: Measured, load: Load, days: Span, *, compact_only: bool) -> Decimal:
    """Of raw and refined files, by their measured sizes."""
    wide = refinement_of(days, compact_only=False)
    tickers = wide.partitions - wide.sessions
    a_ticker = measured.compact_bytes + (0 if compact_only else measured.wide_bytes)
    size = measured.raw_bytes / QUOTES * load.quotes + a_ticker / TICKERS * tickers
    return Decimal(str(size)) / 10**9 * prices.S3_GB_MONTH


def _span(days: Span) -> str:
    years = days.last.year - days.first.year + 1
    return f"{days.first.year}" if years == 1 else f"{years} years"


def _mode(compact_only: bool) -> str:
    return "compact only" if compact_only else "wide and compact"


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _usd(amount: Decimal) -> str:
    """Two decimals, or two digits of what is less than a cent."""
    if not amount or amount >= Decimal("0.01"):
        return f"{amount:,.2f}" if amount else "0"
    return f"{amount:.{1 - amount.adjusted()}f}"


if __name__ == "__main__":
    main()
