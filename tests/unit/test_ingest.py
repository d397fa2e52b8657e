"""A run of the scraper: a misbehaving B3 on one side, a real S3 API on the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest

import scraper.daily.ingest
from lake.keys import CANARY_MEMORY
from sandbox.b3.formats import Quote, encode_session, zip_file
from sandbox.b3.server import REQUEST_REJECTED, Answer, B3Server
from scraper.b3.calendar import SAO_PAULO
from scraper.b3.oddities import Oddity, TrailerCount
from scraper.daily.ingest import IngestError, Outcome, Result, ingest
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket, Shelves, client

FRIDAY = date(2024, 11, 8)
MONDAY_MORNING = datetime(2024, 11, 11, 7, tzinfo=SAO_PAULO)
QUOTES = "/InstDados/SerHist/"
FRIDAYS_PATH = f"{QUOTES}COTAHIST_D08112024.ZIP"
DAILY = "raw/cotahist/trade_date=2024-11-08/daily.parquet"
PORTFOLIO = "raw/index_portfolio/portfolio_date=2024-11-11/IBOV.parquet"
HTML = b"<!DOCTYPE html><html></html>"

Run = Callable[..., list[Result]]


@pytest.fixture
def run(b3: B3Server, bucket: Bucket) -> Run:
    """A run for Monday morning that wants Friday's session and, if the test has put it, the portfolio."""

    def run(now: datetime = MONDAY_MORNING, lookback_sessions: int = 1, **more: Any) -> list[Result]:
        codes = more.pop("index_codes", ())
        raw = RawBucket(bucket.name)
        return list(
            ingest(client(b3), raw, now=now, index_codes=codes, lookback_sessions=lookback_sessions, **more)
        )

    return run


def outcomes(results: list[Result]) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in results}


def test_a_new_session_is_written_and_its_result_says_what_and_where(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    quotes = [
        Quote(codneg="ZZAA3", voltot=Decimal("10100.01")),
        Quote(codneg="ZZBB4", voltot=Decimal("0.02")),
    ]
    shelves.put_session(FRIDAY, *quotes)
    sha256 = hashlib.sha256(encode_session(FRIDAY, quotes)).hexdigest()
    assert run() == [
        Result(
            source="cotahist",
            outcome=Outcome.NEW,
            date=FRIDAY,
            key=DAILY,
            rows=2,
            volume=Decimal("10100.03"),
            sha256=sha256,
            trailer_count=TrailerCount.ALL_RECORDS,
            is_stored=True,
        )
    ]
    assert [row["codneg"] for row in bucket.rows(DAILY)] == ["ZZAA3", "ZZBB4"]
    assert bucket.metadata(DAILY)["trailer-count"] == "all records"
    assert bucket.metadata(DAILY)["source"] == f"{b3.base_url}{FRIDAYS_PATH}"
    assert bucket.metadata(DAILY)["source-sha256"] == sha256


def test_a_second_run_writes_nothing(run: Run, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(date(2024, 11, 11), "ZZAA3", "ZZBB4")
    assert outcomes(run(index_codes=["IBOV"])) == {
        "index_portfolio IBOV 2024-11-11": Outcome.NEW,
        "cotahist 2024-11-08": Outcome.NEW,
    }
    before = bucket.versions()
    assert outcomes(run(index_codes=["IBOV"])) == {
        "index_portfolio IBOV 2024-11-11": Outcome.UNCHANGED,
        "cotahist 2024-11-08": Outcome.UNCHANGED,
    }
    assert bucket.versions() == before


def test_the_same_text_packed_anew_is_unchanged(run: Run, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    run()
    before = bucket.versions()
    packed = zip_file(encode_session(FRIDAY, [Quote()]), "COTAHIST.OTHER.NAME")
    assert packed != shelves.files["COTAHIST_D08112024.ZIP"]
    shelves.files["COTAHIST_D08112024.ZIP"] = packed
    assert outcomes(run()) == {"cotahist 2024-11-08": Outcome.UNCHANGED}
    assert bucket.versions() == before


def test_a_correction_of_the_last_session_replaces_it(run: Run, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY, Quote(preult=Decimal("10.20")))
    run()
    shelves.put_session(FRIDAY, Quote(preult=Decimal("10.30")), Quote(codneg="ZZBB4"))
    assert outcomes(run()) == {"cotahist 2024-11-08": Outcome.NEW}
    assert [(row["codneg"], row["preult"]) for row in bucket.rows(DAILY)] == [
        ("ZZAA3", Decimal("10.30")),
        ("ZZBB4", Decimal("10.20")),
    ]
    assert bucket.keys() == [DAILY]


def test_missing_sessions_are_taken_newest_first_and_those_present_left_alone(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    for day in (5, 6, 7, 8):
        shelves.put_session(date(2024, 11, day))
    bucket.put("raw/cotahist/trade_date=2024-11-06/daily.parquet")
    bucket.put("raw/cotahist/trade_date=2024-11-05/backfill.parquet")
    # The four sessions up to Friday are the 5th to the 8th
    assert list(outcomes(run(lookback_sessions=4)).items()) == [
        ("cotahist 2024-11-08", Outcome.NEW),
        ("cotahist 2024-11-07", Outcome.NEW),
    ]
    assert [seen.path for seen in b3.requests_seen] == [
        FRIDAYS_PATH,
        f"{QUOTES}COTAHIST_D07112024.ZIP",
    ]


AFTER_A_HOLIDAY = datetime(2024, 11, 18, 7, tzinfo=SAO_PAULO)
"""Monday after Friday 2024-11-15, on which the calendar has the exchange closed."""


def test_a_session_on_a_day_that_the_calendar_takes_for_a_holiday_is_taken(
    shelves: Shelves, run: Run
) -> None:
    for day in (13, 14, 15):
        shelves.put_session(date(2024, 11, day))
    assert list(outcomes(run(now=AFTER_A_HOLIDAY, lookback_sessions=2)).items()) == [
        ("cotahist 2024-11-14", Outcome.NEW),
        ("cotahist 2024-11-15", Outcome.NEW),
        ("cotahist 2024-11-13", Outcome.NEW),
    ]


def test_a_holiday_is_no_error_and_costs_one_question(shelves: Shelves, b3: B3Server, run: Run) -> None:
    shelves.put_session(date(2024, 11, 14))
    results = run(now=AFTER_A_HOLIDAY)
    assert outcomes(results) == {
        "cotahist 2024-11-14": Outcome.NEW,
        "cotahist 2024-11-15": Outcome.NO_SESSION,
    }
    assert not any(result.is_error for result in results)
    assert [seen.path for seen in b3.requests_seen].count(f"{QUOTES}COTAHIST_D15112024.ZIP") == 1


def test_an_explicit_session_is_the_only_one_taken_even_if_it_is_there(
    run: Run, b3: B3Server, shelves: Shelves
) -> None:
    old = date(2003, 2, 12)
    shelves.put_session(old)
    assert outcomes(run(session=old, lookback_sessions=10)) == {"cotahist 2003-02-12": Outcome.NEW}
    assert outcomes(run(session=old, lookback_sessions=10)) == {"cotahist 2003-02-12": Outcome.UNCHANGED}
    assert len(b3.requests_seen) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(status=404), id="404"),
        pytest.param(Answer(body=b""), id="empty body"),
        pytest.param(Answer(body=HTML), id="HTML page"),
        pytest.param(Answer(body=zip_file(b"", "COTAHIST_D08112024.TXT")), id="empty ZIP"),
    ],
)
def test_a_file_that_b3_does_not_have_is_awaited_for_a_day_and_is_no_error(
    run: Run, b3: B3Server, bucket: Bucket, answer: Answer
) -> None:
    b3.script(FRIDAYS_PATH, [answer] * 3)
    for now, outcome in (
        (datetime(2024, 11, 9, 7, tzinfo=SAO_PAULO), Outcome.NOT_YET_PUBLISHED),
        # 02:59 UTC on the 10th is 23:59 on the 9th in São Paulo, the end of the day after the session
        (datetime(2024, 11, 10, 2, 59, tzinfo=UTC), Outcome.NOT_YET_PUBLISHED),
        (datetime(2024, 11, 10, 3, 0, tzinfo=UTC), Outcome.NO_SESSION),
    ):
        [result] = run(now=now)
        assert (result.outcome, result.is_error) == (outcome, False), now
        assert FRIDAYS_PATH in str(result.message)
    assert bucket.keys() == []


def test_a_page_in_place_of_one_session_may_say_that_there_was_none(
    run: Run, b3: B3Server, shelves: Shelves
) -> None:
    shelves.put_session(FRIDAY)
    b3.script(f"{QUOTES}COTAHIST_D07112024.ZIP", [Answer(body=HTML)])
    results = run(lookback_sessions=2)
    assert outcomes(results) == {
        "cotahist 2024-11-08": Outcome.NEW,
        "cotahist 2024-11-07": Outcome.NO_SESSION,
    }
    assert results[1].summary()["absence"] == "an HTML page"


def test_pages_in_place_of_several_sessions_are_refusals_told_when_the_others_are_done(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_session(date(2024, 11, 6))
    for day in (8, 7):
        b3.script(f"{QUOTES}COTAHIST_D{day:02}112024.ZIP", [Answer(body=HTML)])
    results = run(lookback_sessions=4)
    assert list(outcomes(results).items()) == [
        ("cotahist 2024-11-06", Outcome.NEW),
        ("cotahist 2024-11-05", Outcome.NO_SESSION),  # by 404, which is B3's word
        ("cotahist 2024-11-08", Outcome.REFUSED),
        ("cotahist 2024-11-07", Outcome.REFUSED),
    ]
    assert [result.is_error for result in results] == [False, False, True, True]
    assert [result.is_stored for result in results] == [True, False, False, False]
    assert "D08112024.ZIP: an HTML page in place of several files" in str(results[2].message)
    assert bucket.keys() == [DAILY.replace("08", "06")]


@pytest.mark.parametrize("page", [HTML, REQUEST_REJECTED.body])
def test_a_page_in_place_of_a_portfolio_is_a_refusal_and_what_it_makes_of_a_session_s_page(
    run: Run, b3: B3Server, page: bytes
) -> None:
    b3.script("/indexProxy/", [Answer(body=page)])
    b3.script(QUOTES, [Answer(body=HTML)])
    assert outcomes(run(index_codes=["IBOV"])) == {
        "index_portfolio IBOV": Outcome.REFUSED,
        "cotahist 2024-11-08": Outcome.REFUSED,
    }


def test_one_page_that_is_a_firewall_s_by_its_words_is_a_refusal(run: Run, b3: B3Server) -> None:
    b3.script(QUOTES, [REQUEST_REJECTED])
    [result] = run()
    assert (result.outcome, result.is_stored) == (Outcome.REFUSED, False)
    assert "Your support ID is: 1234567890123456789" in str(result.message)


def test_a_page_on_a_weekday_that_the_calendar_has_closed_is_no_evidence(
    run: Run, b3: B3Server, shelves: Shelves
) -> None:
    shelves.put_session(date(2024, 11, 14))
    for day in (13, 15):
        b3.script(f"{QUOTES}COTAHIST_D{day}112024.ZIP", [Answer(body=HTML)])
    assert outcomes(run(now=AFTER_A_HOLIDAY, lookback_sessions=2)) == {
        "cotahist 2024-11-14": Outcome.NEW,
        "cotahist 2024-11-15": Outcome.NO_SESSION,
        "cotahist 2024-11-13": Outcome.NO_SESSION,
    }


GOOD_ZIP = zip_file(encode_session(FRIDAY, [Quote()]), "COTAHIST_D08112024.TXT")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(GOOD_ZIP[:-30], "a damaged ZIP", id="cut ZIP"),
        pytest.param(
            zip_file(encode_session(date(2024, 11, 7), [Quote()]), "A"), "field DATA", id="another session"
        ),
        pytest.param(zip_file(encode_session(FRIDAY, []), "A"), "no quote", id="no quote"),
    ],
)
def test_what_the_reader_refuses_goes_to_quarantine_and_the_partition_stays(
    *, run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves, body: bytes, message: str
) -> None:
    shelves.put_session(FRIDAY)
    run()
    before = bucket.content(DAILY)
    b3.script(FRIDAYS_PATH, [Answer(body=body), Answer(body=body)])
    for _ in range(2):
        [result] = run()
        assert (result.outcome, result.is_error) == (Outcome.INVALID, True)
        assert message in str(result.message)
    expected = f"quarantine/cotahist/2024-11-08/{hashlib.sha256(body).hexdigest()}.zip"
    assert result.key == expected
    assert bucket.keys() == [expected, DAILY]
    assert bucket.content(expected) == body
    assert message in bucket.metadata(expected)["reason"]
    assert bucket.metadata(expected)["source"] == f"{b3.base_url}{FRIDAYS_PATH}"
    assert bucket.content(DAILY) == before
    assert sorted(key for key, _ in bucket.versions() if key != CANARY_MEMORY) == [
        expected,
        DAILY,
    ]  # once each


def test_a_session_that_cannot_be_fetched_does_not_stop_the_others(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    for day in (6, 7, 8):
        shelves.put_session(date(2024, 11, day))
    b3.script(f"{QUOTES}COTAHIST_D07112024.ZIP", [Answer(status=520)] * 2)
    results = run(lookback_sessions=3)
    assert outcomes(results) == {
        "cotahist 2024-11-08": Outcome.NEW,
        "cotahist 2024-11-07": Outcome.FAILED,
        "cotahist 2024-11-06": Outcome.NEW,
    }
    assert "HTTP 520" in str(results[1].message)
    assert bucket.keys() == [DAILY.replace("08", "06"), DAILY]
    # B3 is well again: the next run takes what this one could not
    assert outcomes(run(lookback_sessions=3))["cotahist 2024-11-07"] == Outcome.NEW


def test_a_portfolio_that_is_down_does_not_stop_the_quotes(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_session(FRIDAY)
    b3.script("/indexProxy/", [Answer(status=503)] * 2)
    assert outcomes(run(index_codes=["IBOV"])) == {
        "index_portfolio IBOV": Outcome.FAILED,
        "cotahist 2024-11-08": Outcome.NEW,
    }
    assert bucket.keys() == [DAILY]


def test_quotes_that_are_down_do_not_stop_the_portfolio(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_portfolio(date(2024, 11, 11), "ZZAA3")
    b3.script(QUOTES, [Answer(status=403)] * 2)
    assert outcomes(run(index_codes=["IBOV"])) == {
        "index_portfolio IBOV 2024-11-11": Outcome.NEW,
        "cotahist 2024-11-08": Outcome.FAILED,
    }
    assert bucket.keys() == [PORTFOLIO]


def test_an_error_of_our_own_in_one_source_does_not_stop_the_other_and_is_logged_whole(
    run: Run, shelves: Shelves, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("header")

    monkeypatch.setattr(scraper.daily.ingest, "read_portfolio", broken)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    shelves.put_session(FRIDAY)
    results = run(index_codes=["IBOV"])
    assert outcomes(results) == {"index_portfolio IBOV": Outcome.FAILED, "cotahist 2024-11-08": Outcome.NEW}
    assert results[0].message == "KeyError: 'header'"
    assert "Traceback" in caplog.text


def test_a_portfolio_is_filed_under_its_own_date_with_all_its_pages(
    run: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(date(2024, 11, 11), "ZZAA3", "ZZBB4", "ZZCC11", page_size=2)
    results = run(index_codes=["IBOV"])
    assert results[0] == Result(
        source="index_portfolio",
        outcome=Outcome.NEW,
        date=date(2024, 11, 11),
        index="IBOV",
        key=PORTFOLIO,
        rows=3,
        sha256=hashlib.sha256(b"\n".join(shelves.pages["IBOV"])).hexdigest(),
    )
    assert [(row["ticker"], row["weight"]) for row in bucket.rows(PORTFOLIO)] == [
        ("ZZAA3", Decimal("80.000")),
        ("ZZBB4", Decimal("10.000")),
        ("ZZCC11", Decimal("10.000")),
    ]
    # Before the quotes, whose arrival starts the job that joins them to it
    assert [seen.path.startswith("/indexProxy/") for seen in b3.requests_seen] == [True, True, False]


def test_each_index_has_a_file_of_its_own(run: Run, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_portfolio(FRIDAY, "ZZAA3", index="IBOV")
    shelves.put_portfolio(FRIDAY, "ZZBB4", index="SMLL")
    run(index_codes=["IBOV", "SMLL"])
    assert bucket.keys() == [
        "raw/index_portfolio/portfolio_date=2024-11-08/IBOV.parquet",
        "raw/index_portfolio/portfolio_date=2024-11-08/SMLL.parquet",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param((b"10,000", b"10,001"), "100.000", id="weights that do not add up"),
        pytest.param((b'"totalPages": 1', b'"totalPages": 21'), "totalPages: found 21", id="too many pages"),
    ],
)
def test_a_portfolio_that_is_refused_is_quarantined_under_the_day_of_the_run(
    run: Run, bucket: Bucket, shelves: Shelves, wrong: tuple[bytes, bytes], message: str
) -> None:
    shelves.put_portfolio(date(2024, 11, 12), "ZZAA3", "ZZBB4")
    page = shelves.pages["IBOV"][0].replace(*wrong)
    assert page != shelves.pages["IBOV"][0]
    shelves.pages["IBOV"] = [page]
    result = run(index_codes=["IBOV"])[0]
    assert result.outcome == Outcome.INVALID
    assert message in str(result.message)
    expected = f"quarantine/index_portfolio/2024-11-11/{hashlib.sha256(page).hexdigest()}.json"
    assert (bucket.keys(), result.key) == ([expected], expected)


def test_nothing_is_asked_of_b3_when_the_bucket_cannot_be_listed(
    run: Run, b3: B3Server, bucket: Bucket
) -> None:
    boto3.client("s3").delete_bucket(Bucket=bucket.name)
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchBucket"):
        run(index_codes=["IBOV"])
    assert b3.requests_seen == []


def test_a_time_without_zone_is_refused_before_anything_is_done(run: Run) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        run(now=datetime(2024, 11, 11, 7))  # noqa: DTZ001 - the point of the test


def test_a_summary_is_what_json_can_hold_with_the_cents_kept() -> None:
    result = Result(
        source="cotahist", outcome=Outcome.NEW, date=FRIDAY, key=DAILY, rows=2, volume=Decimal("30.10")
    )
    assert result.summary() == {
        "source": "cotahist",
        "outcome": "new",
        "date": "2024-11-08",
        "key": DAILY,
        "rows": 2,
        "volume": "30.10",
    }


def test_a_summary_tells_what_the_trailer_counts_and_what_is_odd() -> None:
    oddity = Oddity("DATVEN", "no day of the calendar, kept as null", 2, 5, "'00000000'")
    result = Result(
        source="cotahist", outcome=Outcome.NEW, trailer_count=TrailerCount.QUOTES, oddities=(oddity,)
    )
    assert json.loads(json.dumps(result.summary())) == {
        "source": "cotahist",
        "outcome": "new",
        "trailer_count": "quotes",
        "oddities": [
            {
                "field": "DATVEN",
                "what": "no day of the calendar, kept as null",
                "count": 2,
                "first_record": 5,
                "example": "'00000000'",
            }
        ],
    }


def test_odd_values_of_quotes_and_portfolio_are_in_the_results_and_in_the_lineage(
    run: Run, bucket: Bucket, shelves: Shelves
) -> None:
    odd = encode_session(FRIDAY, [Quote()]).replace(b"SIMULADA ", b"SIMULADA\x92") + b"\r\n"
    shelves.files["COTAHIST_D08112024.ZIP"] = zip_file(odd, "A")
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    shelves.pages["IBOV"] = [shelves.pages["IBOV"][0].replace(b"1.000.000,00000000", b"n/d")]
    portfolio, quotes = run(index_codes=["IBOV"])
    assert [(each.outcome, len(each.oddities)) for each in (portfolio, quotes)] == [
        (Outcome.NEW, 1),
        (Outcome.NEW, 2),
    ]
    assert bucket.rows(DAILY)[0]["nomres"] == "SIMULADA\u2019"
    assert "NOMRES: bytes of Windows-1252" in bucket.metadata(DAILY)["oddities"]
    assert portfolio.key is not None
    assert bucket.metadata(portfolio.key)["oddities"].startswith("header.reductor: no number, kept as null")


def test_the_error_of_a_run_names_each_file_that_failed() -> None:
    error = IngestError(
        [
            Result(source="cotahist", outcome=Outcome.NEW, date=FRIDAY),
            Result(source="cotahist", outcome=Outcome.FAILED, date=date(2024, 11, 7), message="HTTP 520"),
            Result(source="index_portfolio", outcome=Outcome.INVALID, index="IBOV", message="99.999"),
        ]
    )
    assert str(error) == (
        "2 of 3 files were not ingested. cotahist 2024-11-07: failed: HTTP 520 | "
        "index_portfolio IBOV: invalid: 99.999"
    )


@pytest.mark.real
@pytest.mark.parametrize(
    ("session", "count", "volume"),
    [
        (date(2024, 11, 8), 12_226, "30013494912.34"),
        (date(2021, 6, 25), 7_518, "33577581321.31"),
        (date(2016, 1, 4), 1_743, "5144986511.88"),
        (date(2003, 2, 12), 551, "777444601.48"),
    ],
)
def test_real_sessions_reach_the_bucket_to_the_cent(
    *, run: Run, bucket: Bucket, shelves: Shelves, b3_files: Path, session: date, count: int, volume: str
) -> None:
    name = f"COTAHIST_D{session:%d%m%Y}.ZIP"
    shelves.files[name] = (b3_files / "InstDados" / "SerHist" / name).read_bytes()
    [result] = run(session=session)
    assert (result.rows, result.volume) == (count, Decimal(volume))
    assert result.key is not None
    written = bucket.rows(result.key)
    assert (len(written), sum(row["voltot"] for row in written)) == (count, Decimal(volume))
