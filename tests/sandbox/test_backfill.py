"""History next to a daily session, in the deployed pipeline: what starts the job, and whether it adds up.

The annual file holds the daily session as well, as B3's do. Expectations come from the quotes that the market
generated and from AWS's APIs. What these sessions add to the lake goes at the end: other tests ask for its
last sessions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial

import boto3
import pytest

import operating.backfill
from sandbox.b3.sources import SimulatedSource
from sandbox.pipeline import JobRun
from scraper.__main__ import DONE, main
from scraper.history.handler import invoke
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, Deployed, quotes_of, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = tuple(date(2024, 3, day) for day in (4, 5, 6, 7, 8))
DAILY = date(2024, 3, 11)
COMMAND = ["backfill", "--from", str(HISTORY[0]), "--to", str(DAILY)]


@dataclass(frozen=True, kw_only=True)
class Backfilled:
    """The pipeline after the daily session and the history before it, and the job runs that they started."""

    deployed: Deployed
    job_runs: list[JobRun]

    @property
    def raw_bucket(self) -> str:
        """Name of the raw bucket."""
        return self.deployed.sandbox.deployment.raw_bucket

    def command(self, *more: str) -> int:
        """Run the command line on the deployed stack."""
        return main([*COMMAND, "--stack", self.deployed.sandbox.deployment.work_group, *more])


@pytest.fixture(scope="module")
def backfilled(deployed: Deployed) -> Iterator[Backfilled]:
    """History is loaded while the job refines the daily session."""
    names, source = deployed.sandbox.deployment, SimulatedSource([*HISTORY, DAILY], MARKET)
    with deployed.b3.serving(source), pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        environment.setenv("QUOTES_BASE_URL", deployed.server.base_url)
        environment.setattr(operating.backfill, "invoke", partial(invoke, poll_seconds=0.2))
        before = deployed.pipeline.job_runs()
        boto3.client("lambda").invoke(
            FunctionName=names.scraper_function, Payload=json.dumps({"date": str(DAILY)}).encode()
        )
        assert main([*COMMAND, "--stack", names.work_group]) == DONE
        deployed.pipeline.watch_job_runs([DAILY], before)
        runs = [run for run in deployed.pipeline.job_runs() if run not in before]
        yield Backfilled(deployed=deployed, job_runs=runs)
        remove_sessions(deployed, [*HISTORY, DAILY])


def keys(bucket: str, prefix: str) -> list[str]:
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def test_loading_history_next_to_a_daily_session_starts_exactly_two_runs(backfilled: Backfilled) -> None:
    assert sorted((run.arguments, run.state) for run in backfilled.job_runs) == [
        ("--start_date 2024-03-04 --end_date 2024-03-08", "SUCCEEDED"),
        ("--trade_date 2024-03-11", "SUCCEEDED"),
    ]


def test_a_partition_has_one_file_and_the_daily_one_wins(backfilled: Backfilled) -> None:
    assert keys(backfilled.raw_bucket, "raw/cotahist/trade_date=2024-") == [
        *(f"raw/cotahist/trade_date={day}/backfill.parquet" for day in HISTORY),
        f"raw/cotahist/trade_date={DAILY}/daily.parquet",
    ]


@pytest.mark.parametrize("session", [*HISTORY, DAILY])
def test_every_session_reconciles_from_the_generated_quotes_to_athena(
    backfilled: Backfilled, session: date
) -> None:
    totals = backfilled.deployed.pipeline.totals(session)
    quotes = quotes_of(session)
    assert totals.agree
    assert totals.quotes == len(quotes)
    assert totals.raw_volume == sum(quote.voltot for quote in quotes)
    assert totals.tickers > 0


def test_the_partitions_of_history_are_its_folders(backfilled: Backfilled) -> None:
    pipeline = backfilled.deployed.pipeline
    assert pipeline.registered_partitions() == pipeline.refined_folders()
    assert {*HISTORY, DAILY} <= {session for session, _ in pipeline.registered_partitions()}


def test_the_function_loads_what_the_command_line_loads(backfilled: Backfilled) -> None:
    """Deployed with its own role, bundle and layer, in a process of its own."""
    runs = backfilled.deployed.pipeline.job_runs()
    sessions = keys(backfilled.raw_bucket, "raw/")
    assert backfilled.command("--via", "lambda", "--refresh") == DONE
    s3 = boto3.client("s3")
    body = s3.get_object(Bucket=backfilled.raw_bucket, Key="backfill/COTAHIST_A2024.json")["Body"]
    manifest = json.load(body)
    assert manifest["request"]  # the command line's own manifest has none
    # The same bytes, so nothing was written, and there is nothing to refine
    assert (manifest["written"], manifest["unchanged"], manifest["to_refine"]) == (0, len(HISTORY), None)
    assert keys(backfilled.raw_bucket, "raw/") == sessions
    assert backfilled.deployed.pipeline.job_runs() == runs


def test_what_is_loaded_is_not_loaded_twice(
    backfilled: Backfilled, capsys: pytest.CaptureFixture[str]
) -> None:
    before = keys(backfilled.raw_bucket, "")
    assert backfilled.command() == DONE
    finished, _total, refinement = capsys.readouterr().out.splitlines()
    assert finished.split()[:4] == ["2024", "finished", "6", "sessions"]
    assert refinement == "range run: nothing new to refine"
    assert keys(backfilled.raw_bucket, "") == before
