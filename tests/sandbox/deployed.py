"""What the tests of the deployed pipeline share: its market, its sessions, and how its start went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import boto3

from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import Document, PortfolioRequest, Source
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline

SESSIONS = (date(2025, 3, 12), date(2025, 3, 13))
MORNING_AFTER = datetime(2025, 3, 14, 10, 0, tzinfo=UTC)  # 07:00 in São Paulo
MARKET = SimulatedMarket(seed=7, tickers=40, quotes=300)


class ChangingSource:
    """A B3 whose content a test can change while it is running."""

    def __init__(self, source: Source) -> None:
        self.now = source

    def quotes(self, name: str) -> Document | None:
        return self.now.quotes(name)

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        return self.now.portfolio(request)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The sandbox after its first morning.

    Attributes:
        sandbox: The sandbox.
        pipeline: The pipeline in it.
        b3: What the pipeline's B3 serves.
        files: What the scraper said of the first morning.
        job_runs: The job runs that followed.
    """

    sandbox: Sandbox
    pipeline: Pipeline
    b3: ChangingSource
    files: list[dict[str, Any]]
    job_runs: list[JobRun]


def quotes_of(session: date) -> list[Quote]:
    """The quotes that the market made for a session."""
    return MARKET.session(session)


def forget(deployed: Deployed, sessions: Iterable[date]) -> None:
    """Take sessions out of the buckets and the catalog, and what was loaded of their years."""
    names = deployed.sandbox.deployment
    days = [str(day) for day in sessions]
    s3 = boto3.client("s3")
    for bucket in (names.raw_bucket, names.refined_bucket):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                if item["Key"].startswith("backfill/") or any(f"_date={day}/" in item["Key"] for day in days):
                    s3.delete_object(Bucket=bucket, Key=item["Key"])
    glue = boto3.client("glue")
    tables = glue.get_tables(DatabaseName=names.refined_database)["TableList"]
    for table in (table["Name"] for table in tables):
        pages = glue.get_paginator("get_partitions").paginate(
            DatabaseName=names.refined_database, TableName=table
        )
        for values in [partition["Values"] for page in pages for partition in page["Partitions"]]:
            if values[0] in days:
                glue.delete_partition(
                    DatabaseName=names.refined_database, TableName=table, PartitionValues=values
                )
