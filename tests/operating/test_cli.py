"""`python -m scraper`, as a person at a terminal uses it."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from sandbox.b3.formats import Quote
from sandbox.b3.server import Answer, B3Server
from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from tests.fixtures.both_ends import Bucket, Shelves
from tests.fixtures.operated import deploy_stack

FRIDAY = date(2024, 11, 8)
DAILY = "raw/cotahist/trade_date=2024-11-08/daily.parquet"


@pytest.fixture(autouse=True)
def without_bucket(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAW_BUCKET")


def test_ingest_prints_what_it_did_and_where(
    bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(date(2024, 7, 16), "ZZAA3", "ZZBB4")
    assert main(["ingest", "--date", "2024-11-08", "--bucket", bucket.name]) == DONE
    printed = capsys.readouterr()
    portfolio, quotes, levels = (line.split("  ") for line in printed.out.splitlines())
    assert [portfolio[0], *[part.strip() for part in portfolio[1:] if part]] == [
        "index_portfolio IBOV 2024-07-16",
        "new",
        "2 rows",
        f"s3://{bucket.name}/raw/index_portfolio/portfolio_date=2024-07-16/IBOV.parquet",
    ]
    assert [part.strip() for part in quotes if part] == [
        "cotahist 2024-11-08",
        "new",
        "1 rows",
        "BRL 10,100.00",
        "trailer counts all records",
        f"s3://{bucket.name}/{DAILY}",
    ]
    assert [part.strip() for part in levels if part] == [
        "index_level IBOV 2024-11-08",
        "not yet published",
        "B3 has no level of IBOV of 2024-11-08 yet",
    ]
    assert printed.err.splitlines() == [
        f"{name}: asking B3" for name in ("index_portfolio IBOV", "cotahist 2024-11-08", "index_level IBOV")
    ]


def test_the_bucket_may_come_from_the_stack(
    bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACK_NAME", deploy_stack({"RawBucket": bucket.name}))
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", "2024-11-08"]) == DONE
    assert f"s3://{bucket.name}/{DAILY}" in capsys.readouterr().out


def test_the_bucket_and_the_indices_come_from_the_environment_unless_given(
    bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAW_BUCKET", bucket.name)
    monkeypatch.setenv("INDEX_CODES", "IBOV")
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3", index="SMLL")
    assert main(["ingest", "--date", "2024-11-08", "--index", "smll"]) == DONE
    assert capsys.readouterr().out.splitlines()[0].startswith("index_portfolio SMLL 2024-11-08 ")


def test_a_file_that_fails_is_printed_with_its_reason_and_told_by_the_exit_code(
    bucket: Bucket, b3: B3Server, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    b3.script("/InstDados/", [Answer(status=410)])
    assert main(["ingest", "--date", "2024-11-08", "--bucket", bucket.name]) == FILES_FAILED
    quotes = capsys.readouterr().out.splitlines()[1]
    assert quotes.startswith("cotahist 2024-11-08 ")
    assert " failed " in quotes
    assert "COTAHIST_D08112024.ZIP: HTTP 410" in quotes


def test_what_is_new_in_a_file_is_printed_with_it(
    shelves: Shelves, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_session(FRIDAY, Quote(codbdi="Z9"))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", "2024-11-08", "--bucket", bucket.name]) == DONE
    quotes = capsys.readouterr().out.splitlines()[1]
    assert quotes.endswith("  new: CODBDI 'Z9', in no table and not seen before (quotes: 1)")


def test_a_day_without_a_file_is_no_failure(
    bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", "2024-11-10", "--bucket", bucket.name]) == DONE
    assert " no session " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bucket", "there-is-none"], "There is no bucket there-is-none. Name the stack"),
        ([], "RAW_BUCKET is not set; set it, or --bucket"),
        (["--bucket", "raw", "--index", "I/BOV"], "INDEX_CODES: found 'I/BOV'"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_a_line(
    arguments: list[str], message: str, b3: B3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", *arguments]) == NOT_STARTED
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert printed.err.startswith(message)
    assert b3.requests_seen == []


def test_missing_credentials_are_said_in_a_line(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # In a process of its own: boto3 keeps the credentials that it found first
    run = subprocess.run(
        [sys.executable, "-m", "scraper", "ingest", "--bucket", bucket.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (NOT_STARTED, "")
    assert run.stderr.startswith("No AWS credentials were found. Set AWS_PROFILE")
    assert len(run.stderr.splitlines()) == 1


def test_an_s3_that_cannot_be_reached_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with B3Server(Shelves()) as server:
        closed = server.base_url
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert main(["ingest", "--bucket", "raw"]) == NOT_STARTED
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("s3://raw: Could not connect to the endpoint URL")


def test_a_day_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "--date", "2024-13-01"])
    assert ended.value.code == NOT_STARTED
    assert "--date: found '2024-13-01', expected a day as YYYY-MM-DD" in capsys.readouterr().err
