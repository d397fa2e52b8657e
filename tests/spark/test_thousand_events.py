"""A thousand events over twenty sessions: duplicate, shuffled, four runs at a time.

The events go to the real starter. What it starts is put into a queue, as Glue does it, and the real job works
it off in this process, four runs at once where Glue would have one: so runs of one session meet, too.
"""

from __future__ import annotations

import json
import queue
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
import urllib3

from refinement.run import main
from sandbox.ministack import MiniStack
from tests.faults.proxy import Proxy
from tests.lambda_functions import load
from tests.spark.raw_files import RAW, REFINED, Lake
from tests.spark.rows import cash, odd_lot, option

pytestmark = [pytest.mark.long_faults, pytest.mark.xdist_group("spark")]

EVENTS, RUNS_AT_ONCE = 1_000, 4
DAYS = [date(2031, 3, 3) + timedelta(days=number) for number in range(20)]


class RunQueue(Proxy):
    """The emulator's Glue, but for job runs, which it only queues."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.runs: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        if not headers.get("X-Amz-Target", "").endswith(".StartJobRun"):
            return super().forward(method, path, headers, body)
        self.runs.put(json.loads(body)["Arguments"])
        run_id = f"jr_{self.forwarded['StartJobRun']}"
        return urllib3.HTTPResponse(
            json.dumps({"JobRunId": run_id}).encode(), {"Content-Type": "application/x-amz-json-1.1"}, 200
        )


def _event(day: date) -> dict[str, Any]:
    key = f"raw/cotahist/trade_date%3D{day}/daily.parquet"
    return {"Records": [{"s3": {"bucket": {"name": RAW}, "object": {"key": key}}}]}


def _put_sessions(lake: Lake) -> None:
    for number, day in enumerate(DAYS):
        stocks = [cash(voltot=Decimal(number + 1)), odd_lot(), option("ZZAAC10")]
        # Every third session has one stock more
        lake.put_session([*stocks, *[cash("ZZBB4", codisi="BRZZBBACNPR0")] * (number % 3 == 0)], day)


def _contents(lake: Lake) -> tuple[Any, ...]:
    files = {key: body for key, (_version, body) in lake.files().items()}
    return files, lake.partitions(), lake.partitions("_compact")


def _empty(lake: Lake) -> None:
    s3 = boto3.client("s3")
    for key in lake.files():
        s3.delete_object(Bucket=REFINED, Key=key)
    lake.glue.delete_database(Name=lake.database)


def test_a_thousand_events_end_in_the_lake_of_twenty(
    lake: Lake, aws: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_sessions(lake)
    for day in DAYS:
        lake.run("--trade_date", str(day))
    clean = _contents(lake)
    assert len(clean[0]) == 20 + 20 + 7, "compact files, and wide ones of one or two stocks a session"
    _empty(lake)

    names = ["--raw_bucket", RAW, "--refined_bucket", REFINED]
    names += ["--refined_database", lake.database, "--refined_table", lake.table]
    days = [DAYS[number % len(DAYS)] for number in range(EVENTS)]
    random.Random(20).shuffle(days)  # noqa: S311 - the same order each time
    monkeypatch.setenv("GLUE_JOB_NAME", "refine")
    starter = load("start_refine")

    def work() -> int:
        done = 0
        while (arguments := glue.runs.get())["--trade_date"] != "end":
            main([*(part for pair in arguments.items() for part in pair), *names])
            done += 1
        return done

    with RunQueue(aws.endpoint) as glue, ThreadPoolExecutor(2 * RUNS_AT_ONCE) as threads:
        monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", glue.endpoint)
        workers = [threads.submit(work) for _ in range(RUNS_AT_ONCE)]
        started = threads.map(lambda day: starter.handler(_event(day), None)["job_run_ids"], days)
        assert sum(len(runs) for runs in started) == EVENTS
        for _ in workers:
            glue.runs.put({"--trade_date": "end"})
        assert sum(worker.result() for worker in workers) == EVENTS
        assert glue.forwarded["StartJobRun"] == EVENTS
        monkeypatch.delenv("AWS_ENDPOINT_URL_GLUE")

    assert _contents(lake) == clean
