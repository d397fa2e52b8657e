"""The Lambda handler: events, what it logs, returns and raises."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

import scraper.daily.handler
from sandbox.b3.formats import Quote, encode_session, zip_file
from sandbox.b3.server import REQUEST_REJECTED, Answer, B3Server
from scraper.daily.handler import EventError, handler
from scraper.daily.ingest import IngestError
from scraper.runtime.metrics import Metric
from scraper.runtime.telemetry import powertools
from tests.fixtures.both_ends import Bucket, Log, Shelves
from tests.lambda_functions import CONTEXT, Context

FRIDAY = date(2024, 11, 8)
# 07:00 in São Paulo
MONDAY_MORNING = {"scheduled_time": "2024-11-11T10:00:00Z"}


@pytest.fixture(autouse=True)
def function(terminal: None, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's environment."""
    monkeypatch.setenv("LOOKBACK_SESSIONS", "2")
    monkeypatch.setenv("CORPORATE_ACTIONS_CALLS", "0")


def test_a_morning_takes_the_portfolio_and_the_sessions_of_the_day_that_it_was_scheduled_for(
    bucket: Bucket, shelves: Shelves
) -> None:
    # The clock says years later
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(date(2024, 11, 11), "ZZAA3")
    shelves.levels_of["IBOV"] = {FRIDAY: Decimal("50100.80")}
    summary = handler(MONDAY_MORNING, CONTEXT)
    assert json.loads(json.dumps(summary)) == summary
    assert [(item["source"], item["date"], item["outcome"]) for item in summary] == [
        ("index_portfolio", "2024-11-11", "new"),
        ("cotahist", "2024-11-08", "new"),
        ("cotahist", "2024-11-07", "no session"),
        ("index_level", "2024-11-08", "new"),
    ]
    assert sorted(item["key"] for item in summary if "key" in item) == bucket.keys()


def test_a_date_takes_exactly_that_session_and_tells_nothing_of_what_is_missing(
    shelves: Shelves, log: Log
) -> None:
    shelves.put_session(date(2003, 2, 12))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    summary = handler({"date": "2003-02-12"}, CONTEXT)
    assert [(item["source"], item["date"]) for item in summary] == [
        ("index_portfolio", "2024-11-08"),
        ("cotahist", "2003-02-12"),
        ("index_level", "2003-02-12"),
    ]
    assert of_files(log)["SessionsIngested"] == 1
    assert missing(log) == []


def test_without_a_time_the_clock_says_what_d_1_is(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Mock(return_value=[])
    monkeypatch.setattr(scraper.daily.handler, "run", run)
    before = datetime.now(UTC)
    handler({}, CONTEXT)
    assert before <= run.call_args.kwargs["now"] <= datetime.now(UTC)


def test_what_failed_is_raised_after_the_rest_is_done(bucket: Bucket, b3: B3Server, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_session(date(2024, 11, 7))
    b3.script("/indexProxy/", [Answer(status=400)])
    b3.script("/InstDados/SerHist/COTAHIST_D08112024.ZIP", [Answer(body=b"no ZIP")])
    with pytest.raises(IngestError) as raised:
        handler(MONDAY_MORNING, CONTEXT)
    message = str(raised.value)
    assert message.startswith("2 of 4 files were not ingested. index_portfolio IBOV: failed: ")
    assert " | cotahist 2024-11-08: invalid: " in message
    assert [key.split("/")[0] for key in bucket.keys()] == ["quarantine", "raw"]  # noqa: SIM118 - a method of ours


def test_refusals_are_raised_and_their_sessions_count_as_missing(b3: B3Server, log: Log) -> None:
    b3.script("/indexProxy/", [REQUEST_REJECTED])
    b3.script("/InstDados/", [Answer(body=b"<html></html>")] * 2)
    with pytest.raises(IngestError, match=r"cotahist 2024-11-07: refused: .*D07112024\.ZIP: an HTML page"):
        handler(MONDAY_MORNING, CONTEXT)
    blobs = log.metrics()
    assert [blob[Metric.SESSIONS_MISSING] for blob in blobs if Metric.SESSIONS_MISSING in blob] == [[2.0]]
    assert [blob[Metric.FILES_FAILED] for blob in blobs if Metric.FILES_FAILED in blob] == [[3.0]]


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
        handler(event, CONTEXT)
    assert b3.requests_seen == []


def test_each_result_is_a_json_line_of_the_log(shelves: Shelves, log: Log) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    summary = handler(MONDAY_MORNING, CONTEXT)
    lines = [line for line in log.lines() if "result" in line]
    assert [line["result"] for line in lines] == summary
    assert [(line["level"], line["message"], line["session_date"]) for line in lines] == [
        ("INFO", "index_portfolio IBOV 2024-11-08: new", "2024-11-08"),
        ("INFO", "cotahist 2024-11-08: new", "2024-11-08"),
        ("INFO", "cotahist 2024-11-07: no session", "2024-11-07"),
        ("INFO", "index_level IBOV 2024-11-08: not yet published", "2024-11-08"),
    ]


def test_every_line_has_the_session_and_the_run(shelves: Shelves, b3: B3Server, log: Log) -> None:
    # A line of the client's own, which knows of no session, and one of a library's
    shelves.put_session(FRIDAY)
    shelves.put_session(date(2024, 11, 7))
    b3.script("/InstDados/SerHist/COTAHIST_D07112024.ZIP", [Answer(status=503)])
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler(MONDAY_MORNING, CONTEXT)
    logging.getLogger("some.library").warning("of its own")
    lines = log.lines()
    for line in lines:
        assert line["session_date"] in {"2024-11-08", "2024-11-07"}, line
        assert line["scheduled_time"] == "2024-11-11T10:00:00+00:00"
        assert line["function_request_id"] == CONTEXT.aws_request_id
        assert line["service"] == powertools.service
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    (retry,) = (line for line in lines if "trying again" in line["message"])
    assert (retry["session_date"], retry["level"]) == ("2024-11-07", "WARNING")
    assert lines[-1]["message"] == "of its own"
    for blob in log.metrics():
        assert (blob["session_date"], blob["function_request_id"]) == ("2024-11-08", CONTEXT.aws_request_id)


def test_an_invocation_does_not_carry_what_the_one_before_was_about(log: Log) -> None:
    with pytest.raises(IngestError):
        handler(MONDAY_MORNING, CONTEXT)
    with pytest.raises(EventError):
        handler({"date": "yesterday"}, Context(aws_request_id="second"))
    logging.getLogger("scraper").info("after it")
    last = log.lines()[-1]
    assert (last["message"], last["function_request_id"]) == ("after it", "second")
    assert "session_date" not in last


def test_a_run_that_breaks_off_says_so_on_one_line_with_its_session(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAW_BUCKET", "no-such-bucket-here")
    with pytest.raises(ClientError):
        handler(MONDAY_MORNING, CONTEXT)
    line = log.lines()[-1]
    assert (line["level"], line["message"], line["session_date"]) == (
        "ERROR",
        "the run did not come to its end",
        "2024-11-08",
    )
    assert "Traceback" in line["exception"]
    assert line["exception_name"] == "NoSuchBucket"
    assert log.metrics() == []


# Metrics


def of_files(log: Log) -> dict[str, Any]:
    """The metrics of the files of the only run, by name."""
    (blob,) = (blob for blob in log.metrics() if "SessionsIngested" in blob)
    return values(blob)


def values(blob: dict[str, Any]) -> dict[str, Any]:
    """Names and values, as the embedded metric format declares them."""
    (declared,) = blob["_aws"]["CloudWatchMetrics"]
    found = {metric["Name"]: blob[metric["Name"]] for metric in declared["Metrics"]}
    assert all(len(value) == 1 for value in found.values())
    return {name: value[0] for name, value in found.items()}


def missing(log: Log) -> list[float]:
    """`SessionsMissing` of each run."""
    return [values(blob)["SessionsMissing"] for blob in log.metrics() if "SessionsMissing" in blob]


def test_what_a_run_wrote_and_refused_and_could_not_have_becomes_metrics(
    b3: B3Server, shelves: Shelves, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBACK_SESSIONS", "3")
    shelves.put_session(FRIDAY, Quote(voltot=Decimal("10.10")), Quote(voltot=Decimal("0.20"), tpmerc="020"))
    shelves.put_session(date(2024, 11, 7), Quote(voltot=Decimal("5.00")))
    b3.script("/InstDados/SerHist/COTAHIST_D06112024.ZIP", [Answer(body=b"no ZIP")])
    b3.script("/indexProxy/", [Answer(status=400)])
    with pytest.raises(IngestError):
        handler(MONDAY_MORNING, CONTEXT)
    assert of_files(log) == {
        "SessionsIngested": 2,
        "RowsIngested": 3,
        "VolumeIngested": 15.30,
        "FilesQuarantined": 1,
        "FilesFailed": 1,
        "OddValuesKept": 0,
        "CorporateActionsFailed": 0,
        "NewsInFiles": 0,
    }
    assert missing(log) == [1]  # the refused one


def test_odd_values_that_were_kept_become_a_metric(shelves: Shelves, log: Log) -> None:
    odd = encode_session(FRIDAY, [Quote()] * 3).replace(b"SIMULADA ", b"SIMULADA\x92")
    shelves.files["COTAHIST_D08112024.ZIP"] = zip_file(odd, "A")
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    shelves.pages["IBOV"] = [shelves.pages["IBOV"][0].replace(b"1.000.000,00000000", b"n/d")]
    handler(MONDAY_MORNING, CONTEXT)
    assert of_files(log)["OddValuesKept"] == 4
    assert of_files(log)["FilesQuarantined"] == 0


def test_what_is_new_is_logged_returned_and_counted_once_and_fails_nothing(
    shelves: Shelves, log: Log
) -> None:
    shelves.put_session(FRIDAY, Quote(tpmerc="099", codbdi="Z9"))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    _, friday, *_ = handler(MONDAY_MORNING, CONTEXT)
    told = [
        f"{kind}, in no table and not seen before (quotes: 1)" for kind in ("TPMERC '099'", "CODBDI 'Z9'")
    ]
    assert [*friday["news"]] == told
    warnings = [line["message"] for line in log.lines() if ": new: " in line["message"]]
    assert warnings == [f"cotahist 2024-11-08: new: {news}" for news in told]
    assert of_files(log)["NewsInFiles"] == 2
    shelves.put_session(date(2024, 11, 7), Quote(tpmerc="099", codbdi="Z9"))
    handler(MONDAY_MORNING, CONTEXT)
    assert [blob["NewsInFiles"] for blob in log.metrics() if "NewsInFiles" in blob] == [[2.0], [0.0]]


def test_the_metrics_are_of_the_stack_alone(
    shelves: Shelves, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "Second")
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler(MONDAY_MORNING, CONTEXT)
    for blob in log.metrics():
        (declared,) = blob["_aws"]["CloudWatchMetrics"]
        assert (declared["Namespace"], declared["Dimensions"], blob["service"]) == (
            "BovespaPipeline",
            [["service"]],
            "Second",
        )
    # The ten that CloudWatch does not charge for leave room for those of others
    assert len({name for blob in log.metrics() for name in values(blob)}) == len(Metric) == 9


def test_a_session_that_b3_does_not_have_yet_is_missing_until_it_says_that_there_was_none(
    shelves: Shelves, log: Log
) -> None:
    shelves.put_session(date(2024, 11, 7))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler({"scheduled_time": "2024-11-09T10:00:00Z"}, CONTEXT)  # Saturday: Friday's may still come
    handler({"scheduled_time": "2024-11-10T10:00:00Z"}, CONTEXT)
    assert missing(log) == [1, 0]


def test_a_session_that_is_there_is_not_missing_when_b3_can_no_longer_be_reached(
    b3: B3Server, shelves: Shelves, log: Log
) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_session(date(2024, 11, 7))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler(MONDAY_MORNING, CONTEXT)
    b3.script("/InstDados/SerHist/COTAHIST_D08112024.ZIP", [Answer(status=400)])
    with pytest.raises(IngestError):
        handler(MONDAY_MORNING, CONTEXT)
    assert missing(log) == [0, 0]


@pytest.mark.filterwarnings("ignore:This metric doesn't meet")  # CloudWatch's two weeks, which 2024 is not in
@pytest.mark.parametrize(
    ("scheduled", "told_of"),
    [
        ("2024-11-11T10:00:00+00:00", "2024-11-11T07:00:00-03:00"),
        ("2024-11-11T14:00:00+00:00", "2024-11-11T11:00:00-03:00"),
        ("2024-11-11T18:00:00+00:00", "2024-11-11T11:29:00-03:00"),
        ("2024-11-12T02:59:00+00:00", "2024-11-11T11:29:00-03:00"),
    ],
)
def test_what_is_missing_is_told_of_the_morning_of_the_run_however_late_it_is(
    shelves: Shelves, log: Log, scheduled: str, told_of: str
) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    handler({"scheduled_time": scheduled}, CONTEXT)
    (blob,) = (blob for blob in log.metrics() if "SessionsMissing" in blob)
    assert blob["_aws"]["Timestamp"] == datetime.fromisoformat(told_of).timestamp() * 1000
