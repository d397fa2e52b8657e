"""What a load of history takes before it is begun: sessions, quotes, bytes, requests, time and dollars.

A small model with named figures. Sessions are the calendar's, so they are right within a few days a year;
quotes and tickers are interpolated between years that are known; the seconds are measurements, named beside
them, except for the speed of B3's host, which is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from operating import aws_prices as prices
from operating.range_run import Size, size_of
from scraper.b3.calendar import sessions_between
from scraper.history.backfill import Task
from scraper.history.span import Span

QUOTES_A_SESSION = {2003: 551, 2016: 1_743, 2021: 7_518, 2024: 12_226, 2026: 23_000}
"""By year: sessions that were measured, between them in proportion, before them as in the first."""
TICKERS_A_SESSION = {2003: 216, 2016: 440, 2021: 1_129, 2024: 1_383}
"""Rows of the refined table, by year, in the same way."""

ZIP_BYTES_A_QUOTE = 31
"""Of a year's ZIP: 70 MB for 2.26 million quotes (2023)."""
PARQUET_BYTES_A_QUOTE = 42
"""Of a session's raw Parquet: 40 of 12,226 quotes, 55 of 1,743."""
REFINED_BYTES_A_TICKER = 120
"""Of a session's compact refined Parquet."""
WIDE_BYTES_A_TICKER = 6_000
"""Of a ticker's refined Parquet: nearly all of it is the file's footer."""

DOWNLOAD_BYTES_A_SECOND = 2_000_000
"""Assumed of B3's host and one's own line, for each year that is downloaded at the same time."""
SECONDS_A_MILLION_QUOTES = 2.5
"""To read, stage and verify: 4.5 s for 2.3 million on 2 cores, 6 s for two such years at once."""
UPLOAD_SECONDS_A_SESSION = 0.02
"""A PUT of 50 to 150 ms, eight at once."""

LAMBDA_MEMORY_GB = 2
LAMBDA_STORAGE_GB = 2
"""What the stack gives the function (stacks/ingestion.py)."""

WIDE_PUTS_A_TICKER = 1
"""The job writes each file once."""
COMPACT_PUTS_A_SESSION = 1
CATALOG_OBJECTS_A_TICKER = 3
"""The catalog charges for a partition, and for its entry in each of the wide table's two partition indexes.
Source: AWS Glue's guide, "Creating partition indexes"."""
WIDE_RECOMMENDED_SESSIONS = 240
"""Of 1,383 tickers, with their entries in the indexes, they are less than the million that is free."""

_LIST_PAGE = 1000
_CATALOG_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load of some years takes.

    Attributes:
        sessions: Sessions.
        quotes: Quotes.
        download_bytes: Bytes of the ZIPs.
        raw_bytes: Bytes of the raw Parquet.
        puts: PUT and LIST requests to S3, which cost the same.
        seconds: Seconds, one year after another.
        request_cost: What the requests cost [USD].
        storage_cost: What the raw Parquet costs a month [USD].
        function_cost: What the same costs as Lambda invocations [USD].
    """

    sessions: int
    quotes: int
    download_bytes: int
    raw_bytes: int
    puts: int
    seconds: float
    request_cost: Decimal
    storage_cost: Decimal
    function_cost: Decimal


def load_of(task: Task) -> Load:
    """What the load of a year takes. The ZIP is downloaded and read whole, whichever days are asked for."""
    year = task.year
    quotes_a_session = between(QUOTES_A_SESSION, year)
    sessions = len(sessions_between(task.days.first, task.days.last))
    in_file = len(sessions_between(*_year(year))) * quotes_a_session
    quotes = sessions * quotes_a_session
    download = in_file * ZIP_BYTES_A_QUOTE
    raw = quotes * PARQUET_BYTES_A_QUOTE
    # A sweep of the listing before and after the upload, the manifest's and its report's; the manifest
    puts = sessions + 2 * (sessions // _LIST_PAGE + 1) + 3 + 1
    seconds = (
        download / DOWNLOAD_BYTES_A_SECOND
        + in_file / 1e6 * SECONDS_A_MILLION_QUOTES
        + sessions * UPLOAD_SECONDS_A_SESSION
    )
    second_of_function = (
        LAMBDA_MEMORY_GB * prices.LAMBDA_GB_SECOND
        + (LAMBDA_STORAGE_GB - Decimal("0.5")) * prices.LAMBDA_STORAGE_GB_SECOND
    )
    return Load(
        sessions=sessions,
        quotes=quotes,
        download_bytes=download,
        raw_bytes=raw,
        puts=puts,
        seconds=seconds,
        request_cost=puts * prices.S3_PUT,
        storage_cost=Decimal(raw) / 10**9 * prices.S3_GB_MONTH,
        function_cost=prices.LAMBDA_REQUEST + Decimal(str(seconds)) * second_of_function,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """What the run of the Glue job for a range takes.

    Attributes:
        sessions: Sessions in the range.
        partitions: Partitions that it registers.
        puts: PUT requests to S3.
        size: Workers and minutes.
        glue_cost: Of the run [USD].
        put_cost: Of the requests [USD].
        catalog_cost: Of the requests to the catalog [USD], as if no other used the free ones.
        storage_cost: Of the files, a month [USD].
        catalog_month_cost: Of the partitions in the catalog, and of their index's entries, a month [USD],
            as if there were no others.
    """

    sessions: int
    partitions: int
    puts: int
    size: Size
    glue_cost: Decimal
    put_cost: Decimal
    catalog_cost: Decimal
    storage_cost: Decimal
    catalog_month_cost: Decimal

    @property
    def cost(self) -> Decimal:
        """Of the run and its requests, once [USD]."""
        return self.glue_cost + self.put_cost + self.catalog_cost

    @property
    def month_cost(self) -> Decimal:
        """Of what is there afterwards, a month [USD]."""
        return self.storage_cost + self.catalog_month_cost


def refinement_of(days: Span, *, compact_only: bool) -> Refinement:
    """What the run of the Glue job for a range takes.

    Args:
        days: The range.
        compact_only: Whether only the compact table is made.
    """
    calendar = sessions_between(days.first, days.last)
    sessions = len(calendar)
    tickers = sum(between(TICKERS_A_SESSION, session.year) for session in calendar)
    size = size_of(sessions=sessions, partitions=tickers, compact_only=compact_only)
    # The compact table has a partition a session, the wide one a partition a ticker besides
    partitions = sessions + (0 if compact_only else tickers)
    objects = sessions + (0 if compact_only else tickers * CATALOG_OBJECTS_A_TICKER)
    puts = sessions * COMPACT_PUTS_A_SESSION + (0 if compact_only else tickers * WIDE_PUTS_A_TICKER)
    size_bytes = tickers * (REFINED_BYTES_A_TICKER + (0 if compact_only else WIDE_BYTES_A_TICKER))
    billed_hours = Decimal(str(max(size.minutes * 60, prices.GLUE_MINIMUM_SECONDS))) / 3600
    return Refinement(
        sessions=sessions,
        partitions=partitions,
        puts=puts,
        size=size,
        glue_cost=size.workers * billed_hours * prices.GLUE_DPU_HOUR,
        put_cost=puts * prices.S3_PUT,
        catalog_cost=max(partitions // _CATALOG_BATCH - prices.CATALOG_FREE_REQUESTS, 0)
        * prices.CATALOG_REQUEST,
        storage_cost=Decimal(size_bytes) / 10**9 * prices.S3_GB_MONTH,
        catalog_month_cost=max(objects - prices.CATALOG_FREE_OBJECTS, 0) * prices.CATALOG_OBJECT_MONTH,
    )


def total(loads: Iterable[Load]) -> Load:
    """All of them."""
    every = [*loads]
    sums: dict[str, Any] = {name: sum(getattr(load, name) for load in every) for name in Load.__slots__}
    return Load(**sums)


def between(known: Mapping[int, int], year: int) -> int:
    """A figure of a year: known, in proportion between two that are, or that of the nearest end."""
    years = sorted(known)
    if year <= years[0] or year >= years[-1]:
        return known[years[0] if year <= years[0] else years[-1]]
    before = max(each for each in years if each <= year)
    if before == year:
        return known[year]
    after = min(each for each in years if each > year)
    share = (year - before) / (after - before)
    return round(known[before] + share * (known[after] - known[before]))


def _year(year: int) -> tuple[date, date]:
    return date(year, 1, 1), date(year, 12, 31)
