"""`python -m scraper backfill`, as a person at a terminal uses it, up to the one run of the Glue job."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import operating.backfill
from sandbox.b3.formats import Quote
from sandbox.b3.server import Answer, B3Server
from scraper.__main__ import DONE, FILES_FAILED, INTERRUPTED, NOT_STARTED, main
from scraper.history.backfill import Manifest
from scraper.history.span import Span
from tests.fixtures.both_ends import Bucket, Shelves
from tests.fixtures.operated import Job, deploy_stack

FRIDAY = date(2024, 11, 8)
OCTOBER_2023 = [date(2023, 10, day) for day in (30, 31)]
NOVEMBER_2024 = [date(2024, 11, day) for day in (7, 8)]
# Two days of each year: what lies between is not asked for
THESE = ["backfill", "--from", "2023-10-30", "--to", "2024-11-08"]


pytestmark = pytest.mark.usefixtures("terminal")


@pytest.fixture
def job(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Job:
    job = Job(bucket)
    monkeypatch.setenv("GLUE_JOB_NAME", job.job)
    return job


@pytest.fixture
def years(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the days that `THESE` ask for; that the rest of the range is missing is not looked at."""
    shelves.put_year(2023, {day: [Quote(voltot=Decimal("1.10"))] for day in OCTOBER_2023})
    shelves.put_year(2024, {day: [Quote(voltot=Decimal("2.20"))] * 2 for day in NOVEMBER_2024})
    monkeypatch.setattr("scraper.history.backfill.LONGEST_GAP", 1_000)


def manifest(bucket: Bucket, year: int) -> Manifest:
    return Manifest.from_json(json.loads(bucket.content(f"backfill/COTAHIST_A{year}.json")))


@pytest.mark.usefixtures("years")
def test_years_are_loaded_and_refined_by_exactly_one_run_and_neither_again_once_they_are_finished(
    b3: B3Server, bucket: Bucket, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(THESE) == DONE
    assert job.runs() == [{"--start_date": "2023-10-30", "--end_date": "2024-11-08"}]
    printed = capsys.readouterr()
    *years, total, started, ended = printed.out.splitlines()
    assert [" ".join(line.split()[:14]) for line in sorted(years)] == [
        "2023 loaded 2 sessions 2 quotes BRL 2.20 2 written, 0 unchanged, 0 daily",
        "2024 loaded 2 sessions 4 quotes BRL 8.80 2 written, 0 unchanged, 0 daily",
    ]
    assert total == "2 years  4 sessions  6 quotes  4 written"
    assert started.startswith("range run: ")
    assert ", 2023-10-30 to 2024-11-08, " in started
    assert "SUCCEEDED" in ended
    assert "2023: download " in printed.err
    assert [manifest(bucket, year).to_refine for year in (2023, 2024)] == [None, None]
    asked, before = len(b3.requests_seen), bucket.versions()
    assert main(THESE) == DONE
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["2023", "finished"],
        ["2024", "finished"],
        ["2", "years"],
        ["range", "run:"],
    ]
    assert (len(b3.requests_seen), bucket.versions(), len(job.runs())) == (asked, before, 1)


@pytest.mark.usefixtures("years")
def test_what_b3_revised_and_what_is_new_is_printed_below_its_year(
    shelves: Shelves,
    b3: B3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("INDEX_BASE_URL", b3.base_url)
    shelves.put_session(FRIDAY, Quote(voltot=Decimal("2.20")))
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    strange = Quote(voltot=Decimal("2.20"), codneg="ZZXX3", tpmerc="099")
    shelves.put_year(2024, {day: [Quote(voltot=Decimal("2.20")), strange] for day in NOVEMBER_2024})
    assert main(["ingest", "--date", str(FRIDAY)]) == DONE
    capsys.readouterr()
    assert main(["backfill", "--from", "2024-11-07", "--to", "2024-11-08", "--no-refine"]) == DONE
    year, revised, new, *_ = capsys.readouterr().out.splitlines()
    assert "1 of 1 daily sessions revised in the annual file" in year
    assert revised == (
        "2024    2024-11-08: lines that only the daily file has: 0, only the annual one: 1; "
        "ZZXX3 099: only in the annual file"
    )
    assert new == "2024    new: TPMERC '099', in no table and not seen before (quotes: 2)"


@pytest.mark.usefixtures("years")
def test_refresh_loads_finished_years_again_and_refine_runs_the_job_all_the_same(
    b3: B3Server, job: Job
) -> None:
    main([*THESE, "--no-refine"])
    main(THESE)
    assert len(b3.requests_seen) == 2
    assert main([*THESE, "--refresh"]) == DONE
    # The files came the same, so there is nothing new to refine
    assert (len(b3.requests_seen), len(job.runs())) == (4, 1)
    assert main([*THESE, "--refine", "--compact-only"]) == DONE
    assert job.runs()[-1] == {
        "--start_date": "2023-10-30",
        "--end_date": "2024-11-08",
        "--compact_only": "true",
    }


@pytest.mark.usefixtures("years")
def test_without_the_run_its_command_is_printed_and_the_next_one_makes_up_for_it(
    job: Job, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_JOB_NAME")
    assert main([*THESE, "--no-refine"]) == DONE
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("range run: left out; aws glue start-job-run --job-name <output GlueJobName> ")
    assert '\'{"--start_date":"2023-10-30","--end_date":"2024-11-08"}\'' in last
    assert job.runs() == []
    assert main([*THESE, "--job", job.job]) == DONE
    assert len(job.runs()) == 1


@pytest.mark.usefixtures("years")
def test_a_run_that_fails_is_told_with_its_reason_and_run_again_the_next_time(
    bucket: Bucket, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.job_says("raise SystemExit('no raw quotes')")
    assert main(THESE) == FILES_FAILED
    assert "ended as FAILED: SystemExit: no raw quotes" in capsys.readouterr().out.splitlines()[-1]
    assert manifest(bucket, 2024).to_refine == Span(*NOVEMBER_2024)
    job.job_says("pass")
    assert main(THESE) == DONE
    assert job.runs()[0] == job.runs()[1]
    assert manifest(bucket, 2024).to_refine is None


@pytest.mark.usefixtures("years")
def test_a_run_that_was_not_waited_for_is_looked_up_before_another_is_started(
    bucket: Bucket, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job.job_waits_for(tmp_path / "end")
    assert main([*THESE, "--no-wait"]) == DONE
    assert main(THESE) == DONE
    assert "of an earlier command has not ended yet" in capsys.readouterr().out.splitlines()[-2]
    (tmp_path / "end").touch()
    deadline = time.monotonic() + 60
    while manifest(bucket, 2024).to_refine is not None and time.monotonic() < deadline:
        time.sleep(0.1)
        assert main(THESE) == DONE
    assert manifest(bucket, 2024).to_refine is None
    assert len(job.runs()) == 1


@pytest.mark.usefixtures("years")
def test_a_year_that_fails_does_not_keep_the_others_from_being_refined(
    b3: B3Server, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    b3.script("/InstDados/SerHist/COTAHIST_A2023.ZIP", [Answer(status=410)])
    assert main(THESE) == FILES_FAILED
    assert job.runs() == [{"--start_date": "2024-11-07", "--end_date": "2024-11-08"}]
    printed = capsys.readouterr().out
    assert "COTAHIST_A2023.ZIP: HTTP 410" in printed
    assert "1 year failed" in printed


@pytest.mark.usefixtures("years")
def test_a_dry_run_asks_nothing_of_b3_and_touches_nothing(
    b3: B3Server, bucket: Bucket, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["backfill", "--from", "2023-10-30", "--to", "2023-10-31"])
    asked, before = len(b3.requests_seen), bucket.versions()
    capsys.readouterr()
    assert (
        main(["backfill", "--from", "2023-11-30", "--to", "2024-11-08", "--dry-run", "--via", "lambda"])
        == DONE
    )
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    # 2023-11-30 to -12-31 is other than was loaded; 2024 had 225 weekdays and six holidays up to 8 November
    assert lines[1][:3] == ["2023", "load", "again"]
    assert lines[2][:3] == ["2024", "load", "219"]
    for word in (
        "about",
        "PUT and LIST requests",
        "Function: USD",
        "wide and compact",
        "both tables are recommended",
    ):
        assert word in printed
    assert (len(b3.requests_seen), bucket.versions(), len(job.runs())) == (asked, before, 1)


def test_names_come_from_the_stack_s_outputs(
    bucket: Bucket, job: Job, monkeypatch: pytest.MonkeyPatch, years: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAW_BUCKET")
    monkeypatch.delenv("GLUE_JOB_NAME")
    stack = deploy_stack({"RawBucket": bucket.name, "GlueJobName": job.job})
    assert main([*THESE, "--stack", stack]) == DONE
    assert len(job.runs()) == 1
    assert main([*THESE, "--stack", stack, "--via", "lambda", "--refresh"]) == NOT_STARTED
    assert capsys.readouterr().err.splitlines()[-1].startswith("The backfill's function has no name.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2024", "--bucket", "there-is-none"], "There is no bucket there-is-none. Name the stack"),
        (["--from", "2024", "--stack", "NoSuchStack"], "There is no stack NoSuchStack in this account"),
        (["--from", "2024", "--job", "no-such-job"], "There is no Glue job no-such-job. Name the one of"),
        (["--from", "2024"], "The Glue job has no name. Name it, an output of the stack, by --job"),
        (["--from", "1985"], "--from: found 1985-01-01, expected 1986 or later"),
        (["--from", "2024", "--to", "2023"], "--from 2024-01-01 is after --to 2023-12-31"),
        (["--from", "2024", "--to", "2999"], "--from 2024-01-01 --to 2999-12-31: the last session can be"),
        (
            ["--from", "2024", "--no-refine", "--via", "lambda", "--function", "none"],
            "There is no function none. Name the one of",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_a_line(
    arguments: list[str],
    message: str,
    b3: B3Server,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if "there-is-none" in arguments:
        request.getfixturevalue("job")
    assert main(["backfill", *arguments]) == NOT_STARTED
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert printed.err.startswith(message)
    assert b3.requests_seen == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "24"], "--from: found '24', expected a year or a day as YYYY-MM-DD"),
        (["--from", "2024", "--to", "2024-02-30"], "--to: found '2024-02-30', expected a year or a day"),
        (["--from", "2024", "--jobs", "0"], "--jobs: found '0', expected a whole number of at least 1"),
    ],
)
def test_an_argument_that_is_none_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["backfill", *arguments])
    assert ended.value.code == NOT_STARTED
    assert message in capsys.readouterr().err


def test_ctrl_c_ends_it_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(operating.backfill, "survey", interrupt)
    assert main(["backfill", "--from", "2024", "--no-refine"]) == INTERRUPTED
    assert capsys.readouterr().err.startswith("Interrupted. What is done stays done")


def test_without_a_year_to_the_current_one_is_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "--from", "2025", "--dry-run"]) == DONE
    years = [line.split()[0] for line in capsys.readouterr().out.split("\n\n")[0].splitlines()[1:-1]]
    assert years == [str(year) for year in range(2025, datetime.now(UTC).year + 1)]


@pytest.mark.usefixtures("years")
def test_on_a_terminal_bars_give_way_to_the_results() -> None:
    """In a process of its own, whose standard output is a terminal of 100 columns."""
    controller, terminal_ = pty.openpty()
    fcntl.ioctl(terminal_, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "scraper", *THESE, "--no-refine", "--accept-gaps"],
        stdout=terminal_,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(terminal_)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's way to say that the terminal has no other end any more
            while chunk := os.read(controller, 65536):
                shown += chunk
    os.close(controller)
    assert process.returncode == DONE
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert re.search(r"2023 +(download|read) ", text)
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    assert any(line.startswith("2023  loaded ") for line in lines)
    assert any(line.startswith("2 years  4 sessions") for line in lines)
