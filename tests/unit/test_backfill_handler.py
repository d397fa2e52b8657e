"""The backfill's function: its event, its answer through the bucket, and whoever waits for that."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.b3.formats import Quote
from sandbox.b3.server import Answer, B3Server
from scraper.daily.handler import EventError
from scraper.history.backfill import BackfillError, Outcome, Task
from scraper.history.handler import handler, invoke
from scraper.history.span import Span
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket, Log, Shelves
from tests.lambda_functions import CONTEXT

WEEK = [date(2024, 11, day) for day in (4, 5, 6, 7, 8)]
THIS_WEEK = Task(2024, Span(WEEK[0], WEEK[-1]))
EVENT = {"year": 2024, "from": "2024-11-04", "to": "2024-11-08", "request": "r1"}
MANIFEST, REPORT = "backfill/COTAHIST_A2024.json", "backfill/COTAHIST_A2024.failed.json"


@pytest.fixture(autouse=True)
def function(terminal: None, log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The function's environment."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def put_week(shelves: Shelves) -> None:
    shelves.put_year(2024, {day: [Quote(voltot=Decimal("1.10"))] for day in WEEK})


def test_a_year_is_loaded_and_the_manifest_carries_the_request(bucket: Bucket, shelves: Shelves) -> None:
    put_week(shelves)
    assert handler(EVENT, CONTEXT) == {"year": 2024, "outcome": "loaded"}
    manifest = json.loads(bucket.content(MANIFEST))
    assert (manifest["request"], manifest["written"], manifest["volume"]) == ("r1", 5, {"BRL": "5.50"})


def test_a_refused_year_is_reported_beside_the_manifest_and_success_takes_the_report_away(
    bucket: Bucket, shelves: Shelves
) -> None:
    put_week(shelves)
    whole = shelves.files["COTAHIST_A2024.ZIP"]
    shelves.files["COTAHIST_A2024.ZIP"] = whole[:-30]
    answer = handler(EVENT, CONTEXT)
    assert (answer["outcome"], json.loads(bucket.content(REPORT))) == ("invalid", answer | {"request": "r1"})
    assert "damaged ZIP" in answer["message"]
    shelves.files["COTAHIST_A2024.ZIP"] = whole
    handler(EVENT, CONTEXT)
    assert [key for key in bucket.keys() if key.startswith("backfill/")] == [MANIFEST]  # noqa: SIM118


def test_a_year_that_cannot_be_had_is_an_answer_and_no_error_of_the_function(
    bucket: Bucket, log: Log
) -> None:
    # An error would have Lambda try again what the client has tried for minutes
    answer = handler(EVENT, CONTEXT)
    assert answer["outcome"] == "failed"
    assert "COTAHIST_A2024.ZIP: HTTP 404" in answer["message"]
    assert (log.lines()[-1]["level"], log.lines()[-1]["message"]) == ("ERROR", "2024: failed")
    assert bucket.keys() == [REPORT]


def test_every_line_has_the_year_and_the_run_and_a_refused_file_is_counted(
    shelves: Shelves, log: Log
) -> None:
    put_week(shelves)
    handler(EVENT, CONTEXT)
    shelves.files["COTAHIST_A2024.ZIP"] = shelves.files["COTAHIST_A2024.ZIP"][:-30]
    handler(EVENT, CONTEXT)
    lines = log.lines()
    assert len(lines) > 4
    for line in [*lines, *log.metrics()]:
        assert (line["year"], line["function_request_id"]) == (2024, CONTEXT.aws_request_id), line
    counts = [(blob["FilesQuarantined"], blob["FilesFailed"]) for blob in log.metrics()]
    assert counts == [([0.0], [0.0]), ([1.0], [0.0])]


def test_what_a_killed_invocation_left_on_the_disk_is_removed(shelves: Shelves, tmp_path: Path) -> None:
    put_week(shelves)
    (tmp_path / "bovespa-backfill-dead").mkdir()
    (tmp_path / "bovespa-backfill-dead" / "COTAHIST_A2023.ZIP").write_bytes(b"x")
    (tmp_path / "something-else").mkdir()
    handler(EVENT, CONTEXT)
    assert [path.name for path in tmp_path.iterdir()] == ["something-else"]


def test_a_hole_is_accepted_if_the_event_says_so(shelves: Shelves) -> None:
    put_week(shelves)
    whole_year = {"year": 2024}
    assert handler(whole_year, CONTEXT)["outcome"] == "invalid"
    assert handler(whole_year | {"accept_gaps": True}, CONTEXT)["outcome"] == "loaded"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "key year: found None"),
        ({"year": "2024"}, "key year: found '2024', expected a number"),
        ({"year": True}, "key year: found True"),
        ({"year": 2024, "from": "1/2/2024"}, "key from: found '1/2/2024', expected YYYY-MM-DD"),
        ({"year": 2024, "to": 2024}, "key to: found 2024"),
        ({"year": 2024, "from": "2023-12-29"}, "found 2023-12-29 to 2024-12-31, expected days of 2024"),
        ({"year": 2024, "from": "2024-03-02", "to": "2024-03-01"}, "expected days of 2024"),
        ({"year": 2024, "accept_gaps": "yes"}, "key accept_gaps: found 'yes'"),
    ],
)
def test_an_event_that_is_not_understood_is_refused_by_name(
    event: dict[str, Any], message: str, b3: B3Server
) -> None:
    with pytest.raises(EventError, match=message):
        handler(event, CONTEXT)
    assert b3.requests_seen == []


class Functions:
    """Lambda: it takes an asynchronous invocation, and runs it when its caller next looks for the answer."""

    def __init__(self, *, dead: bool = False) -> None:
        self.invoked: list[dict[str, Any]] = []
        self._dead = dead

    def invoke(self, **asked: Any) -> None:
        self.invoked.append(asked)

    def run(self, _seconds: float) -> None:
        if not self._dead:
            handler(json.loads(self.invoked[-1]["Payload"]), CONTEXT)


def call(functions: Functions, bucket: Bucket, **more: Any) -> Any:
    return invoke(
        THIS_WEEK,
        lambda *_: None,
        functions=cast(Any, functions),
        name="backfill",
        raw=RawBucket(bucket.name),
        **{"accept_gaps": False, "sleep": functions.run, **more},
    )


def test_an_invocation_is_asynchronous_and_its_answer_is_the_manifest(
    bucket: Bucket, shelves: Shelves
) -> None:
    put_week(shelves)
    handler(EVENT, CONTEXT)  # an older answer, which is not taken for this one's
    functions = Functions()
    result = call(functions, bucket)
    assert (result.outcome, result.manifest.unchanged) == (Outcome.LOADED, 5)
    [asked] = functions.invoked
    assert (asked["FunctionName"], asked["InvocationType"]) == ("backfill", "Event")
    event = json.loads(asked["Payload"])
    assert (event["year"], event["from"], event["to"]) == (2024, "2024-11-04", "2024-11-08")


def test_a_year_that_the_function_could_not_load_is_told_with_its_reason(
    bucket: Bucket, b3: B3Server
) -> None:
    handler(EVENT, CONTEXT)  # an older report
    b3.script("/InstDados/", [Answer(status=410)])
    result = call(Functions(), bucket)
    assert (result.outcome, result.manifest) == (Outcome.FAILED, None)
    assert "HTTP 410" in str(result.message)


def test_a_function_that_does_not_answer_is_not_waited_for_for_ever(bucket: Bucket) -> None:
    with pytest.raises(BackfillError, match="backfill has not answered for 2024 within 0 minutes; its log"):
        call(Functions(dead=True), bucket, patience_seconds=0.3)
