"""A year into the raw bucket: what is written, left alone, refused, and what an interruption leaves."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scraper.history.backfill
import scraper.raw.bucket
from sandbox.b3.formats import Quote, zip_file
from sandbox.b3.server import REQUEST_REJECTED, Answer, B3Server
from scraper.b3.calendar import sessions_between
from scraper.b3.client import RefusedError
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA
from scraper.b3.oddities import Oddity, TrailerCount
from scraper.daily.ingest import ingest
from scraper.history.backfill import (
    BackfillError,
    Manifest,
    Outcome,
    Progress,
    Session,
    Task,
    YearResult,
    load_year,
    load_years,
    read_manifest,
    survey,
    tasks,
)
from scraper.history.revisions import Revision
from scraper.history.span import Span
from scraper.raw.bucket import Lineage, RawBucket, encode_session
from tests.fixtures.both_ends import Bucket, Shelves, client

TODAY = date(2026, 11, 24)
NOW = datetime(2024, 11, 11, 10, tzinfo=UTC)
# Monday to Friday, each of them a session
WEEK = [date(2024, 11, day) for day in (4, 5, 6, 7, 8)]
FRIDAY = WEEK[-1]
THIS_WEEK = Task(2024, Span(WEEK[0], FRIDAY))
MANIFEST = "backfill/COTAHIST_A2024.json"

Load = Callable[..., YearResult]


def silent(_stage: str, _done: int, _total: int) -> None:
    """No progress."""


@pytest.fixture
def load(b3: B3Server, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def load(task: Task = THIS_WEEK, *, raw: RawBucket | None = None, **more: Any) -> YearResult:
        return load_year(
            task,
            more.pop("progress", silent),
            b3=client(b3),
            raw=raw or RawBucket(bucket.name),
            **{"today": TODAY, **more},
        )

    return load


def key_of(session: date, name: str = "backfill") -> str:
    return f"raw/cotahist/trade_date={session}/{name}.parquet"


def a_quote_each(sessions: Sequence[date]) -> dict[date, list[Quote]]:
    """A quote a session, whose volume in BRL is the day of the month and a cent."""
    return {session: [Quote(voltot=session.day + Decimal("0.01"))] for session in sessions}


def manifest_of(bucket: Bucket) -> Manifest:
    manifest = read_manifest(RawBucket(bucket.name), 2024)
    assert manifest is not None
    return manifest


# What is written


def test_a_year_is_a_file_a_session_and_a_manifest(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    content = shelves.put_year(
        2024,
        {
            WEEK[0]: [
                Quote(codneg="ZZAA3", voltot=Decimal("1.01")),
                Quote(codneg="ZZBB4", voltot=Decimal("2.02")),
            ],
            WEEK[1]: [Quote(codneg="ZZCC11", voltot=Decimal("4.04"))],
        },
    )
    result = load(Task(2024, Span(WEEK[0], WEEK[1])))
    assert result.outcome is Outcome.LOADED
    assert bucket.keys() == [MANIFEST, key_of(WEEK[0]), key_of(WEEK[1])]
    assert [row["codneg"] for row in bucket.rows(key_of(WEEK[0]))] == ["ZZAA3", "ZZBB4"]
    assert [row["voltot"] for row in bucket.rows(key_of(WEEK[1]))] == [Decimal("4.04")]
    assert manifest_of(bucket) == Manifest(
        year=2024,
        source=f"{b3.base_url}/InstDados/SerHist/COTAHIST_A2024.ZIP",
        sha256=hashlib.sha256(content).hexdigest(),
        reader_version=scraper.raw.bucket.READER_VERSION,
        days=Span(WEEK[0], WEEK[1]),
        sessions=tuple(
            Session(day=day, rows=count, volume=Decimal(volume), md5=md5(bucket, key_of(day)))
            for day, count, volume in [(WEEK[0], 2, "3.03"), (WEEK[1], 1, "4.04")]
        ),
        missing=(),
        unexpected=(),
        written=2,
        unchanged=0,
        to_refine=Span(WEEK[0], WEEK[1]),
        refine_run=None,
        request=None,
        trailer_count=TrailerCount.ALL_RECORDS,
    )


def md5(bucket: Bucket, key: str) -> str:
    return hashlib.md5(bucket.content(key), usedforsecurity=False).hexdigest()


def test_a_session_s_file_has_the_raw_schema_and_says_where_it_comes_from(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    content = shelves.put_year(2024, a_quote_each(WEEK))
    load()
    lineage = {
        "source": f"{b3.base_url}/InstDados/SerHist/COTAHIST_A2024.ZIP",
        "source-sha256": hashlib.sha256(content).hexdigest(),
        "reader-version": scraper.raw.bucket.READER_VERSION,
        "trailer-count": "all records",
    }
    schema = pq.read_schema(io.BytesIO(bucket.content(key_of(FRIDAY))))
    assert schema.remove_metadata() == COTAHIST_SCHEMA
    assert {name.decode(): text.decode() for name, text in (schema.metadata or {}).items()} == lineage
    assert bucket.metadata(key_of(FRIDAY)) == lineage


def test_the_rows_of_a_session_are_those_of_the_daily_path(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    quotes = [Quote(codneg=f"ZZ{n:02}", tpmerc="070", datven=date(2024, 12, 20)) for n in range(40)]
    shelves.put_year(2024, {**a_quote_each(WEEK[:-1]), FRIDAY: quotes})
    load()
    backfilled = pq.read_table(io.BytesIO(bucket.content(key_of(FRIDAY))))
    shelves.put_session(FRIDAY, *quotes)
    take_daily(b3, bucket, FRIDAY)
    daily = pq.read_table(io.BytesIO(bucket.content(key_of(FRIDAY, "daily"))))
    assert backfilled.equals(daily)
    assert key_of(FRIDAY) not in bucket.keys()  # noqa: SIM118 - a method of ours


def test_a_file_in_which_the_sessions_are_mixed_gives_the_same_files(
    load: Load, bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotes = [Quote(codneg=f"ZZ{n:02}") for n in range(9)]
    by_session = shelves.put_year(2024, dict.fromkeys(WEEK, quotes))
    load()
    before = {day: bucket.rows(key_of(day)) for day in WEEK}
    # So that every session is staged in several pieces, and in another order than that of the file
    monkeypatch.setattr(scraper.history.backfill, "STAGED_ROWS", 4)
    monkeypatch.setattr("scraper.b3.cotahist.reader._BLOCK_RECORDS", 7)
    by_ticker = shelves.put_year(2024, dict.fromkeys(WEEK, quotes), by_ticker=True)
    assert by_ticker != by_session
    assert load().outcome is Outcome.LOADED
    assert {day: bucket.rows(key_of(day)) for day in WEEK} == before


def test_the_same_rows_are_the_same_bytes_however_they_are_cut() -> None:
    batch = pa.RecordBatch.from_pylist(
        [dict.fromkeys(COTAHIST_SCHEMA.names, None) | {"codneg": f"ZZ{n}", "totneg": n} for n in range(100)],
        schema=COTAHIST_SCHEMA,
    )
    lineage = Lineage("https://b3.example/COTAHIST_A2024.ZIP", "ab" * 32)
    whole = encode_session(pa.Table.from_batches([batch]), lineage)
    assert encode_session(pa.Table.from_batches([batch.slice(0, 1), batch.slice(1)]), lineage) == whole


def test_only_the_days_that_are_asked_for_are_taken(load: Load, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    result = load(Task(2024, Span(WEEK[1], WEEK[2])))
    assert bucket.keys() == [MANIFEST, key_of(WEEK[1]), key_of(WEEK[2])]
    assert result.manifest is not None
    assert result.manifest.days == Span(WEEK[1], WEEK[2])


def test_progress_is_told_of_every_stage_to_its_end(load: Load, shelves: Shelves) -> None:
    content = shelves.put_year(2024, a_quote_each(WEEK))
    told: list[tuple[str, int, int]] = []
    load(progress=lambda *news: told.append(news))
    text = 247 * 7  # header, five quotes and trailer, of 245 characters and a line end
    last = {stage: (done, total) for stage, done, total in told}
    assert last == {"download": (len(content), len(content)), "read": (text, text), "upload": (5, 5)}


def test_temporary_files_go(load: Load, shelves: Shelves, tmp_path: Path) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    assert list(tmp_path.iterdir()) == []


# What is left alone


def test_what_is_there_with_the_same_bytes_is_not_written_again(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    before = bucket.versions()
    again = load().manifest
    assert again is not None
    assert (again.written, again.unchanged) == (0, 5)
    assert {key for key, _ in bucket.versions() - before} == {MANIFEST}


def test_a_session_of_the_daily_path_is_left_as_it_is(load: Load, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    bucket.put(key_of(FRIDAY, "daily"), b"as ingested")
    before = bucket.versions()
    manifest = load().manifest
    assert manifest is not None
    assert manifest.written == 4
    assert [session.day for session in manifest.sessions if session.md5 is None] == [FRIDAY]
    assert manifest.to_refine == Span(WEEK[0], WEEK[3])
    assert before <= bucket.versions()
    assert key_of(FRIDAY) not in bucket.keys()  # noqa: SIM118 - a method of ours


def test_of_a_partition_with_both_files_the_daily_one_stays(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    bucket.put(key_of(FRIDAY, "daily"), b"as ingested")
    bucket.put(key_of(FRIDAY), b"left behind by a crash")
    load()
    assert [key for key in bucket.keys() if str(FRIDAY) in key] == [key_of(FRIDAY, "daily")]  # noqa: SIM118


class Racing(RawBucket):
    """A bucket into which the daily path writes a session while it is being backfilled.

    It puts its file and has then looked for ours, before ours is put or after.
    """

    def __init__(self, bucket: Bucket, *, ours_first: bool) -> None:
        super().__init__(bucket.name)
        self._bucket = bucket
        self._ours_first = ours_first

    def put_backfill(self, content: bytes, *, session: date, lineage: Lineage) -> None:
        if session == FRIDAY and not self._ours_first:
            self._bucket.put(key_of(FRIDAY, "daily"))
        super().put_backfill(content, session=session, lineage=lineage)
        if session == FRIDAY and self._ours_first:
            self._bucket.put(key_of(FRIDAY, "daily"))
            self.delete_backfill(FRIDAY)


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_session_that_is_ingested_meanwhile_has_one_file_in_the_end_the_daily_one(
    load: Load, bucket: Bucket, shelves: Shelves, ours_first: bool
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    manifest = load(raw=Racing(bucket, ours_first=ours_first)).manifest
    assert [key for key in bucket.keys() if str(FRIDAY) in key] == [key_of(FRIDAY, "daily")]  # noqa: SIM118
    assert manifest is not None
    assert (manifest.written, manifest.to_refine) == (4, Span(WEEK[0], WEEK[3]))


# What is refused


def test_a_refused_file_leaves_raw_as_it_was_and_lies_in_quarantine(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    whole = shelves.put_year(2024, a_quote_each(WEEK))
    spoilt = shelves.files["COTAHIST_A2024.ZIP"] = whole[: len(whole) // 2]
    result = load()
    sha256 = hashlib.sha256(spoilt).hexdigest()
    assert (result.outcome, result.manifest, result.is_error) == (Outcome.INVALID, None, True)
    assert result.key == f"quarantine/cotahist/2024/{sha256}.zip"
    assert bucket.keys() == [result.key]
    assert bucket.content(result.key) == spoilt
    assert "damaged ZIP" in bucket.metadata(result.key)["reason"]
    assert bucket.metadata(result.key)["source"].endswith("/InstDados/SerHist/COTAHIST_A2024.ZIP")


def test_an_error_in_the_last_record_keeps_every_session_out(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    # The trailer is the last thing that is read: by then all sessions are staged
    text = text_of(shelves.put_year(2024, a_quote_each(WEEK[:4])))
    wrong = text.replace(b"00000000006", b"00000000007")
    shelves.files["COTAHIST_A2024.ZIP"] = zip_file(wrong, "A")
    result = load()
    assert result.outcome is Outcome.INVALID
    assert "TOTAL DE REGISTROS" in str(result.message).upper()
    assert not [key for key in bucket.keys() if key.startswith(("raw/", "backfill/"))]  # noqa: SIM118


def text_of(zipped: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return archive.read(archive.namelist()[0])


def test_a_file_without_a_quote_is_refused(load: Load, shelves: Shelves) -> None:
    shelves.put_year(2024, {})
    result = load()
    assert result.outcome is Outcome.INVALID
    assert "found no quote" in str(result.message)


def test_a_year_that_b3_does_not_have_is_an_error(load: Load) -> None:
    with pytest.raises(BackfillError, match=r"COTAHIST_A2024\.ZIP: HTTP 404; B3 has annual files since 1986"):
        load()


@pytest.mark.parametrize("page", [Answer(body=b"<html>Em manutencao</html>"), REQUEST_REJECTED])
def test_a_page_in_place_of_a_year_is_a_refusal(load: Load, b3: B3Server, page: Answer) -> None:
    b3.script("/InstDados/", [page])
    with pytest.raises(
        RefusedError, match=r"COTAHIST_A2024\.ZIP: an HTML page in place of the file: B3's fir"
    ):
        load()


def test_a_year_without_a_session_yet_is_not_yet_published(load: Load) -> None:
    january = Task(2026, Span(date(2026, 1, 1), date(2026, 12, 31)))
    result = load(january, today=date(2026, 1, 2))
    assert (result.outcome, result.is_error) == (Outcome.NOT_YET_PUBLISHED, False)


# Daily against annual


def revisions_key(session: date) -> str:
    return f"raw/cotahist_revisions/trade_date={session}/revisions.parquet"


def take_daily(b3: B3Server, bucket: Bucket, session: date) -> None:
    (result,) = ingest(
        client(b3), RawBucket(bucket.name), now=NOW, session=session, index_codes=(), lookback_sessions=1
    )
    assert result.outcome == "new"


AA, BB = Quote(codneg="ZZAA3"), Quote(codneg="ZZBB4")


def test_sessions_of_both_files_are_compared_as_multisets_and_the_daily_one_stays(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    monday, tuesday, wednesday = WEEK[:3]
    for day in (monday, tuesday):
        shelves.put_session(day, AA, BB)
        take_daily(b3, bucket, day)
    before = {day: bucket.content(key_of(day, "daily")) for day in (monday, tuesday)}
    corrected = replace(BB, preult=Decimal("10.30"))
    shelves.put_year(2024, {monday: [BB, AA], tuesday: [corrected, AA, AA], wednesday: [AA]})
    load(Task(2024, Span(monday, wednesday)))
    manifest = manifest_of(bucket)
    assert manifest.compared == 2
    assert manifest.revised == (
        Revision(
            day=tuesday,
            daily_lines=1,
            annual_lines=2,
            examples=("ZZAA3 010: only in the annual file", "ZZBB4 010: preult 10.20 and then 10.30"),
        ),
    )
    assert bucket.keys() == [
        MANIFEST,
        key_of(monday, "daily"),
        key_of(tuesday, "daily"),
        key_of(wednesday),
        revisions_key(tuesday),
    ]
    assert {day: bucket.content(key_of(day, "daily")) for day in before} == before
    kept = [(row["codneg"], row["preult"], row["file"]) for row in bucket.rows(revisions_key(tuesday))]
    assert kept == [
        ("ZZAA3", Decimal("10.20"), "annual"),
        ("ZZBB4", Decimal("10.20"), "daily"),
        ("ZZBB4", Decimal("10.30"), "annual"),
    ]


def test_what_is_kept_of_a_difference_is_not_written_again_and_goes_with_the_difference(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    monday = WEEK[0]
    one_day = Task(2024, Span(monday, monday))
    shelves.put_session(monday, AA)
    take_daily(b3, bucket, monday)
    shelves.put_year(2024, {monday: [AA, BB]})
    load(one_day)
    before = bucket.versions()
    load(one_day)
    assert {key for key, _ in bucket.versions() - before} == {MANIFEST}
    # B3 corrects the daily file, and with it what it was made of
    shelves.put_session(monday, AA, BB)
    take_daily(b3, bucket, monday)
    assert revisions_key(monday) not in bucket.keys()  # noqa: SIM118 - a method of ours
    load(one_day)
    assert manifest_of(bucket).revised == ()
    # The annual file comes to differ, and then no more
    shelves.put_year(2024, {monday: [AA]})
    load(one_day)
    assert [str(revision) for revision in manifest_of(bucket).revised] == [
        "2024-11-04: lines that only the daily file has: 1, only the annual one: 0; "
        "ZZBB4 010: only in the daily file"
    ]
    shelves.put_year(2024, {monday: [BB, AA]})
    load(one_day)
    assert bucket.keys() == [MANIFEST, key_of(monday, "daily")]


def test_a_daily_file_that_cannot_be_read_is_told_and_costs_no_session(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    bucket.put(key_of(WEEK[0], "daily"), b"by hand")
    shelves.put_year(2024, {WEEK[0]: [AA], WEEK[1]: [AA]})
    assert load(Task(2024, Span(WEEK[0], WEEK[1]))).outcome is Outcome.LOADED
    (revision,) = manifest_of(bucket).revised
    assert (revision.day, revision.daily_lines) == (WEEK[0], 0)
    assert "ArrowInvalid" in str(revision.trouble)
    assert bucket.keys() == [MANIFEST, key_of(WEEK[0], "daily"), key_of(WEEK[1])]


def test_codes_of_no_table_in_a_year_are_told_in_its_manifest(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    strange = Quote(codneg="ZZXX3", tpmerc="099", codbdi="Z9")
    shelves.put_year(2024, {WEEK[0]: [AA, strange], WEEK[1]: [strange]})
    load(Task(2024, Span(WEEK[0], WEEK[1])))
    assert manifest_of(bucket).news == (
        "TPMERC '099', in no table and not seen before (quotes: 2)",
        "CODBDI 'Z9', in no table and not seen before (quotes: 2)",
    )


def test_staged_files_that_do_not_add_up_are_not_uploaded(
    load: Load, bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))

    def lossy(quotes: pa.Table, lineage: Lineage) -> bytes:
        return encode_session(quotes.slice(0, 0), lineage)

    monkeypatch.setattr(scraper.history.backfill, "encode_session", lossy)
    # 4 + 5 + 6 + 7 + 8 BRL and five cents
    with pytest.raises(BackfillError, match=r"hold 0 quotes and 0 of VOLTOT, expected 5 and 30\.05"):
        load()
    assert bucket.keys() == []


# Sessions against the calendar


def months(first: int, last: int | None = None) -> Span:
    """Months of 2024 from their first day to their last."""
    return Span(date(2024, first, 1), date(2024, last or first, monthrange(2024, last or first)[1]))


def sessions_of(
    days: Span, without: Sequence[date] = (), more: Sequence[date] = ()
) -> dict[date, list[Quote]]:
    """The calendar's sessions, less some, and more."""
    return a_quote_each(sorted({*sessions_between(days.first, days.last), *more} - {*without}))


def test_single_days_are_b3_s_word_against_the_calendar_s_and_reported(load: Load, shelves: Shelves) -> None:
    days, wednesday, saturday = months(10, 11), date(2024, 10, 9), date(2024, 11, 9)
    shelves.put_year(2024, sessions_of(days, without=[wednesday, *WEEK], more=[saturday]))
    manifest = load(Task(2024, days)).manifest
    assert manifest is not None
    assert manifest.missing == (wednesday, *WEEK)
    assert manifest.unexpected == (saturday,)
    # October has 23 sessions, November 19
    assert len(manifest.sessions) == 42 - 6 + 1


@pytest.mark.parametrize(
    ("days", "lacking", "found"),
    [
        pytest.param(
            months(11),
            (date(2024, 11, 4), date(2024, 11, 11)),
            "6 sessions in a row, 2024-11-04 to 2024-11-11",
            id="in the middle",
        ),
        pytest.param(
            months(1),
            (date(2024, 1, 1), date(2024, 1, 9)),
            "6 sessions in a row, 2024-01-02 to 2024-01-09",
            id="at the beginning",
        ),
        # 19, 20, 23, 26, 27 and 30 December: on 24, 25 and 31 there was none
        pytest.param(
            months(12),
            (date(2024, 12, 19), date(2024, 12, 31)),
            "6 sessions in a row, 2024-12-19 to 2024-12-30",
            id="at the end",
        ),
    ],
)
def test_a_hole_of_six_sessions_refuses_the_year_unless_it_is_accepted(
    *, load: Load, bucket: Bucket, shelves: Shelves, days: Span, lacking: tuple[date, date], found: str
) -> None:
    without = sessions_between(*lacking)
    shelves.put_year(2024, sessions_of(days, without=without))
    refused = load(Task(2024, days))
    assert refused.outcome is Outcome.INVALID
    assert found in str(refused.message)
    assert "--accept-gaps" in str(refused.message)
    assert [key.split("/")[0] for key in bucket.keys()] == ["quarantine"]  # noqa: SIM118
    accepted = load(Task(2024, days), accept_gaps=True).manifest
    assert accepted is not None
    assert accepted.missing == tuple(without)


def test_at_the_end_of_the_current_year_b3_may_be_late(load: Load, shelves: Shelves) -> None:
    shelves.put_year(2024, sessions_of(months(10)))
    # Ten sessions of November had passed
    manifest = load(Task(2024, months(10, 12)), today=date(2024, 11, 18)).manifest
    assert manifest is not None
    assert manifest.days == Span(date(2024, 10, 1), date(2024, 11, 17))
    assert manifest.missing == tuple(sessions_between(date(2024, 11, 1), date(2024, 11, 14)))


# What is finished


def finished(bucket: Bucket, task: Task = THIS_WEEK, *, refresh: bool = False) -> bool:
    [surveyed] = survey(RawBucket(bucket.name), [task], refresh=refresh)
    return surveyed.finished


def test_a_loaded_year_is_finished_for_the_days_that_it_covers(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    assert not finished(bucket)
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    assert finished(bucket)
    assert finished(bucket, Task(2024, Span(WEEK[1], WEEK[2])))
    assert not finished(bucket, Task(2024, Span(WEEK[0], FRIDAY + timedelta(days=1))))
    assert not finished(bucket, refresh=True)


def test_a_year_that_was_loaded_before_its_end_is_not_finished_after_it(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    task = Task(2024, Span(WEEK[0], date(2024, 12, 31)))
    load(task, today=date(2024, 11, 9))
    assert not finished(bucket, task)


def test_a_year_of_which_a_session_is_gone_or_another_is_not_finished(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    bucket.put(key_of(FRIDAY), b"something else")
    assert not finished(bucket)
    bucket.put(key_of(FRIDAY, "daily"))
    assert finished(bucket)  # the daily path took it over
    for name in ("daily", "backfill"):
        bucket.s3.delete_object(Bucket=bucket.name, Key=key_of(FRIDAY, name))
    assert not finished(bucket)
    load()
    assert finished(bucket)


def test_another_reader_s_year_is_not_finished(
    load: Load, bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    monkeypatch.setattr(scraper.history.backfill, "READER_VERSION", "next")
    assert not finished(bucket)


def test_a_manifest_of_another_version_is_an_error_that_says_what_to_do(bucket: Bucket) -> None:
    bucket.put(MANIFEST, b'{"year": 2024}')
    with pytest.raises(BackfillError, match=r"manifest of 2024 is not one of this version .* delete it"):
        finished(bucket)


# What is left to refine


def refined(bucket: Bucket) -> None:
    """As after a range run of the job."""
    manifest = replace(manifest_of(bucket), to_refine=None)
    RawBucket(bucket.name).write_manifest(2024, manifest.to_json())


def test_a_session_that_changed_is_to_be_refined_again_and_no_other(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    refined(bucket)
    load()
    assert manifest_of(bucket).to_refine is None
    bucket.put(key_of(WEEK[2]), b"something else")
    bucket.put(key_of(WEEK[3]), b"something else")
    load()
    # Its bytes are those that were refined: what was in between, nobody has refined
    assert manifest_of(bucket).to_refine is None
    shelves.put_year(2024, a_quote_each(WEEK) | {WEEK[2]: [Quote(preult=Decimal("9.99"))]})
    load()
    # A new ZIP, so every file says where it comes from anew
    assert manifest_of(bucket).to_refine == Span(WEEK[0], FRIDAY)


def test_what_was_never_refined_stays_to_be_refined_though_nothing_is_written(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    load()
    assert manifest_of(bucket).to_refine == Span(WEEK[0], FRIDAY)
    load(Task(2024, Span(WEEK[1], WEEK[2])))
    assert manifest_of(bucket).to_refine == Span(WEEK[0], FRIDAY)


# Interruption


KILLED_IN_MID_UPLOAD = textwrap.dedent(
    """
    import itertools, os, signal, sys
    from scraper.raw import bucket as raw
    from scraper.__main__ import main

    put, count = raw.RawBucket.put_backfill, itertools.count(1)

    def put_and_be_killed(self, *arguments, **named):
        put(self, *arguments, **named)
        if next(count) == 15:
            os.kill(os.getpid(), signal.SIGKILL)

    raw.RawBucket.put_backfill = put_and_be_killed
    main(sys.argv[1:])
    """
)


def test_a_load_that_was_killed_in_mid_upload_goes_on_and_repeats_no_upload(
    load: Load, bucket: Bucket, shelves: Shelves, b3: B3Server, tmp_path: Path
) -> None:
    days = months(11, 12)
    autumn = Task(2024, days)
    shelves.put_year(2024, sessions_of(days))
    span = ["--from", str(days.first), "--to", str(days.last)]
    command = ["backfill", *span, "--bucket", bucket.name, "--no-refine"]
    environment = os.environ | {"QUOTES_BASE_URL": b3.base_url, "TMPDIR": str(tmp_path)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_MID_UPLOAD, *command],
        env=environment,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    left = bucket.versions()
    # November and December have 19 sessions each
    assert 15 <= len(left) < 38
    assert MANIFEST not in bucket.keys()  # noqa: SIM118 - a method of ours
    assert not finished(bucket, autumn)
    result = load(autumn)
    assert result.manifest is not None
    assert (result.manifest.written, result.manifest.unchanged) == (38 - len(left), len(left))
    assert left <= bucket.versions()
    assert len(bucket.versions()) == 39
    # What the killed one uploaded, nobody has refined
    assert result.manifest.to_refine == Span(date(2024, 11, 1), date(2024, 12, 30))
    assert finished(bucket, autumn)


# Years in parallel


def test_years_are_loaded_several_at_a_time_and_one_that_fails_is_a_result(
    bucket: Bucket, shelves: Shelves, b3: B3Server
) -> None:
    shelves.put_year(2023, {date(2023, 11, 8): [Quote()]})
    shelves.put_year(2025, {date(2025, 11, 7): [Quote()]})
    asked = [Task(year, Span(date(year, 11, 7), date(year, 11, 8))) for year in (2023, 2024, 2025)]
    raw = RawBucket(bucket.name)

    def load(task: Task, progress: Progress) -> YearResult:
        return load_year(task, progress, b3=client(b3), raw=raw, today=TODAY)

    results = {result.year: result for result in load_years(asked, load, jobs=2, progress=lambda _: silent)}
    assert {year: result.outcome for year, result in results.items()} == {
        2023: Outcome.LOADED,
        2024: Outcome.FAILED,
        2025: Outcome.LOADED,
    }
    assert "COTAHIST_A2024.ZIP: HTTP 404" in str(results[2024].message)


def test_an_error_of_ours_fails_its_year_alone() -> None:
    def load(task: Task, _progress: Progress) -> YearResult:
        if task.year == 2024:
            raise ZeroDivisionError("ours")
        return YearResult(year=task.year, outcome=Outcome.LOADED)

    asked = tasks(Span(date(2023, 1, 1), date(2024, 12, 31)))
    results = {result.year: result for result in load_years(asked, load, jobs=1, progress=lambda _: silent)}
    assert results[2023].outcome is Outcome.LOADED
    assert (results[2024].outcome, results[2024].message) == (Outcome.FAILED, "ZeroDivisionError: ours")


def test_years_that_nobody_waits_for_end_at_their_next_step() -> None:
    ended: dict[int, str] = {}

    def load(task: Task, progress: Progress) -> YearResult:
        if task.year == 2023:
            return YearResult(year=2023, outcome=Outcome.LOADED)
        try:
            while True:
                progress("read", 0, 0)
        except BackfillError as error:
            ended[task.year] = str(error)
            raise

    asked = tasks(Span(date(2023, 1, 1), date(2026, 12, 31)))
    results = load_years(asked, load, jobs=2, progress=lambda _: silent)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert set(ended.values()) == {"interrupted; the same command goes on from here"}
    assert 1 <= len(ended) <= 2  # the last one was not begun


def test_a_span_is_a_task_a_year_with_its_own_days() -> None:
    assert tasks(Span(date(2022, 11, 8), date(2024, 3, 1))) == [
        Task(2022, Span(date(2022, 11, 8), date(2022, 12, 31))),
        Task(2023, Span(date(2023, 1, 1), date(2023, 12, 31))),
        Task(2024, Span(date(2024, 1, 1), date(2024, 3, 1))),
    ]


def test_a_manifest_comes_back_from_json_as_it_was(load: Load, shelves: Shelves) -> None:
    saturday = date(2024, 11, 9)
    shelves.put_year(2024, a_quote_each([*WEEK[:-1], saturday]))
    manifest = load(Task(2024, Span(WEEK[0], saturday)), request="r1").manifest
    assert manifest is not None
    odd = Oddity("DATVEN", "no day of the calendar, kept as null", 2, 5, "'00000000'")
    for variant in (
        manifest,
        replace(manifest, to_refine=None, refine_run="jr_1", request=None, oddities=(odd,)),
    ):
        assert Manifest.from_json(json.loads(json.dumps(variant.to_json()))) == variant


def test_a_manifest_of_version_1_is_read_and_its_trailer_is_not_known(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_year(2024, a_quote_each(WEEK))
    load()
    document = manifest_of(bucket).to_json() | {"reader_version": "1"}
    del document["trailer_count"], document["oddities"]
    old = Manifest.from_json(document)
    assert (old.trailer_count, old.oddities, old.reader_version) == (None, (), "1")
    assert not old.is_finished(Span(WEEK[0], WEEK[1]), RawBucket(bucket.name).partitions(2024))


def test_what_is_odd_in_a_year_is_in_its_manifest_and_with_each_of_its_sessions(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    text = bytearray(text_of(shelves.put_year(2024, a_quote_each(WEEK), quotes_counted=True)))
    text[247 * 2 + 202 : 247 * 2 + 210] = b"00000000"
    shelves.files["COTAHIST_A2024.ZIP"] = zip_file(bytes(text), "A")
    assert load().outcome is Outcome.LOADED
    manifest = manifest_of(bucket)
    assert manifest.trailer_count is TrailerCount.QUOTES
    assert sorted((oddity.field, oddity.count) for oddity in manifest.oddities) == [
        ("DATVEN", 1),
        ("TOTAL DE REGISTROS", 1),  # as years before 2025 count all records
    ]
    for day in WEEK:
        assert bucket.metadata(key_of(day))["trailer-count"] == "quotes"
        footer = pq.read_schema(io.BytesIO(bucket.content(key_of(day)))).metadata or {}
        assert footer[b"oddities"].decode() == bucket.metadata(key_of(day))["oddities"]
        assert "DATVEN: no day" in bucket.metadata(key_of(day))["oddities"]


def test_an_upload_that_fails_leaves_no_manifest_and_does_not_go_on_with_the_rest(
    load: Load, bucket: Bucket, shelves: Shelves
) -> None:
    class Full(RawBucket):
        tried = 0

        def put_backfill(self, content: bytes, *, session: date, lineage: Lineage) -> None:
            Full.tried += 1
            raise OSError("refused")

    year = months(1, 12)
    shelves.put_year(2024, sessions_of(year))
    with pytest.raises(OSError, match="refused"):
        load(Task(2024, year), raw=Full(bucket.name))
    assert bucket.keys() == []
    assert Full.tried < 251
