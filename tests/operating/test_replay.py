"""`python -m scraper replay`, as a person at a terminal uses it: what B3 is asked, and which runs follow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox.b3.formats import Quote
from sandbox.b3.server import Answer, B3Server
from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from tests.fixtures.both_ends import Bucket, Shelves
from tests.fixtures.operated import Ingest, Operated

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = WEEK = [date(2024, 11, day) for day in (4, 5, 6, 7, 8)]
THIS_WEEK = ["--from", str(MONDAY), "--to", str(FRIDAY)]
VOLUME = "10.10"


pytestmark = pytest.mark.usefixtures("operated")


def days_of(operated: Operated) -> list[tuple[str, ...]]:
    """The days of each run."""
    return [
        tuple(run[name] for name in ("--trade_date", "--start_date", "--end_date") if name in run)
        for run in operated.runs()
    ]


def test_a_session_that_b3_serves_as_it_was_is_not_written_and_refined_by_one_run(
    ingest: Ingest, operated: Operated, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(FRIDAY, VOLUME)
    before = bucket.versions()
    assert main(["replay", "--date", str(FRIDAY)]) == DONE
    assert (bucket.versions(), days_of(operated)) == (before, [(str(FRIDAY),)])
    taken, started, ended, checked = capsys.readouterr().out.splitlines()
    assert taken.split()[:3] == ["cotahist", str(FRIDAY), "unchanged"]
    assert started.endswith(f" of {operated.job}, {FRIDAY}")
    assert " SUCCEEDED, " in ended
    assert checked == (f"{FRIDAY}  1 quote and BRL 10.10, in raw and in both tables; 1 ticker, catalogued")


def test_each_session_of_a_range_has_one_run_that_of_one_that_is_written_by_its_arrival_alone(
    ingest: Ingest, operated: Operated, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in WEEK:
        ingest(day, VOLUME)
    operated.add_starter(notified=True)
    shelves.put_session(TUESDAY, Quote(voltot=Decimal("20.20")))
    operated.put_compact(TUESDAY, [("ZZAA3", 1, Decimal("20.20"))])
    assert main(["replay", *THIS_WEEK]) == DONE
    assert sorted(days_of(operated)) == [
        (str(MONDAY),),
        (str(TUESDAY),),
        (str(WEDNESDAY), str(FRIDAY)),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:3] for line in lines if " new " in line] == [[str(TUESDAY), "new"]]
    assert [line for line in lines if line.endswith(f"{TUESDAY}, started by its arrival")]


def test_pages_in_place_of_several_sessions_are_refusals_though_each_is_asked_for_by_itself(
    ingest: Ingest, operated: Operated, b3: B3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(FRIDAY, VOLUME)
    b3.script("/InstDados/", [Answer(body=b"<html></html>")] * 4)
    assert main(["replay", *THIS_WEEK]) == FILES_FAILED
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("cotahist ")]
    assert [line[1:3] for line in lines] == [
        [str(FRIDAY), "unchanged"],
        *([str(day), "refused"] for day in (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)),
    ]
    assert days_of(operated) == [(str(FRIDAY),)]


def test_a_range_of_raw_has_one_run_and_what_raw_lacks_is_named(
    ingest: Ingest, operated: Operated, b3: B3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(TUESDAY, VOLUME)
    ingest(THURSDAY, VOLUME)
    asked = len(b3.requests_seen)
    assert main(["replay", *THIS_WEEK, "--source", "raw"]) == DONE
    assert (days_of(operated), len(b3.requests_seen)) == ([(str(TUESDAY), str(THURSDAY))], asked)
    first, *_, tuesday, thursday = capsys.readouterr().out.splitlines()
    assert first == (f"not in raw, so left out: {MONDAY}, {WEDNESDAY}, {FRIDAY}; --source b3 asks B3")
    assert tuesday.startswith(f"{TUESDAY}  1 quote")
    assert thursday.startswith(f"{THURSDAY}  1 quote")


def test_the_compact_table_alone_can_be_made(ingest: Ingest, operated: Operated) -> None:
    ingest(FRIDAY, VOLUME)
    assert main(["replay", "--date", str(FRIDAY), "--source", "raw", "--compact-only"]) == DONE
    assert operated.runs() == [{"--trade_date": str(FRIDAY), "--compact_only": "true"}]


def test_without_waiting_the_runs_are_started_and_nothing_is_checked(
    ingest: Ingest, operated: Operated, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(THURSDAY, VOLUME)
    ingest(FRIDAY, VOLUME)
    operated.job_does_nothing()
    shelves.put_session(FRIDAY, Quote(voltot=Decimal("20.20")))
    assert main(["replay", "--from", str(THURSDAY), "--to", str(FRIDAY), "--no-wait"]) == DONE
    assert days_of(operated) == [(str(THURSDAY),)]
    assert capsys.readouterr().out.splitlines()[-1] == (f"job runs: the arrival of {FRIDAY} starts them")


def test_a_run_that_fails_is_told_with_its_message(
    ingest: Ingest, operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(FRIDAY, VOLUME)
    operated.job_says("raise SystemExit('no space left')")
    assert main(["replay", "--date", str(FRIDAY), "--source", "raw"]) == FILES_FAILED
    assert capsys.readouterr().out.splitlines()[-1].endswith("ended as FAILED: SystemExit: no space left")


def test_rows_that_do_not_add_up_after_the_run_are_a_failure(
    ingest: Ingest, operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(FRIDAY, VOLUME)
    operated.put_compact(FRIDAY, [("ZZAA3", 1, Decimal("10.09"))])
    assert main(["replay", "--date", str(FRIDAY), "--source", "raw"]) == FILES_FAILED
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"{FRIDAY}  raw has 1 quote and BRL 10.10, refined 1 quote and BRL 10.09"
    )


def test_an_arrival_that_starts_no_run_is_told_after_a_while(
    ingest: Ingest,
    shelves: Shelves,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("operating.replay.EVENT_SECONDS", 0.3)
    ingest(THURSDAY, VOLUME)
    shelves.put_session(FRIDAY)
    assert main(["replay", "--from", str(THURSDAY), "--to", str(FRIDAY)]) == FILES_FAILED
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"job run: {FRIDAY}: written to raw, but no job run has begun within ")
    assert "redrive" in last


def test_a_session_that_raw_alone_has_is_named_and_left_as_it_is(
    ingest: Ingest, operated: Operated, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(FRIDAY, VOLUME)
    shelves.files.clear()
    assert main(["replay", "--date", str(FRIDAY)]) == FILES_FAILED
    assert f"B3 has no file of {FRIDAY}, but raw has it: --source raw" in capsys.readouterr().out
    assert operated.runs() == []


def test_a_session_that_cannot_be_fetched_does_not_keep_the_others_from_being_rebuilt(
    ingest: Ingest, operated: Operated, b3: B3Server
) -> None:
    ingest(THURSDAY, VOLUME)
    ingest(FRIDAY, VOLUME)
    b3.script("/InstDados/SerHist/COTAHIST_D07112024.ZIP", [Answer(status=410)])
    assert main(["replay", "--from", str(THURSDAY), "--to", str(FRIDAY)]) == FILES_FAILED
    assert days_of(operated) == [(str(FRIDAY),)]


REFUSED = [
    (["--date", "2024-11-10"], "Neither B3 nor raw has 2024-11-10: nothing was done"),
    (THIS_WEEK, "Neither B3 nor raw has 2024-11-04, 2024-11-05, 2024-11-06, 2024-11-07, 2024-11-08:"),
    (["--date", "2024-11-08", "--source", "raw"], "Not in raw: 2024-11-08. Ask B3 for it by --source b3"),
    (
        ["--from", "2024-11-09", "--to", "2024-11-10", "--source", "raw"],
        "Not in raw: 2024-11-09 to 2024-11-10, in which the calendar has no session",
    ),
    (["--from", "2024-11-09", "--to", "2024-11-10"], "The calendar has no session from 2024-11-09"),
    # 2024-11-15 and -20 were holidays, and the exchange is closed on 24, 25 and 31 December
    (["--from", "2024-10-01", "--to", "2024-12-31"], "61 sessions from 2024-10-01 to 2024-12-31"),
    ([], "Give either --date, or --from and --to"),
    (["--from", "2024-11-08"], "Give either --date, or --from and --to"),
    (["--date", "2024-11-08", "--to", "2024-11-09"], "Give either --date, or --from and --to"),
    (["--from", "2024-11-08", "--to", "2024-11-07"], "--from 2024-11-08 is after --to 2024-11-07"),
    (["--date", "2999-01-04"], "2999-01-04 is in the future: today is "),
    (["--date", "2024-11-08", "--compact-only"], "--compact-only goes with --source raw"),
    (["--date", "2024-11-08", "--job", "none"], "There is no Glue job none. Name the one of"),
]


def test_what_keeps_it_from_starting_is_said_in_a_line(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in REFUSED:
        assert main(["replay", *arguments]) == NOT_STARTED, arguments
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(message), arguments
    assert operated.runs() == []


def test_a_name_that_is_missing_is_said_with_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REFINED_BUCKET")
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date()
    assert main(["replay", "--date", str(yesterday)]) == NOT_STARTED
    assert capsys.readouterr().err == (
        "REFINED_BUCKET is not set. Name the stack, of which it is the output RefinedBucket, by --stack or "
        "STACK_NAME; or set the variable\n"
    )
