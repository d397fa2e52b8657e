"""The starter, against the Glue API of an AWS emulator."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lake import keys
from sandbox.ministack import MiniStack
from tests.lambda_functions import load

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

DAILY = "raw/cotahist/trade_date=2024-11-08/daily.parquet"


starter = load("start_refine")


def test_the_keys_that_start_the_job_are_those_of_daily_files() -> None:
    """The function is deployed as one file: it has a copy of the lake's pattern."""
    assert starter._KEY.pattern == keys.DAILY_KEY.pattern
    assert starter._KEY.fullmatch(DAILY)
    assert keys.daily(date(2024, 11, 8)) == DAILY


def _event(*keys: str) -> dict[str, Any]:
    """An S3 event notification, with what the starter reads and what it does not."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "raw-bucket"}, "object": {"key": key, "size": 1024}},
            }
            for key in keys
        ]
    }


@pytest.fixture
def glue(aws: MiniStack) -> GlueClient:
    return boto3.client("glue")


@pytest.fixture
def job(glue: GlueClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"refine-{uuid.uuid4().hex[:8]}"
    glue.create_job(
        Name=name,
        Role="arn:aws:iam::000000000000:role/refine",
        Command={"Name": "pythonshell", "ScriptLocation": "s3://none"},  # of which the emulator runs nothing
    )
    monkeypatch.setenv("GLUE_JOB_NAME", name)
    yield name
    glue.delete_job(JobName=name)


@pytest.fixture
def arguments(glue: GlueClient, job: str) -> Callable[[], list[dict[str, str]]]:
    """The arguments of the runs that were started, sorted by date."""

    def read() -> list[dict[str, str]]:
        runs = glue.get_job_runs(JobName=job)["JobRuns"]
        return sorted((run.get("Arguments", {}) for run in runs), key=lambda each: each["--trade_date"])

    return read


@pytest.mark.usefixtures("job")
def test_each_run_is_asked_to_wait_behind_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session()
    asked: list[dict[str, Any]] = []
    session.events.register(
        "provide-client-params.glue.StartJobRun", lambda params, **_: asked.append(dict(params))
    )
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)

    starter.handler(_event(DAILY, DAILY.replace("08", "11")), None)

    assert [run["JobRunQueuingEnabled"] for run in asked] == [True, True]


def test_the_key_is_encoded_as_s3_does_it(arguments: Callable[[], list[dict[str, str]]]) -> None:
    starter.handler(_event("raw/cotahist/trade_date%3D2024-11-08/daily.parquet"), None)

    assert arguments() == [{"--trade_date": "2024-11-08"}]


def test_each_record_starts_a_run_whose_id_is_returned(
    glue: GlueClient, job: str, arguments: Callable[[], list[dict[str, str]]]
) -> None:
    returned = starter.handler(_event(DAILY, DAILY.replace("08", "11")), None)

    assert arguments() == [{"--trade_date": "2024-11-08"}, {"--trade_date": "2024-11-11"}]
    by_id = {
        run_id: glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]["Arguments"]["--trade_date"]
        for run_id in returned["job_run_ids"]
    }
    assert list(by_id.values()) == ["2024-11-08", "2024-11-11"]


@pytest.mark.usefixtures("job")
def test_each_run_that_is_started_is_a_line_of_the_log_with_its_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)  # as Lambda sets it, where a function asks for JSON
    returned = starter.handler(_event(DAILY, DAILY.replace("08", "11")), None)

    told = [record for record in caplog.records if hasattr(record, "job_run_id")]
    assert [(record.session_date, record.job_run_id) for record in told] == [  # type: ignore[attr-defined]
        ("2024-11-08", returned["job_run_ids"][0]),
        ("2024-11-11", returned["job_run_ids"][1]),
    ]
    assert [record.levelname for record in told] == ["INFO", "INFO"]


def test_the_event_that_s3_sends_when_the_notification_is_set_up_starts_nothing(
    arguments: Callable[[], list[dict[str, str]]],
) -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw-bucket"}

    assert starter.handler(event, None) == {"job_run_ids": []}
    assert arguments() == []


@pytest.mark.parametrize(
    "key",
    [
        "raw/cotahist/daily.parquet",
        "raw/cotahist/trade_date=/daily.parquet",
        "raw/cotahist/trade_date=20241108/daily.parquet",
        "raw/cotahist/trade_date=2024-11-08/backfill.parquet",
        "raw/index_portfolio/portfolio_date=2024-11-08/IBOV.parquet",
        "raw/cotahist/trade_date=2024-11-08/daily.parquet.tmp",
        "other/raw/cotahist/trade_date=2024-11-08/daily.parquet",
    ],
)
def test_a_key_that_is_no_session_s_is_an_error_that_names_it(
    arguments: Callable[[], list[dict[str, str]]], key: str
) -> None:
    with pytest.raises(starter.UnexpectedEvent) as refused:
        starter.handler(_event(key), None)

    assert repr(key) in str(refused.value)
    assert "expected raw/cotahist/trade_date=YYYY-MM-DD/daily.parquet" in str(refused.value)
    assert arguments() == []


def test_a_date_that_does_not_exist_is_an_error_that_names_it(
    arguments: Callable[[], list[dict[str, str]]],
) -> None:
    with pytest.raises(starter.UnexpectedEvent, match="2023-02-29 is not a date"):
        starter.handler(_event("raw/cotahist/trade_date=2023-02-29/daily.parquet"), None)

    assert arguments() == []


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({}, "{}"),
        (["Records"], "Records"),
        (None, "None"),
        ({"Records": []}, "'Records': \\[\\]"),
        ({"Records": "none"}, "'Records': 'none'"),
        ({"Records": [{"s3": {"object": {}}}]}, "'object': {}"),
        ({"Records": [{"s3": None}]}, "'s3': None"),
        ({"Records": [{"s3": {"object": {"key": 7}}}]}, "'key': 7"),
        ({"detail-type": "Object Created"}, "Object Created"),
    ],
)
def test_an_event_of_another_shape_is_an_error_that_shows_it(
    arguments: Callable[[], list[dict[str, str]]], event: object, named: str
) -> None:
    with pytest.raises(starter.UnexpectedEvent, match=named):
        starter.handler(event, None)

    assert arguments() == []


def test_one_bad_record_among_several_starts_none(arguments: Callable[[], list[dict[str, str]]]) -> None:
    with pytest.raises(starter.UnexpectedEvent):
        starter.handler(_event(DAILY, "raw/cotahist/trade_date=x/daily.parquet"), None)

    assert arguments() == []


def test_what_glue_refuses_is_raised_for_lambda_to_try_again(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLUE_JOB_NAME", "no-such-job")

    with pytest.raises(ClientError, match="EntityNotFoundException"):
        starter.handler(_event(DAILY), None)
