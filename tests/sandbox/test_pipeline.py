"""The deployed pipeline, from the schedule to Athena, on a small simulated market.

Expectations come from the quotes that the market generated, added up here, and from AWS's APIs, never from
what the pipeline says of itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import boto3
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sandbox.answers import SHOWN
from sandbox.arguments import SIMULATED
from sandbox.b3.formats import Quote, daily_member_name, daily_zip_name, encode_session, zip_file
from sandbox.b3.server import Document
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.pipeline import StageError
from sandbox.request import Request
from sandbox.run import run
from scraper.daily.corporate_actions import CORPORATE_ACTIONS
from tests.sandbox.deployed import (
    MARKET,
    MORNING_AFTER,
    SESSIONS,
    Deployed,
    morning_after,
    quotes_of,
    remove_sessions,
)

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]


@dataclass
class Stock:
    """What the quotes of one ISIN add up to."""

    volume: Decimal = Decimal(0)
    trades: int = 0
    quantity: int = 0
    lines: int = 0
    cash_tickers: set[str] = field(default_factory=set)


def by_isin(quotes: Iterable[Quote]) -> dict[str, Stock]:
    stocks: dict[str, Stock] = defaultdict(Stock)
    for quote in quotes:
        stock = stocks[quote.codisi]
        stock.volume += quote.voltot
        stock.trades += quote.totneg
        stock.quantity += quote.quatot
        stock.lines += 1
        if quote.tpmerc == "010":
            stock.cash_tickers.add(quote.codneg)
    return stocks


def refined_rows(deployed: Deployed, session: date) -> list[dict[str, Any]]:
    folder = deployed.sandbox.lake / "refined" / f"trade_date={session}"
    rows: list[dict[str, Any]] = ds.dataset(folder, partitioning="hive").to_table().to_pylist()
    return sorted(rows, key=lambda row: str(row["ticker"]))


def object_versions(bucket: str, prefix: str = "") -> list[tuple[object, ...]]:
    """Every version in a bucket: key, version, ETag, whether it is the latest; delete markers, too."""
    pages = boto3.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    return sorted(
        (version["Key"], version["VersionId"], version.get("ETag", "deleted"), version["IsLatest"])
        for page in pages
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    )


def test_the_schedule_runs_every_morning_in_sao_paulo(deployed: Deployed) -> None:
    schedule = deployed.pipeline.schedule()
    assert schedule.expression == "cron(0 7,9,11 * * ? *)"
    assert schedule.time_zone == "America/Sao_Paulo"
    assert json.loads(schedule.input_at(MORNING_AFTER)) == {"scheduled_time": "2025-03-14T10:00:00Z"}


def test_one_firing_takes_every_missing_session_the_portfolio_and_the_levels(deployed: Deployed) -> None:
    files = [file for file in deployed.files if file["source"] != CORPORATE_ACTIONS]
    outcomes = {(file["source"], file["date"], file["outcome"]) for file in files}
    assert outcomes == {
        ("index_portfolio", "2025-03-12", "new"),
        ("cotahist", "2025-03-12", "new"),
        ("cotahist", "2025-03-13", "new"),
        ("index_level", "2025-03-13", "new"),
    }


@pytest.mark.parametrize("session", SESSIONS)
def test_a_raw_object_holds_every_generated_quote(deployed: Deployed, session: date) -> None:
    file = deployed.sandbox.lake / "raw" / "cotahist" / f"trade_date={session}" / "daily.parquet"
    raw = pq.read_table(file, partitioning=None).to_pylist()
    quotes = quotes_of(session)
    assert len(raw) == len(quotes)
    assert sum(row["voltot"] for row in raw) == sum(quote.voltot for quote in quotes)
    assert sorted(row["codneg"] for row in raw) == sorted(quote.codneg for quote in quotes)


def test_each_new_raw_object_starts_exactly_one_job_run(deployed: Deployed) -> None:
    assert [(job_run.trade_date, job_run.state) for job_run in sorted(deployed.job_runs, key=_by_date)] == [
        ("2025-03-12", "SUCCEEDED"),
        ("2025-03-13", "SUCCEEDED"),
    ]


def _by_date(job_run: Any) -> str:
    return str(job_run.trade_date)


@pytest.mark.parametrize("session", SESSIONS)
def test_refined_rows_add_up_to_the_generated_quotes_stock_by_stock(
    deployed: Deployed, session: date
) -> None:
    expected = by_isin(quotes_of(session))
    rows = {row["isin"]: row for row in refined_rows(deployed, session)}
    assert rows.keys() == expected.keys()
    for isin, stock in expected.items():
        row = rows[isin]
        found = Stock(row["volume"], row["trades"], row["quantity"], row["lines"], stock.cash_tickers)
        assert found == stock, row["ticker"]
        assert row["ticker"] in stock.cash_tickers or not stock.cash_tickers
    assert sum(row["volume"] for row in rows.values()) == sum(quote.voltot for quote in quotes_of(session))


def test_registered_partitions_are_exactly_the_folders_under_refined(deployed: Deployed) -> None:
    folders = deployed.pipeline.refined_folders()
    assert {session for session, _ in folders} == set(SESSIONS)
    assert deployed.pipeline.registered_partitions() == folders


def test_the_compact_table_has_one_file_and_partition_a_session(deployed: Deployed) -> None:
    assert deployed.pipeline.compact_sessions() == list(SESSIONS)
    assert deployed.pipeline.registered_sessions() == list(SESSIONS)


@pytest.mark.parametrize("session", SESSIONS)
def test_compact_rows_are_the_refined_rows_sorted_by_ticker(deployed: Deployed, session: date) -> None:
    folder = deployed.sandbox.lake / "refined_compact" / f"trade_date={session}"
    (file,) = folder.iterdir()
    assert pq.read_table(file, partitioning=None).to_pylist() == refined_rows(deployed, session)


def test_the_raw_tables_can_be_queried(deployed: Deployed) -> None:
    for session in SESSIONS:
        totals = deployed.pipeline.totals(session)
        quotes = quotes_of(session)
        assert (totals.quotes, totals.raw_volume) == (len(quotes), sum(quote.voltot for quote in quotes))
        assert totals.agree
        assert totals.tickers == len(by_isin(quotes))


def test_a_second_firing_writes_nothing_and_starts_nothing(in_sandbox: Deployed) -> None:
    pipeline, names = in_sandbox.pipeline, in_sandbox.sandbox.deployment
    buckets = (names.raw_bucket, names.refined_bucket)
    before = [object_versions(bucket) for bucket in buckets], pipeline.job_runs()
    files = pipeline.fire(pipeline.schedule(), MORNING_AFTER)
    assert {file["outcome"] for file in files} == {"unchanged"}
    assert ([object_versions(bucket) for bucket in buckets], pipeline.job_runs()) == before


def test_a_session_without_raw_quotes_fails_and_changes_nothing(in_sandbox: Deployed) -> None:
    pipeline, bucket = in_sandbox.pipeline, in_sandbox.sandbox.deployment.refined_bucket
    before = object_versions(bucket, "refined/"), pipeline.registered_partitions()
    job_run = pipeline.watch(pipeline.start_job(date(2025, 3, 5)))
    assert job_run.state == "FAILED"
    assert "2025-03-05" in job_run.message
    assert (object_versions(bucket, "refined/"), pipeline.registered_partitions()) == before


class Republished(SimulatedSource):
    """A B3 that has published a session again, without some of its lines."""

    def __init__(self, session: date, without: str) -> None:
        super().__init__(SESSIONS, MARKET)
        self.session = session
        self.left = [quote for quote in quotes_of(session) if quote.codisi != without]

    def quotes(self, name: str) -> Document | None:
        if name != daily_zip_name(self.session):
            return None
        text = encode_session(self.session, self.left)
        return Document(
            body=zip_file(text, daily_member_name(self.session)),
            content_type="application/zip",
            last_modified=datetime.combine(self.session, datetime.min.time(), UTC) + timedelta(days=2),
        )


def test_a_ticker_that_b3_takes_back_goes_from_the_bucket_and_the_catalog(
    in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    pipeline, session = in_sandbox.pipeline, date(2025, 3, 10)
    gone = next(quote for quote in quotes_of(session) if quote.tpmerc == "010")

    request.addfinalizer(lambda: remove_sessions(in_sandbox, [session]))
    for source in (SimulatedSource([session], MARKET), Republished(session, without=gone.codisi)):
        monkeypatch.setattr(in_sandbox.b3, "now", source)
        before = pipeline.job_runs()
        pipeline.fire(pipeline.schedule(), morning_after(session))
        job_runs = pipeline.watch_job_runs([session], before)
        assert [job_run.state for job_run in job_runs] == ["SUCCEEDED"]
        was_there = (session, gone.codneg) in pipeline.refined_folders()
        assert was_there == (not isinstance(source, Republished))
        assert pipeline.registered_partitions() == pipeline.refined_folders()
        assert pipeline.registered_sessions() == pipeline.compact_sessions()

    totals = pipeline.totals(session)
    left = [quote for quote in quotes_of(session) if quote.codisi != gone.codisi]
    assert (totals.lines, totals.volume) == (len(left), sum(quote.voltot for quote in left))
    assert totals.agree


def test_an_event_that_the_starter_cannot_use_ends_on_the_dead_letter_queue(in_sandbox: Deployed) -> None:
    names, s3, sqs = in_sandbox.sandbox.deployment, boto3.client("s3"), boto3.client("sqs")
    job_runs = in_sandbox.pipeline.job_runs()
    key = "raw/cotahist/trade_date=yesterday/daily.parquet"
    s3.put_object(Bucket=names.raw_bucket, Key=key, Body=b"")
    received = sqs.receive_message(QueueUrl=names.dead_letter_queue, WaitTimeSeconds=20)
    s3.delete_object(Bucket=names.raw_bucket, Key=key)
    (message,) = received["Messages"]
    assert "trade_date%3Dyesterday" in message["Body"]
    assert in_sandbox.pipeline.job_runs() == job_runs
    sqs.delete_message(QueueUrl=names.dead_letter_queue, ReceiptHandle=message["ReceiptHandle"])


def test_a_run_shows_every_stage_in_plain_lines_that_fit(in_sandbox: Deployed) -> None:
    shown = StringIO()
    request = Request(b3=SIMULATED, sessions=SESSIONS)
    run(in_sandbox.sandbox, request, Show(shown))
    lines = shown.getvalue().splitlines()
    for stage in ("Schedule", "Raw bucket", "S3 event, starter, Glue job", "Refined tables"):
        assert stage in lines
    assert {*SHOWN} <= {*lines}  # the headings of queries that the stack has
    assert "  nothing is new: no event, no job run" in lines
    quotes = quotes_of(SESSIONS[-1])
    volume = sum(quote.voltot for quote in quotes)
    assert any(f"2025-03-13: {len(quotes):,} quotes" in line and f"{volume:,} BRL" in line for line in lines)
    assert "\x1b" not in shown.getvalue()
    tables = lines[lines.index("Athena (DuckDB), named queries") :]
    assert max(len(line.rstrip()) for line in tables) <= 100


@pytest.mark.parametrize(
    ("table", "values", "without"),
    [
        ("refined_compact_table", ["2025-03-11"], r"a file 1 \(2025-03-11\)"),
        ("refined_table", ["2025-03-12", "GONE3"], r"a folder 1 \(2025-03-12 GONE3\)"),
    ],
)
def test_a_partition_of_nothing_fails_the_run(
    in_sandbox: Deployed, table: str, values: list[str], without: str
) -> None:
    names, glue = in_sandbox.sandbox.deployment, boto3.client("glue")
    where = {"DatabaseName": names.refined_database, "TableName": getattr(names, table)}
    glue.create_partition(**where, PartitionInput={"Values": values})
    try:
        with pytest.raises(StageError, match=f"without {without}"):
            run(in_sandbox.sandbox, Request(b3=SIMULATED, sessions=SESSIONS), Show(StringIO()))
    finally:
        glue.delete_partition(**where, PartitionValues=values)
