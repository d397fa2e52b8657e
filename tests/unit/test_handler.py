"""The Lambda handler: events, what it logs, returns and raises."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from unittest.mock import Mock

import pytest

import scraper.handler
from sandbox.b3.server import Answer, B3Server
from scraper.handler import EventError, JsonLines, handler
from scraper.ingest import IngestError
from tests.unit.both_ends import Bucket, Shelves

FRIDAY = date(2024, 11, 8)
# 07:00 in São Paulo
MONDAY_MORNING = {"scheduled_time": "2024-11-11T10:00:00Z"}


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """What the function logs: Lambda's runtime puts a handler on the root logger before it loads one."""
    root = logging.getLogger()
    before = root.handlers[:]
    stream = io.StringIO()
    root.handlers[:] = [logging.StreamHandler(stream)]
    yield stream
    root.handlers[:] = before


@pytest.fixture(autouse=True)
def function(b3: B3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's environment."""
    monkeypatch.setenv("RAW_BUCKET", bucket.name)
    monkeypatch.setenv("QUOTES_BASE_URL", b3.base_url)
    monkeypatch.setenv("INDEX_BASE_URL", b3.base_url)
    monkeypatch.setenv("INDEX_CODES", "IBOV")
    monkeypatch.setenv("LOOKBACK_SESSIONS", "2")


def test_a_morning_takes_the_portfolio_and_the_sessions(bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(date(2024, 11, 11), "ZZAA3")
    summary = handler(MONDAY_MORNING, None)
    assert json.loads(json.dumps(summary)) == summary
    assert [(item["source"], item["date"], item["outcome"]) for item in summary] == [
        ("index_portfolio", "2024-11-11", "new"),
        ("cotahist", "2024-11-08", "new"),
        ("cotahist", "2024-11-07", "no session"),
    ]
    assert [item["key"] for item in summary if "key" in item] == bucket.keys()[::-1]


def test_a_late_invocation_still_means_the_day_that_it_was_scheduled_for(
    bucket: Bucket, shelves: Shelves
) -> None:
    # The clock says years later
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler(MONDAY_MORNING, None)
    assert "raw/cotahist/trade_date=2024-11-08/daily.parquet" in bucket.keys()  # noqa: SIM118 - a method of ours


def test_a_date_takes_exactly_that_session(shelves: Shelves) -> None:
    shelves.put_session(date(2003, 2, 12))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    summary = handler({"date": "2003-02-12"}, None)
    assert [(item["source"], item["date"]) for item in summary] == [
        ("index_portfolio", "2024-11-08"),
        ("cotahist", "2003-02-12"),
    ]


def test_without_a_time_the_clock_says_what_d_1_is(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Mock(return_value=[])
    monkeypatch.setattr(scraper.handler, "run", run)
    before = datetime.now(UTC)
    handler({}, None)
    assert before <= run.call_args.kwargs["now"] <= datetime.now(UTC)


def test_what_failed_is_raised_after_the_rest_is_done(bucket: Bucket, b3: B3Server, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_session(date(2024, 11, 7))
    b3.script("/indexProxy/", [Answer(status=400)])
    b3.script("/InstDados/SerHist/COTAHIST_D08112024.ZIP", [Answer(body=b"no ZIP")])
    with pytest.raises(IngestError) as raised:
        handler(MONDAY_MORNING, None)
    message = str(raised.value)
    assert message.startswith("2 of 3 files were not ingested. index_portfolio IBOV: failed: ")
    assert " | cotahist 2024-11-08: invalid: " in message
    assert [key.split("/")[0] for key in bucket.keys()] == ["quarantine", "raw"]  # noqa: SIM118 - a method of ours


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "key scheduled_time: found '<aws.sch"),
        ({"scheduled_time": "2024-11-11T10:00:00"}, "with its time zone"),
        ({"scheduled_time": None}, "key scheduled_time: found None"),
        ({"date": "11/08/2024"}, "key date: found '11/08/2024', expected YYYY-MM-DD"),
        ({"date": 20241108}, "key date: found 20241108"),
    ],
)
def test_an_event_that_is_not_understood_is_refused_by_name(
    event: dict[str, Any], message: str, b3: B3Server
) -> None:
    with pytest.raises(EventError, match=message):
        handler(event, None)
    assert b3.requests_seen == []


def test_each_result_is_a_json_line_of_the_log(shelves: Shelves, log: io.StringIO) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    summary = handler(MONDAY_MORNING, None)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["result"] for line in lines if "result" in line] == summary
    assert {"level": "INFO", "message": "cotahist 2024-11-08: new"}.items() <= lines[-3].items()


def test_an_exception_is_one_json_line_too(log: io.StringIO) -> None:
    handler_of_lambda = logging.getLogger().handlers[0]
    handler_of_lambda.setFormatter(JsonLines())
    try:
        int("wrong\nvalue")
    except ValueError:
        logging.getLogger("scraper").exception("%s: bad", "it")
    [line] = log.getvalue().splitlines()
    parsed = json.loads(line)
    assert (parsed["level"], parsed["message"]) == ("ERROR", "it: bad")
    assert "Traceback" in parsed["exception"]
