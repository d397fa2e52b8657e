"""Sessions that were not refined are announced to the job again, and no others."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from lake import keys
from scraper.daily import handler
from scraper.daily.unrefined import PATIENCE, announce
from scraper.raw.bucket import RawBucket
from scraper.runtime.metrics import Metric
from tests.fixtures.both_ends import Bucket, Log, Shelves
from tests.lambda_functions import CONTEXT

FRIDAY, THURSDAY = date(2024, 11, 8), date(2024, 11, 7)
MONDAY_MORNING = {"scheduled_time": "2024-11-11T10:00:00Z"}


@pytest.fixture
def refined(bucket: Bucket) -> str:
    """An empty refined bucket, beside the raw one."""
    name = f"refined-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def later() -> datetime:
    """When what arrives now has been waited for; of a run of all tests, minutes pass before this one."""
    return datetime.now(UTC) + PATIENCE + timedelta(minutes=5)


def put(bucket: Bucket, session: date, file: str = "daily") -> None:
    key = keys.daily(session) if file == "daily" else keys.backfill(session)
    metadata = {"source-sha256": "0" * 64, "reader-version": "2"}
    boto3.client("s3").put_object(Bucket=bucket.name, Key=key, Body=b"rows", Metadata=metadata)


def versions(bucket: Bucket, session: date) -> list[Any]:
    listed = boto3.client("s3").list_object_versions(Bucket=bucket.name, Prefix=keys.daily(session))
    return list(listed.get("Versions", []))


def test_one_that_nothing_was_made_of_is_written_over_itself(bucket: Bucket, refined: str) -> None:
    put(bucket, FRIDAY)
    assert announce(RawBucket(bucket.name), refined, [THURSDAY, FRIDAY], later()) == [FRIDAY]
    assert len(versions(bucket, FRIDAY)) == 2
    there = boto3.client("s3").get_object(Bucket=bucket.name, Key=keys.daily(FRIDAY))
    assert there["Body"].read() == b"rows"
    assert there["Metadata"] == {"source-sha256": "0" * 64, "reader-version": "2"}


def test_one_that_has_just_arrived_is_waited_for(bucket: Bucket, refined: str) -> None:
    put(bucket, FRIDAY)
    assert announce(RawBucket(bucket.name), refined, [FRIDAY]) == []
    assert len(versions(bucket, FRIDAY)) == 1


def test_one_that_is_refined_is_left_alone_and_history_too(bucket: Bucket, refined: str) -> None:
    put(bucket, FRIDAY)
    put(bucket, THURSDAY, "backfill")
    boto3.client("s3").put_object(
        Bucket=refined, Key=f"{keys.COMPACT}{FRIDAY}/{keys.REFINED_FILE}", Body=b"rows"
    )
    assert announce(RawBucket(bucket.name), refined, [THURSDAY, FRIDAY], later()) == []
    assert len(versions(bucket, FRIDAY)) == 1


@pytest.mark.usefixtures("terminal")
def test_a_morning_s_run_looks_at_its_whole_look_back(
    bucket: Bucket, refined: str, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    put(bucket, THURSDAY)
    monkeypatch.setattr("scraper.daily.unrefined.PATIENCE", timedelta(hours=-1))
    monkeypatch.setenv("REFINED_BUCKET", refined)
    monkeypatch.setenv("LOOKBACK_SESSIONS", "2")
    handler.handler(MONDAY_MORNING, CONTEXT)
    assert len(versions(bucket, THURSDAY)) == 2


@pytest.mark.usefixtures("terminal")
def test_what_is_missing_is_told_even_if_the_refined_bucket_refuses(
    shelves: Shelves, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the alarm would take every session for missing."""
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    monkeypatch.setenv("REFINED_BUCKET", f"there-is-none-{uuid4().hex[:12]}")
    monkeypatch.setenv("LOOKBACK_SESSIONS", "1")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        handler.handler(MONDAY_MORNING, CONTEXT)
    assert [line[Metric.SESSIONS_MISSING] for line in log.metrics() if Metric.SESSIONS_MISSING in line] == [
        [0.0]
    ]
