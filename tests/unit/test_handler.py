"""The Lambda handler: events, settings, what it logs, returns and raises."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import scraper.handler
from sandbox.b3.server import Answer, B3Server
from scraper.client import INDEX_BASE_URL, QUOTES_BASE_URL
from scraper.handler import EventError, JsonLines, handler
from scraper.ingest import IngestError
from scraper.settings import BUNDLE, Settings, SettingsError
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


class TestSettings:
    MINIMUM = {"RAW_BUCKET": "raw"}  # noqa: RUF012 - never changed

    def test_what_is_not_set_is_b3_itself_and_the_ibov(self) -> None:
        assert Settings.from_environment(self.MINIMUM | {"INDEX_CODES": " "}) == Settings(
            raw_bucket="raw",
            quotes_base_url=QUOTES_BASE_URL,
            index_base_url=INDEX_BASE_URL,
            index_codes=("IBOV",),
            lookback_sessions=10,
            extra_ca_file=None,
        )

    def test_every_setting_is_read(self) -> None:
        environment = {
            "RAW_BUCKET": "raw",
            "QUOTES_BASE_URL": "https://quotes.example",
            "INDEX_BASE_URL": "http://127.0.0.1:8080",
            "INDEX_CODES": "ibov, SMLL",
            "LOOKBACK_SESSIONS": "3",
            "EXTRA_CA_FILE": "extra-ca.pem",
        }
        assert Settings.from_environment(environment) == Settings(
            raw_bucket="raw",
            quotes_base_url="https://quotes.example",
            index_base_url="http://127.0.0.1:8080",
            index_codes=("IBOV", "SMLL"),
            lookback_sessions=3,
            extra_ca_file=BUNDLE / "extra-ca.pem",
        )

    def test_the_extra_ca_file_is_relative_to_the_folder_that_holds_the_package(self) -> None:
        settings = Settings.from_environment(self.MINIMUM | {"EXTRA_CA_FILE": "scraper/__init__.py"})
        assert settings.extra_ca_file is not None
        assert settings.extra_ca_file.is_file()
        absolute = Settings.from_environment(self.MINIMUM | {"EXTRA_CA_FILE": "/etc/extra.pem"})
        assert absolute.extra_ca_file == Path("/etc/extra.pem")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RAW_BUCKET", ""),
            ("QUOTES_BASE_URL", "http://bvmf.bmfbovespa.com.br"),
            ("INDEX_BASE_URL", "sistemaswebb3-listados.b3.com.br"),
            ("INDEX_CODES", "IBOV,,SMLL"),
            ("INDEX_CODES", "../IBOV"),
            ("LOOKBACK_SESSIONS", "0"),
            ("LOOKBACK_SESSIONS", "ten"),
        ],
    )
    def test_a_wrong_setting_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(SettingsError, match=rf"^{name}"):
            Settings.from_environment(self.MINIMUM | {name: value})


def test_what_the_function_is_bundled_with_is_what_the_tests_run_with() -> None:
    repository = Path(__file__).resolve().parents[2]

    def pins(file: str) -> dict[str, str]:
        lines = (repository / file).read_text().splitlines()
        names = (line.partition("==") for line in lines if line and not line.startswith("#"))
        return {name: version for name, _, version in names}

    bundled = pins("scraper/requirements-lambda.txt")
    assert bundled.items() <= pins("constraints.txt").items()
    assert {"requests", "exchange-calendars"} < bundled.keys()
    # Those of the layer and of the runtime: a second copy would not fit
    assert not bundled.keys() & {"pandas", "numpy", "pyarrow", "awswrangler", "boto3", "botocore"}
