"""What the tests of the deployed pipeline share: its market, its sessions, and how its start went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.arguments import SCRIPT
from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import (
    ActionsSource,
    B3Server,
    CashHistoryRequest,
    Document,
    LevelsRequest,
    LevelsSource,
    PortfolioRequest,
    Source,
    SupplementRequest,
)
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.environment import Sandbox, is_free, start
from sandbox.pipeline import JobRun, Pipeline
from sandbox.trino.server import free_port
from tests.leading import lead_to

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

SESSIONS = (date(2025, 3, 12), date(2025, 3, 13))
MARKET = SimulatedMarket(seed=7, tickers=40, quotes=300)

_ports: list[int] = []


def morning_after(session: date) -> datetime:
    """07:00 in São Paulo on the day after a session; 08:00 in a summer before 2019."""
    return datetime.combine(session + timedelta(days=1), time(10), UTC)


MORNING_AFTER = morning_after(SESSIONS[-1])


class ChangingSource:
    """A B3 whose content a test can change while it is running.

    It knows no issuer, unless a test sets `actions`.
    """

    def __init__(self, source: Source) -> None:
        self.now = source
        self.actions: ActionsSource | None = None

    @contextmanager
    def serving(self, source: Source) -> Iterator[None]:
        """Have it serve another source meanwhile."""
        served, self.now = self.now, source
        try:
            yield
        finally:
            self.now = served

    def quotes(self, name: str) -> Document | None:
        return self.now.quotes(name)

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        return self.now.portfolio(request)

    def levels(self, request: LevelsRequest) -> Document | None:
        return self.now.levels(request) if isinstance(self.now, LevelsSource) else None

    def supplement(self, request: SupplementRequest) -> Document | None:
        return self.actions.supplement(request) if self.actions else None

    def cash_history(self, request: CashHistoryRequest) -> Document | None:
        return self.actions.cash_history(request) if self.actions else None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The sandbox after its first morning.

    Attributes:
        sandbox: The sandbox.
        pipeline: The pipeline in it.
        b3: What the pipeline's B3 serves.
        server: That B3.
        files: What the scraper said of the first morning.
        job_runs: The job runs that followed.
    """

    sandbox: Sandbox
    pipeline: Pipeline
    b3: ChangingSource
    server: B3Server
    files: list[dict[str, Any]]
    job_runs: list[JobRun]


def port_for_b3() -> int:
    """A port to serve a B3 on, one of before if it is free again: stacks that ask it are deployed once."""
    if not (free := [port for port in _ports if is_free(port)]):
        _ports.append(free_port())
        return _ports[-1]
    return free[0]


@contextmanager
def started(
    folder: Path,
    b3: B3Server,
    environment: pytest.MonkeyPatch,
    *,
    lookback: int = len(SESSIONS),
    job: str = SCRIPT,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Sandbox]:
    """A sandbox to which the environment leads; its arguments are those of `sandbox.environment.start`."""
    # Until an event that failed is tried again, which on AWS takes minutes
    environment.setenv("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.1")
    show = Show(StringIO())
    with start(folder, b3=b3, lookback=lookback, show=show, job=job, settings=settings) as sandbox:
        lead_to(sandbox.aws, environment)
        yield sandbox


@contextmanager
def deploying(folder: Path) -> Iterator[Deployed]:
    """The stack, deployed, with `SESSIONS` taken from the simulated market by one firing of the schedule.

    Args:
        folder: An empty folder.
    """
    b3 = ChangingSource(SimulatedSource(SESSIONS, MARKET))
    with B3Server(b3, port=port_for_b3()) as server, ExitStack() as running:
        with pytest.MonkeyPatch.context() as environment:
            sandbox = running.enter_context(started(folder, server, environment))
            pipeline = Pipeline(sandbox.deployment)
            files = pipeline.fire(pipeline.schedule(), MORNING_AFTER)
            job_runs = pipeline.watch_job_runs(SESSIONS, before=[])
            sandbox.refresh_lake()
        yield Deployed(
            sandbox=sandbox, pipeline=pipeline, b3=b3, server=server, files=files, job_runs=job_runs
        )


def quotes_of(session: date) -> list[Quote]:
    """The quotes that the market made for a session."""
    return MARKET.session(session)


def remove_sessions(deployed: Deployed, sessions: Iterable[date]) -> None:
    """Take sessions, and what backfills noted, out of the lake: other tests ask for its last ones."""
    names = deployed.sandbox.deployment
    days = {str(day) for day in sessions}
    s3 = boto3.client("s3")
    for bucket in (names.raw_bucket, names.refined_bucket):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [item["Key"] for item in page.get("Contents", [])]
            gone: list[ObjectIdentifierTypeDef] = [
                {"Key": key}
                for key in keys
                if set(re.findall(r"_date=([^/]+)/", key)) & days or key.startswith("backfill/")
            ]
            if gone:
                assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})
    glue = boto3.client("glue")
    database = names.refined_database
    for table in (table["Name"] for table in glue.get_tables(DatabaseName=database)["TableList"]):
        pages = glue.get_paginator("get_partitions").paginate(
            DatabaseName=database, TableName=table, ExcludeColumnSchema=True
        )
        there = [partition["Values"] for page in pages for partition in page["Partitions"]]
        # One by one: MiniStack has no BatchDeletePartition
        delete = partial(glue.delete_partition, DatabaseName=database, TableName=table)
        with ThreadPoolExecutor(4) as threads:
            deleted = [
                threads.submit(delete, PartitionValues=values) for values in there if values[0] in days
            ]
        for each in deleted:
            each.result()
