"""Between the raw bucket and the job, and in the catalog: events, the starter, Glue, and people's hands."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scraper.daily.ingest import Outcome
from tests.faults.bench import Bench, volume_made
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.faults, pytest.mark.sandbox, pytest.mark.xdist_group("events")]

_SECONDS = 240


def _take(bench: Bench, *days: date) -> None:
    """Ingest sessions and wait until the job has refined them."""
    bench.serve(*days)
    before = bench.pipeline.job_runs()
    for day in days:
        assert bench.morning(day)[f"cotahist {day}"].outcome == Outcome.NEW
    assert {run.state for run in bench.wait_for(days, before)} == {"SUCCEEDED"}


def _event(bench: Bench, *days: date) -> bytes:
    """What S3 tells of raw sessions."""
    records = [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": bench.sandbox.deployment.raw_bucket},
                "object": {"key": f"raw/cotahist/trade_date%3D{day}/daily.parquet"},
            },
        }
        for day in days
    ]
    return json.dumps({"Records": records}).encode()


def _deliver(bench: Bench, *events: bytes) -> None:
    for event in events:
        boto3.client("lambda").invoke(
            FunctionName=bench.sandbox.deployment.starter_function, InvocationType="Event", Payload=event
        )


def _files(bench: Bench, day: date) -> dict[str, tuple[str, str]]:
    """ETag and version of every refined file of a session."""
    s3, bucket = boto3.client("s3"), bench.sandbox.deployment.refined_bucket
    found = {}
    for folder in ("refined", "refined_compact"):
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=f"{folder}/trade_date={day}/"
        )
        for page in pages:
            for item in page.get("Versions", []):
                found[f"{item['Key']} {item['VersionId']}"] = (item["Key"], item["ETag"])
    return found


def _is_whole(bench: Bench, *days: date) -> None:
    lake = bench.lake()
    for day in days:
        assert (lake.raw[day], lake.sessions[day]) == (["daily.parquet"], 1)
        assert bench.volume_in_every_table(day) == volume_made(day)


def test_duplicate_events_out_of_order_and_two_at_once_change_nothing(bench: Bench) -> None:
    first, second = date(2025, 6, 2), date(2025, 6, 3)
    _take(bench, first, second)
    before, files = bench.pipeline.job_runs(), (_files(bench, first), _files(bench, second))
    # The later session first, one event with both, and each once more
    _deliver(
        bench,
        _event(bench, second),
        _event(bench, first),
        _event(bench, second, first),
    )
    runs = _wait_for_runs(bench, before, 4)
    assert sorted((run.trade_date, run.state) for run in runs) == [
        *[(str(first), "SUCCEEDED")] * 2,
        *[(str(second), "SUCCEEDED")] * 2,
    ]
    assert (_files(bench, first), _files(bench, second)) == files, "not one file was written again"
    _is_whole(bench, first, second)


def _wait_for_runs(bench: Bench, before: Sequence[Any], count: int) -> list[Any]:
    """Wait until so many more runs have ended."""
    old = {run.id for run in before}
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        runs = [run for run in bench.pipeline.job_runs() if run.id not in old]
        if len(runs) >= count and all(run.has_ended for run in runs):
            return runs
        time.sleep(0.2)
    raise AssertionError(f"{len(runs)} of {count} runs after {_SECONDS} s: {runs}")


def test_a_raw_file_put_by_hand_with_a_wrong_schema_is_refused_and_the_session_stays(bench: Bench) -> None:
    day = date(2025, 6, 4)
    _take(bench, day)
    before, lake, files = bench.pipeline.job_runs(), bench.lake(), _files(bench, day)
    wrong = io.BytesIO()
    pq.write_table(pa.table({"codneg": ["ZXAA3"], "preult": [1.5]}), wrong)
    key = f"raw/cotahist/trade_date={day}/daily.parquet"
    boto3.client("s3").put_object(Bucket=bench.sandbox.deployment.raw_bucket, Key=key, Body=wrong.getvalue())
    (run,) = _wait_for_runs(bench, before, 1)
    assert run.state == "FAILED"
    assert key in run.message
    assert "column preult: expected decimal(13,2), found double" in run.message
    assert (bench.lake().wide, bench.lake().compact, _files(bench, day)) == (lake.wide, lake.compact, files)

    # The next morning asks B3 for the last session again, and puts its file back
    before = bench.pipeline.job_runs()
    assert bench.morning(day, hour=9)[f"cotahist {day}"].outcome == Outcome.NEW
    bench.wait_for([day], before)
    _is_whole(bench, day)
    assert _files(bench, day) == files


@contextmanager
def _starter_through(bench: Bench, proxy: Proxy) -> Iterator[None]:
    """Lead the deployed starter's calls of Glue through a proxy."""
    functions, name = boto3.client("lambda"), bench.sandbox.deployment.starter_function
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    through = {**variables, "AWS_ENDPOINT_URL_GLUE": proxy.endpoint}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": through})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


REFUSALS = {
    date(2025, 6, 5): ("ThrottlingException", 3),
    date(2025, 6, 6): ("ConcurrentRunsExceededException", 2),
    date(2025, 6, 9): ("ResourceNumberLimitExceededException", 2),
}
"""How often Glue refuses to start the run of a session, and why: throttled, too many runs, no capacity."""


def test_a_starter_that_glue_refuses_for_a_while_starts_the_run_in_the_end(bench: Bench) -> None:
    with Proxy(bench.sandbox.aws.endpoint) as proxy, _starter_through(bench, proxy):
        for day, (code, times) in REFUSALS.items():
            proxy.refuse(str(day), code, times)
        _take(bench, *REFUSALS)
        assert proxy.refused == dict(REFUSALS.values())
        assert proxy.forwarded == {"StartJobRun": len(REFUSALS)}
    _is_whole(bench, *REFUSALS)


def test_an_event_that_glue_never_takes_waits_on_the_dead_letter_queue_and_loses_nothing(
    bench: Bench,
) -> None:
    day, names = date(2025, 6, 10), bench.sandbox.deployment
    bench.serve(day)
    with Proxy(bench.sandbox.aws.endpoint) as proxy, _starter_through(bench, proxy):
        proxy.refuse(str(day), "ResourceNumberLimitExceededException", 1_000)
        assert bench.morning(day)[f"cotahist {day}"].outcome == Outcome.NEW
        queue = boto3.client("sqs")
        deadline = time.monotonic() + _SECONDS
        waiting: list[Any] = []
        while not waiting and time.monotonic() < deadline:
            found = queue.receive_message(
                QueueUrl=names.dead_letter_queue, WaitTimeSeconds=5, VisibilityTimeout=0
            )
            waiting = found.get("Messages", [])
    (message,) = waiting
    assert str(day) in message["Body"]
    assert day not in bench.lake().sessions

    before = bench.pipeline.job_runs()
    _deliver(bench, message["Body"].encode())
    bench.wait_for([day], before)
    _is_whole(bench, day)
    queue.purge_queue(QueueUrl=names.dead_letter_queue)
