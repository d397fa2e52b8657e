"""What the tests of the deployed pipeline share: its market, its sessions, and how its start went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

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
