"""The bench on which the pipeline meets its faults: a deployed stack, a B3 that can be broken, one lake.

The scraper runs in this process, with a client that waits less than the deployed one, against a real HTTP
server and the emulator's S3; its objects set off the deployed notification, starter and job. What is in the
lake is asked of AWS's APIs and of Athena, and compared with what the market made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import boto3

from sandbox.b3.formats import daily_member_name, daily_zip_name, encode_session, zip_file
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import QUOTES_PATH, Answer, B3Server, Document, PortfolioRequest, SeenRequest
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline
from scraper.b3.calendar import SAO_PAULO
from scraper.b3.client import B3Client
from scraper.daily.ingest import Result, ingest
from scraper.raw.bucket import RawBucket

MARKET = SimulatedMarket(seed=11, tickers=31, quotes=120)


class BrokenB3(B3Server):
    """A B3 some of whose addresses have a fault until somebody mends them.

    Attributes:
        faults: What is answered below an address.
    """

    def __init__(self, source: Any, *, port: int = 0) -> None:
        super().__init__(source, port=port)
        self.faults: dict[str, Answer] = {}

    def answer(self, seen: SeenRequest) -> Answer:
        fault = next((answer for path, answer in self.faults.items() if seen.path.startswith(path)), None)
        return fault or super().answer(seen)


class Shelf:
    """A B3 that serves what lies on it.

    Attributes:
        files: ZIPs, by their name.
        portfolio_page: The one page of the IBOV's portfolio.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.portfolio_page: bytes | None = None

    def quotes(self, name: str) -> Document | None:
        body = self.files.get(name)
        return None if body is None else Document(body=body, content_type="application/zip")

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        if request.index != "IBOV" or self.portfolio_page is None:
            return None
        return Document(body=self.portfolio_page, content_type="application/json")


@dataclass(frozen=True, kw_only=True)
class Lake:
    """What the lake holds.

    Attributes:
        raw: Objects in each session's raw partition.
        quarantined: Reason of each object in quarantine, by key.
        wide: Sessions and tickers with a file, which are also those in the catalog.
        compact: Sessions with a compact file, which are also those in the catalog.
    """

    raw: Mapping[date, list[str]]
    quarantined: Mapping[str, str]
    wide: frozenset[tuple[date, str]]
    compact: tuple[date, ...]

    @property
    def sessions(self) -> Counter[date]:
        """How many compact files each session has."""
        return Counter(self.compact)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The stack, and what may be broken.

    Attributes:
        sandbox: The sandbox.
        pipeline: The pipeline in it.
        b3: The server that stands for B3.
        shelf: What it serves where nothing is broken.
    """

    sandbox: Sandbox
    pipeline: Pipeline
    b3: BrokenB3
    shelf: Shelf

    def serve(self, *sessions: date) -> None:
        """Have B3 serve the files of sessions, with nothing wrong in them."""
        for session in sessions:
            self.shelf.files[daily_zip_name(session)] = good_zip(session)

    def morning(
        self,
        after: date,
        *,
        hour: int = 7,
        lookback: int = 1,
        base_url: str | None = None,
        indices: Sequence[str] = (),
    ) -> dict[str, Result]:
        """Run the scraper as on the day after a day; return the results by name."""
        client = B3Client(
            quotes_base_url=base_url or self.b3.base_url,
            index_base_url=base_url or self.b3.base_url,
            attempts=2,
            connect_timeout=1,
            read_timeout=1,
            deadline=3,
            sleep=lambda _seconds: None,
        )
        now = datetime.combine(after + timedelta(days=1), time(hour), SAO_PAULO)
        raw = RawBucket(self.sandbox.deployment.raw_bucket)
        results = ingest(client, raw, now=now, index_codes=indices, lookback_sessions=lookback)
        return {result.name: result for result in results}

    def wait_for(self, sessions: Sequence[date], before: Sequence[JobRun]) -> list[JobRun]:
        """Wait for the job runs that sessions start, and for every other one that goes on."""
        return self.pipeline.watch_job_runs(sessions, before)

    def lake(self) -> Lake:
        """Look at the lake, whose files and partitions must be the same."""
        names, s3 = self.sandbox.deployment, boto3.client("s3")
        wide, compact = self.pipeline.refined_folders(), self.pipeline.compact_sessions()
        assert wide == self.pipeline.registered_partitions()
        assert compact == self.pipeline.registered_sessions()
        raw: dict[date, list[str]] = {}
        quarantined = {}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=names.raw_bucket):
            for key in (item["Key"] for item in page.get("Contents", [])):
                if key.startswith("raw/cotahist/trade_date="):
                    _, _, partition, name = key.split("/")
                    raw.setdefault(date.fromisoformat(partition.removeprefix("trade_date=")), []).append(name)
                elif key.startswith("quarantine/"):
                    reason = s3.head_object(Bucket=names.raw_bucket, Key=key)["Metadata"]["reason"]
                    quarantined[key] = reason
        return Lake(raw=raw, quarantined=quarantined, wide=frozenset(wide), compact=tuple(compact))

    def volume_in_every_table(self, session: date) -> Decimal:
        """A session's volume, which raw, wide and compact table have to agree on."""
        totals = self.pipeline.totals(session)
        assert totals.agree, totals
        return totals.raw_volume


def good_zip(session: date) -> bytes:
    """A session's file."""
    return zip_file(encode_session(session, MARKET.session(session)), daily_member_name(session))


def path_of(session: date) -> str:
    """Where B3 has a session's file."""
    return f"{QUOTES_PATH}{daily_zip_name(session)}"


def volume_made(session: date) -> Decimal:
    """What the market made of a session [BRL]."""
    return sum((quote.voltot for quote in MARKET.session(session)), Decimal(0))
