"""`python -m scraper status`: what it finds of the last sessions, what it says is missing, and why."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, cast

import pytest
from botocore.client import BaseClient

import operating.status
from sandbox.b3.formats import Quote, encode_session, zip_file
from sandbox.b3.server import REQUEST_REJECTED, Answer, B3Server
from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from scraper.b3.calendar import sessions_before
from scraper.raw.bucket import Lineage
from tests.fixtures.both_ends import Bucket, Shelves
from tests.fixtures.operated import Ingest, Operated, arrival

WEDNESDAY, THURSDAY, FRIDAY = (date(2024, 11, day) for day in (6, 7, 8))
DAILY = "raw/cotahist/trade_date={}/daily.parquet"
LAST = ["status", "--to", str(FRIDAY), "--sessions", "1"]

pytestmark = pytest.mark.usefixtures("operated")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    def lines() -> list[str]:
        return capsys.readouterr().out.splitlines()

    return lines


Printed = Callable[[], list[str]]


def set_clock(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """Have `status` take this for the present."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Self:
            return cast(Self, instant.astimezone(tz))

    monkeypatch.setattr(operating.status, "datetime", Clock)


def state_and_reasons(lines: list[str]) -> tuple[str, list[str]]:
    """The state of a single session, and the reasons below the table."""
    _, row, *reasons, _ = lines
    return row.rpartition("  ")[2], reasons


def wait_for_runs(operated: Operated) -> None:
    """Until every run of the job has ended."""
    while any(
        run["JobRunState"] in {"STARTING", "WAITING", "RUNNING"}
        for run in operated.glue.get_job_runs(JobName=operated.job)["JobRuns"]
    ):
        time.sleep(0.05)


def test_sessions_that_are_as_they_should_be_are_shown_with_their_sums(
    ingest: Ingest, printed: Printed
) -> None:
    ingest(THURSDAY, "1.10", "2.20")
    ingest(FRIDAY, "1000.01")
    assert main(["status", "--to", str(FRIDAY), "--sessions", "2"]) == DONE
    heading, *rows, queue = printed()
    assert heading.split("  ")[0] == "session"
    cells = [re.split(r" {2,}", row) for row in rows]
    assert [row[:9] + row[11:] for row in cells] == [
        [str(THURSDAY), "daily", "2", "2", "2", "BRL 3.30", "yes", "2", "2 + 1", "all records", "ok"],
        [str(FRIDAY), "daily", "1", "1", "1", "BRL 1,000.01", "yes", "1", "1 + 1", "all records", "ok"],
    ]
    assert queue == "The dead-letter queue is empty"


def test_as_json_it_says_all_with_the_volume_as_text_and_the_lag_from_seven_in_the_morning_after(
    ingest: Ingest, printed: Printed
) -> None:
    ingest(FRIDAY, "1000.01")
    assert main([*LAST, "--json"]) == DONE
    found = json.loads("\n".join(printed()))
    (session,) = found.pop("sessions")
    # 07:00 in São Paulo is 10:00 UTC
    expected, lags = datetime(2024, 11, 9, 10, tzinfo=UTC), session.pop("lag_hours")
    for part in ("raw", "refined"):
        lag = datetime.fromisoformat(session[part].pop("written")) - expected
        assert lags[part] == pytest.approx(lag / timedelta(hours=1), abs=0.01)
    assert found == {"is_well": True, "dead_letters": 0, "unexplained_rises": 0, "events_unreadable": None}
    assert session == {
        "session": "2024-11-08",
        "state": "ok",
        "currency": "BRL",
        "why": [],
        "raw": {"kind": "daily", "key": DAILY.format(FRIDAY), "quotes": 1, "volume": "1000.01"}
        | {"trailer_count": "all records", "oddities": None},
        "refined": {
            "tickers": 1,
            "lines": 1,
            "volume": "1000.01",
            "equals_raw": True,
            "wide_files": 1,
        },
        "catalogued": {"wide_partitions": 1, "compact_partition": True},
    }


def test_what_was_kept_although_it_is_odd_is_a_note_on_a_session_that_is_well(
    operated: Operated, shelves: Shelves, printed: Printed
) -> None:
    text = encode_session(FRIDAY, [Quote(voltot=Decimal("1.10"))], quotes_counted=True)
    shelves.files["COTAHIST_D08112024.ZIP"] = zip_file(text.replace(b"SIMULADA ", b"SIMULADA\x92"), "A")
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", str(FRIDAY)]) == DONE
    portfolio, quotes, _levels = printed()
    assert "odd" not in portfolio
    assert "kept although it is odd: TOTAL DE REGISTROS" in quotes
    operated.refine(FRIDAY, {"ZZAA3": "1.10"})
    assert main(LAST) == DONE
    lines = printed()
    assert re.split(r" {2,}", lines[1])[-2:] == ["quotes", "ok"]
    (reason,) = state_and_reasons(lines)[1]
    assert reason.startswith(f"{FRIDAY}  kept although it is odd: TOTAL DE REGISTROS: counts quotes, where")
    assert r"NOMRES: bytes of Windows-1252, kept as text (1, first in record 2: 'SIMULADA\x92   ')" in reason
    assert main([*LAST, "--json"]) == DONE
    (session,) = json.loads("\n".join(printed()))["sessions"]
    assert session["raw"]["trailer_count"] == "quotes"
    assert session["raw"]["oddities"] in reason


def test_of_a_raw_object_of_version_1_the_trailer_is_not_known(
    ingest: Ingest, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(Lineage, "metadata", lambda lineage: {"source-sha256": lineage.sha256})
        ingest(FRIDAY, "1.10")
    assert main(LAST) == DONE
    assert re.split(r" {2,}", printed()[1])[-2:] == ["-", "ok"]


def test_a_missing_session_is_one_line_and_exit_code_1(printed: Printed) -> None:
    assert main(LAST) == FILES_FAILED
    assert state_and_reasons(printed()) == (
        "missing",
        [
            "2024-11-08  not in raw: B3 had no file yet, or no session; --ask-b3 tells, python -m scraper "
            "replay --date 2024-11-08 takes it"
        ],
    )


def test_days_that_share_a_reason_share_its_line(printed: Printed) -> None:
    assert main(["status", "--to", str(FRIDAY), "--sessions", "4"]) == FILES_FAILED
    (reason,) = printed()[5:-1]
    assert reason.startswith("2024-11-05 to 2024-11-08 (4 sessions)  not in raw: ")
    assert reason.endswith("replay --date <session> takes it")


def test_a_session_is_not_due_before_seven_in_the_morning_after_it(
    monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    set_clock(monkeypatch, datetime(2024, 11, 9, 9, 59, tzinfo=UTC))
    assert main(["status", "--sessions", "1"]) == DONE
    assert state_and_reasons(printed()) == (
        "not due",
        ["2024-11-08  expected at 2024-11-09 07:00 in São Paulo"],
    )
    set_clock(monkeypatch, datetime(2024, 11, 9, 10, 0, tzinfo=UTC))
    assert main(["status", "--sessions", "1"]) == FILES_FAILED


def test_what_raw_has_beside_the_calendar_is_shown_as_well(ingest: Ingest, printed: Printed) -> None:
    saturday = date(2024, 11, 9)
    ingest(saturday, "1.10")
    assert main(["status", "--to", str(saturday), "--sessions", "1"]) == FILES_FAILED
    assert [row.split()[0] for row in printed()[1:3]] == [str(FRIDAY), str(saturday)]


def test_b3_is_asked_for_what_raw_lacks(
    shelves: Shelves, b3: B3Server, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    asked = [*LAST, "--ask-b3"]
    assert main(asked) == DONE
    assert state_and_reasons(printed()) == ("no session", ["2024-11-08  B3 has no file of it: HTTP 404"])
    set_clock(monkeypatch, datetime(2024, 11, 9, 12, tzinfo=UTC))
    assert main(asked) == FILES_FAILED
    assert state_and_reasons(printed()) == (
        "missing",
        ["2024-11-08  not in raw: B3 has no file yet (HTTP 404)"],
    )
    b3.script("/InstDados/", [Answer(status=410)])
    assert main(asked) == FILES_FAILED
    assert "and B3 could not be asked: " in state_and_reasons(printed())[1][0]
    shelves.put_session(FRIDAY)
    assert main(asked) == FILES_FAILED
    assert state_and_reasons(printed()) == (
        "missing",
        ["2024-11-08  not in raw: B3 has it; python -m scraper replay --date 2024-11-08"],
    )


def test_a_refusal_by_b3_is_no_answer(b3: B3Server, printed: Printed) -> None:
    asked = ["status", "--to", str(FRIDAY), "--sessions", "2", "--ask-b3"]
    page = Answer(body=b"<html></html>")
    b3.script("/InstDados/", [page, Answer(status=404)])
    assert main(asked) == DONE  # one page may be an answer
    assert "2024-11-07  B3 has no file of it: an HTML page" in printed()
    b3.script("/InstDados/", [page, page])
    assert main(asked) == FILES_FAILED
    table = printed()
    assert [row.split()[-1] for row in table[1:3]] == ["missing", "missing"]
    assert table[3] == (
        "2024-11-07, 2024-11-08  not in raw, and B3 refused to say: an HTML page in place of several "
        "sessions is its firewall's, or one of its errors; ask again later"
    )
    b3.script("/InstDados/", [REQUEST_REJECTED, page])
    assert main(asked) == FILES_FAILED
    table = printed()
    assert [row.split()[-1] for row in table[1:3]] == ["missing", "missing"]
    assert "The requested URL was rejected" in table[3]


def test_a_refused_file_is_told_with_its_reason(
    ingest: Ingest, shelves: Shelves, bucket: Bucket, printed: Printed
) -> None:
    shelves.put_session(FRIDAY)
    name = next(iter(shelves.files))
    shelves.files[name] = shelves.files[name][:-30]
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", str(FRIDAY)]) == FILES_FAILED
    printed()
    (key,) = [key for key in bucket.keys() if key.startswith("quarantine/")]  # noqa: SIM118
    assert main(LAST) == FILES_FAILED
    state, (reason,) = state_and_reasons(printed())
    assert state == "missing"
    assert reason.startswith("2024-11-08  not in raw: in quarantine: ")
    assert "damaged ZIP" in reason
    assert reason.endswith(f"({key}); python -m scraper replay --date 2024-11-08")
    # Once the session is there, and newer than what was refused, that is of no interest
    ingest(FRIDAY, "1.10")
    assert main(LAST) == DONE
    assert state_and_reasons(printed()) == ("ok", [])


def test_a_refused_correction_is_a_note_on_a_session_that_is_well(
    ingest: Ingest, bucket: Bucket, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    written = bucket.s3.head_object(Bucket=bucket.name, Key=DAILY.format(FRIDAY))["LastModified"]
    while datetime.now(UTC) - written < timedelta(seconds=1.1):
        time.sleep(0.05)
    bucket.s3.put_object(
        Bucket=bucket.name,
        Key=f"quarantine/cotahist/{FRIDAY}/abc.zip",
        Body=b"x",
        Metadata={"reason": "caf\\xe9"},
    )
    assert main(LAST) == DONE
    state, (note,) = state_and_reasons(printed())
    assert (state, "in quarantine: café (quarantine/cotahist/" in note) == ("ok", True)


def test_a_failed_run_is_told_with_its_message(ingest: Ingest, operated: Operated, printed: Printed) -> None:
    ingest(FRIDAY, "1.10", refined=False)
    operated.job_says("raise SystemExit('no space left')")
    run = operated.start(trade_date=str(FRIDAY))
    wait_for_runs(operated)
    assert main(LAST) == FILES_FAILED
    assert state_and_reasons(printed()) == (
        "failed",
        [
            f"2024-11-08  not refined: job run {run} FAILED: SystemExit: no space left; then python -m "
            "scraper replay --date 2024-11-08 --source raw"
        ],
    )


def test_a_run_of_a_range_counts_for_its_days_and_no_other(
    ingest: Ingest, operated: Operated, tmp_path: Path, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10", refined=False)
    operated.job_waits_for(tmp_path / "end")
    run = operated.start(start_date=str(WEDNESDAY), end_date=str(FRIDAY))
    operated.start(start_date=str(WEDNESDAY), end_date=str(THURSDAY))
    assert main(LAST) == FILES_FAILED
    state, (reason,) = state_and_reasons(printed())
    assert state == "running"
    assert reason.startswith(f"2024-11-08  not refined: job run {run} is ")
    (tmp_path / "end").touch()
    wait_for_runs(operated)


def test_a_run_from_before_the_raw_object_explains_nothing(
    ingest: Ingest, operated: Operated, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    operated.start(trade_date=str(FRIDAY))
    wait_for_runs(operated)
    started = operated.glue.get_job_runs(JobName=operated.job)["JobRuns"][0]["StartedOn"]
    while datetime.now(UTC) - started < timedelta(seconds=1.1):
        time.sleep(0.05)
    ingest(FRIDAY, "1.10", refined=False)
    assert main(LAST) == FILES_FAILED
    state, (reason,) = state_and_reasons(printed())
    assert state == "running"
    assert re.fullmatch(
        r"2024-11-08  not refined: it arrived \d+ s ago, and no job run has begun yet", reason
    )
    set_clock(monkeypatch, datetime.now(UTC) + timedelta(minutes=11))
    assert main(LAST) == FILES_FAILED
    assert state_and_reasons(printed()) == (
        "missing",
        [
            "2024-11-08  not refined: no job run since it arrived; python -m scraper replay --date "
            "2024-11-08 --source raw"
        ],
    )


def test_a_dead_letter_is_the_reason_of_its_session_and_makes_exit_code_1(
    ingest: Ingest, operated: Operated, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10", refined=False)
    operated.put_letter(arrival(FRIDAY), error="ThrottlingException: Rate exceeded")
    operated.put_letter("about no session")
    assert main(LAST) == FILES_FAILED
    lines = printed()
    assert state_and_reasons(lines) == (
        "missing",
        [
            "2024-11-08  not refined: its event is in the dead-letter queue: 200 ThrottlingException: Rate "
            "exceeded; python -m scraper redrive"
        ],
    )
    assert lines[-1].startswith("The dead-letter queue holds 2 messages: ")
    operated.refine(FRIDAY, {"ZZAA3": "1.10"})
    assert main(LAST) == FILES_FAILED
    assert printed()[1].endswith("  ok")


Harm = Callable[[Operated, date], Any]
HARMS: list[tuple[Harm, str]] = [
    (
        lambda lake, day: lake.put_compact(day, [("ZZAA3", 1, Decimal("1.09")), ("ZZAA4", 1, Decimal(2))]),
        "raw has 2 quotes and BRL 3.10, refined 2 quotes and BRL 3.09",
    ),
    (
        lambda lake, day: lake.put_compact(day, [("ZZAA3", 1, Decimal("1.10")), ("ZZAA4", 2, Decimal(2))]),
        "raw has 2 quotes and BRL 3.10, refined 3 quotes and BRL 3.10",
    ),
    (lambda lake, day: lake.unregister("compact", str(day)), "no partition in the compact table"),
    (
        lambda lake, day: lake.unregister("wide", str(day), "ZZAA4"),
        "1 ticker without a partition in the wide table (ZZAA4)",
    ),
    (
        lambda lake, day: lake.register("wide", str(day), "ZZAA9"),
        "1 ticker with a partition in the wide table, but no file (ZZAA9)",
    ),
    (
        lambda lake, day: lake.refined.put(f"refined/trade_date={day}/ticker=ZZ%3A9/part-00000.parquet"),
        "1 ticker in the wide table alone (ZZ:9); 1 ticker without a partition in the wide table (ZZ:9)",
    ),
    (
        lambda lake, day: lake.refined.s3.delete_object(
            Bucket=lake.refined.name, Key=f"refined_compact/trade_date={day}/part-00000.parquet"
        ),
        "no file in the compact table",
    ),
    (
        lambda lake, day: lake.refined.put(f"refined_compact/trade_date={day}/part-00000.parquet", b"PAR1"),
        "cannot be read as Parquet",
    ),
    (lambda lake, day: lake.raw.put(DAILY.format(day), b"no Parquet"), "cannot be read as Parquet"),
    (lambda lake, day: lake.raw.put(DAILY.format(day), b""), "is empty, expected a Parquet file"),
]


def test_each_difference_between_raw_tables_and_catalog_is_named_with_its_session(
    ingest: Ingest, operated: Operated, printed: Printed
) -> None:
    days = sessions_before(datetime(2024, 11, 9, 12, tzinfo=UTC), len(HARMS))
    for day in days:
        ingest(day, "1.10", "2.00")
    last_ten = ["status", "--to", str(FRIDAY), "--sessions", str(len(days))]
    assert main(last_ten) == DONE
    printed()
    for day, (harm, _) in zip(days, HARMS, strict=True):
        harm(operated, day)
    assert main(last_ten) == FILES_FAILED
    reasons = printed()[1 + len(days) : -1]
    for day, reason, (_, difference) in zip(days, reasons, HARMS, strict=True):
        assert reason.startswith(f"{day}  ")
        assert difference in reason


def test_a_correction_that_was_not_refined_is_seen_though_the_sums_are_equal(
    ingest: Ingest, operated: Operated, shelves: Shelves, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    refined = operated.refined.s3.head_object(
        Bucket=operated.refined.name, Key=f"refined_compact/trade_date={FRIDAY}/part-00000.parquet"
    )["LastModified"]
    while datetime.now(UTC) - refined < timedelta(seconds=1.1):
        time.sleep(0.05)
    shelves.put_session(FRIDAY, Quote(voltot=Decimal("1.10"), preult=Decimal("9.99")))
    assert main(["ingest", "--date", str(FRIDAY)]) == DONE
    printed()
    assert main(LAST) == FILES_FAILED
    _, (reason,) = state_and_reasons(printed())
    assert reason.startswith("2024-11-08  not refined since raw was written: ")
    # A run that finds the files as they should be writes none
    operated.start(trade_date=str(FRIDAY))
    wait_for_runs(operated)
    assert main(LAST) == DONE


def test_a_session_without_raw_object_that_is_refined_is_missing(
    ingest: Ingest, bucket: Bucket, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    bucket.s3.delete_object(Bucket=bucket.name, Key=DAILY.format(FRIDAY))
    assert main([*LAST, "--ask-b3"]) == FILES_FAILED
    state, (reason,) = state_and_reasons(printed())
    assert state == "missing"
    assert reason.endswith("refined without it: was the raw object deleted by hand?")


def test_history_may_be_in_the_compact_table_alone_and_a_daily_session_may_not(
    ingest: Ingest, operated: Operated, bucket: Bucket, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10", wide=False)
    assert main(LAST) == FILES_FAILED
    assert "1 ticker without a file in the wide table (ZZAA3)" in printed()[2]
    content = bucket.content(DAILY.format(FRIDAY))
    bucket.put(f"raw/cotahist/trade_date={FRIDAY}/backfill.parquet", content)
    bucket.s3.delete_object(Bucket=bucket.name, Key=DAILY.format(FRIDAY))
    operated.put_compact(FRIDAY, [("ZZAA3", 1, Decimal("1.10"))])
    assert main(LAST) == DONE
    lines = printed()
    assert state_and_reasons(lines) == ("ok", ["2024-11-08  in the compact table alone"])
    # History has no lag
    assert re.split(r" {2,}", lines[1])[1:2] + re.split(r" {2,}", lines[1])[9:11] == ["backfill", "-", "-"]


def test_sessions_beyond_the_bound_of_the_wide_table_are_in_the_compact_one_alone(
    ingest: Ingest, operated: Operated, printed: Printed
) -> None:
    for session in (THURSDAY, FRIDAY):
        ingest(session, "1.10", wide=session == FRIDAY)
    assert main(["status", "--to", str(FRIDAY), "--sessions", "2"]) == FILES_FAILED
    printed()
    job: Any = operated.glue.get_job(JobName=operated.job)["Job"]
    operated.glue.update_job(
        JobName=operated.job,
        JobUpdate={
            "Role": job["Role"],
            "Command": job["Command"],
            "DefaultArguments": {"--wide_sessions": "1"},
        },
    )
    assert main(["status", "--to", str(FRIDAY), "--sessions", "2"]) == DONE
    assert printed()[3] == f"{THURSDAY}  in the compact table alone"


def test_a_partition_with_both_raw_objects_is_noted_and_the_daily_one_counts(
    ingest: Ingest, bucket: Bucket, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    bucket.put(f"raw/cotahist/trade_date={FRIDAY}/backfill.parquet", b"x")
    assert main(LAST) == DONE
    lines = printed()
    assert "  daily  " in lines[1]
    assert "a backfilled object besides" in lines[2]


def test_of_a_large_raw_object_only_the_column_that_is_added_up_is_fetched(
    shelves: Shelves, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    # Names that do not repeat make the file large
    quotes = [
        Quote(codneg=f"Z{number * 7919:06d}", codisi=f"BR{number * 104729:010d}", voltot=Decimal(number))
        for number in range(1, 12_001)
    ]
    shelves.put_session(FRIDAY, *quotes)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    assert main(["ingest", "--date", str(FRIDAY)]) == DONE
    size = bucket.s3.head_object(Bucket=bucket.name, Key=DAILY.format(FRIDAY))["ContentLength"]
    printed()
    fetched = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def count(client: object, operation: str, parameters: object) -> Any:
        answer = call(client, operation, parameters)
        if operation == "GetObject":
            fetched.append(answer["ContentLength"])
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    assert main(LAST) == FILES_FAILED
    # 1 + 2 + ... + 12,000
    assert "  12,000  " in (row := printed()[1])
    assert "  BRL 72,006,000.00  " in row
    assert 0 < sum(fetched) < size / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sessions", "251"], "--sessions: found 251, expected at most 250"),
        (["--bucket", "there-is-none"], "There is no bucket there-is-none. Name the stack"),
        (["--stack", "NoSuchStack"], "There is no stack NoSuchStack in this account"),
        (["--job", "none"], "There is no Glue job none."),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_a_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *arguments]) == NOT_STARTED
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


def test_rises_that_stay_unexplained_are_told_and_are_no_failure(
    ingest: Ingest, operated: Operated, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    # Before Friday, 8 November, ten sessions are from 25 October on
    eleven_before, ten_before = date(2024, 10, 24), date(2024, 10, 25)
    operated.put_events(
        ("ZZOL3", eleven_before, "unexplained"),
        ("ZZOL4", date(2020, 1, 2), "unexplained"),
        ("ZZOL5", date(2024, 10, 1), "proven"),
        ("ZZNE3", ten_before, "unexplained"),
    )
    assert main(LAST) == DONE
    assert state_and_reasons(printed()) == (
        "ok",
        [
            "2 rises of a distribution number unexplained for more than 10 sessions, the newest first: "
            "ZZOL3 (2024-10-24), ZZOL4 (2020-01-02)"
        ],
    )
    assert main([*LAST, "--json"]) == DONE
    assert json.loads("\n".join(printed()))["unexplained_rises"] == 2


def test_events_that_cannot_be_read_are_named_with_what_to_do_and_the_rest_is_told(
    ingest: Ingest, operated: Operated, printed: Printed
) -> None:
    ingest(FRIDAY, "1.10")
    operated.refined.put("refined_events/part-00000.parquet", b"<html>")
    assert main(LAST) == FILES_FAILED
    state, (problem,) = state_and_reasons(printed())
    assert state == "ok"
    assert problem.startswith(
        f"events: s3://{operated.refined.name}/refined_events/part-00000.parquet cannot be read as Parquet: "
    )
    assert problem.endswith(
        f"; the job makes them anew with any session: python -m scraper replay --date {FRIDAY} --source raw"
    )
    assert main([*LAST, "--json"]) == FILES_FAILED
    found = json.loads("\n".join(printed()))
    assert (found["is_well"], found["unexplained_rises"]) == (False, None)
    assert found["events_unreadable"] == problem
    assert [session["state"] for session in found["sessions"]] == ["ok"]
