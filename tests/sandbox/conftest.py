"""One sandbox for every test that needs the deployed stack: two sessions of a small simulated market."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest

from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.environment import start
from sandbox.pipeline import Pipeline
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, MORNING_AFTER, SESSIONS, ChangingSource, Deployed


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The stack, deployed, with `SESSIONS` taken from the simulated market by one firing of the schedule."""
    b3 = ChangingSource(SimulatedSource(SESSIONS, MARKET))
    folder = tmp_path_factory.mktemp("sandbox")
    with (
        B3Server(b3) as server,
        start(folder, b3=server, lookback=len(SESSIONS), show=Show(StringIO())) as sandbox,
    ):
        with pytest.MonkeyPatch.context() as environment:
            lead_to(sandbox.aws, environment)
            pipeline = Pipeline(sandbox.deployment)
            files = pipeline.fire(pipeline.schedule(), MORNING_AFTER)
            job_runs = pipeline.watch_job_runs(SESSIONS, before=[], seen=lambda _run: None)
            sandbox.refresh_lake()
        yield Deployed(
            sandbox=sandbox, pipeline=pipeline, b3=b3, server=server, files=files, job_runs=job_runs
        )


@pytest.fixture
def in_sandbox(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The deployed sandbox, with this process's environment leading boto3 to it."""
    lead_to(deployed.sandbox.aws, monkeypatch)
    return deployed
