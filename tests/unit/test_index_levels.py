"""Levels of indices: address, reader, the simulated market's own, the morning, the backfill, quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pytest

import scraper.b3.index_level.reader
from operating.quarantine import take_levels
from sandbox.b3.formats import encode_levels
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import Answer, B3Server, LevelsRequest, parse_levels_request
from sandbox.b3.sources import RecordedFolder, SimulatedSource
from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from scraper.b3.calendar import SAO_PAULO
from scraper.b3.client import DownloadError, RefusedError
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.address import of_year, question_of
from scraper.b3.index_level.layout import NEW_BASE
from scraper.b3.index_level.reader import LEVEL_SCHEMA, Levels, read_levels
from scraper.daily.ingest import Outcome, Result, ingest
from scraper.raw.bucket import READER_VERSION, RawBucket
from tests.fixtures.both_ends import Bucket, Shelves, client

THURSDAY, FRIDAY, MONDAY = date(2024, 11, 7), date(2024, 11, 8), date(2024, 11, 11)
MONDAY_MORNING = datetime(2024, 11, 11, 7, tzinfo=SAO_PAULO)
KEY = "raw/index_level/IBOV_2024.parquet"
CALL = "/indexStatisticsProxy/"
LEVELS = {THURSDAY: Decimal("51200.70"), FRIDAY: Decimal("50100.80")}

Run = Callable[..., Result]


def grid(levels: dict[date, Decimal] | None = None, **changed: Any) -> bytes:
    """B3's answer; `changed` takes the place of parts of it."""
    return json.dumps(encode_levels(LEVELS if levels is None else levels) | changed).encode()


def cell(answer: bytes, day: int, month: int, value: Any) -> bytes:
    """The answer with another value in a cell."""
    changed = json.loads(answer)
    changed["results"][day - 1][f"rateValue{month}"] = value
    return json.dumps(changed).encode()


def read(answer: bytes, year: int = 2024) -> Levels:
    levels = read_levels(answer, index="IBOV", year=year, source="source")
    assert levels is not None
    return levels


def rows(levels: Levels) -> list[tuple[Any, ...]]:
    assert [column.pyarrow_dtype for column in levels.frame.dtypes] == LEVEL_SCHEMA.types
    table = pa.Table.from_pandas(levels.frame, schema=LEVEL_SCHEMA)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_the_address_is_that_of_b3s_pages() -> None:
    # The Base64 of {"index":"IBOV","language":"pt-br","year":"2024"}, by another program
    address = of_year("https://b3", "IBOV", 2024)
    assert address == (
        "https://b3/indexStatisticsProxy/IndexCall/GetPortfolioDay/"
        "eyJpbmRleCI6IklCT1YiLCJsYW5ndWFnZSI6InB0LWJyIiwieWVhciI6IjIwMjQifQ=="
    )
    assert question_of(address) == ("IBOV", 2024)
    assert question_of("https://b3/indexProxy/indexCall/GetPortfolioDay/e30=") is None
    assert question_of(of_year("https://b3", "IBOV", 2024)[:-8]) is None


# --- the reader


def test_a_grid_is_read_into_a_row_a_session_in_order() -> None:
    levels = read(grid())
    assert rows(levels) == [
        ("IBOV", THURSDAY, Decimal("51200.70"), None),
        ("IBOV", FRIDAY, Decimal("50100.80"), None),
    ]
    assert (levels.last, levels.oddities) == (FRIDAY, ())


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_cell_is_a_day_without_a_session(blank: str | None) -> None:
    assert read(cell(grid(), 9, 11, blank)).last == FRIDAY


def test_an_index_or_a_year_that_b3_does_not_know_is_none_and_one_without_a_session_yet_is_empty() -> None:
    assert read_levels(b"null", index="IBOVX", year=2024, source="source") is None
    assert read(grid({})).last is None


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ("10000.00", "1010.00", True),  # divided by ten, as the IBOV was up to 1997
        ("100.00", "201.00", True),
        ("100.00", "200.00", False),
        ("100.00", "50.00", False),
        ("100.00", "49.99", True),
    ],
)
def test_a_change_of_base_is_told_in_the_row_and_as_an_oddity_and_not_smoothed(
    before: str, after: str, is_told: bool
) -> None:
    levels = read(grid({THURSDAY: Decimal(before), FRIDAY: Decimal(after), MONDAY: Decimal(after)}))
    assert [row[2:] for row in rows(levels)] == [
        (Decimal(before), None),
        (Decimal(after), NEW_BASE if is_told else None),
        (Decimal(after), None),
    ]
    assert [oddity.what for oddity in levels.oddities] == [NEW_BASE] * is_told


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"[]", r"field answer: found \[\], expected a JSON object"),
        (b'{"results": null}', "field answer.results: found null, expected a list of days"),
        (
            grid(results=encode_levels({})["results"][:30]),
            "found 30 days, none of which is 31, expected each",
        ),
        (grid(results=[*encode_levels({})["results"], {"day": 1}]), "found 32 days, expected each day"),
        (cell(grid(), 30, 2, "1.000,00"), "record 30, field results.rateValue2: .* 2024 has no such day"),
        (cell(grid(), 9, 11, 5), "record 9, field results.rateValue11: found 5, expected a text"),
        (cell(grid(), 9, 11, "1.000,0"), 'rateValue11: found "1.000,0", expected blank, or a number such as'),
        (cell(grid(), 9, 11, "1,000.00"), 'found "1,000.00", expected blank, .* as the others are'),
        (cell(grid(), 9, 11, "12.34,56"), "expected blank, or a number"),
        (cell(grid(), 9, 11, "-1,00"), "expected blank, or a number"),
        (cell(grid(), 9, 11, "0,00"), "a level above zero"),
        (cell(grid(), 9, 11, "9" * 17 + ",00"), r"a level above zero that fits decimal128\(18, 2\)"),
        (cell(grid(), 8, 11, None), 'field min.rateValue11: found "50.100,80", expected 51200.70, as the'),
        (cell(grid(), 8, 11, "52.000,00"), 'field min.rateValue11: found "50.100,80", expected 51200.70'),
        (grid(max={"rateValue11": "1,00"}), 'field max.rateValue11: found "1,00", expected 51200.70'),
        (grid(min=[]), r"field min: found \[\], expected a JSON object"),
        (b'{"results": [{}]}', "record 1, field results.day: found nothing, expected a number from 1 on"),
        (b" " * (2**16 + 1), "found 65537 bytes, expected at most 65536"),
    ],
)
def test_what_is_no_such_answer_is_refused_by_what_was_found_and_expected(
    answer: bytes, message: str
) -> None:
    with pytest.raises(InvalidData, match=message) as raised:
        read(answer)
    assert str(raised.value).startswith("source")


def test_a_cell_that_is_not_there_is_refused() -> None:
    answer = json.loads(grid())
    del answer["results"][8]["rateValue11"]
    with pytest.raises(InvalidData, match=r"record 9, field results\.rateValue11: found nothing"):
        read(json.dumps(answer).encode())


@pytest.mark.parametrize("without", [{"min": None, "max": None}, {"min": {}, "max": {"rateValue11": ""}}])
def test_extremes_that_b3_does_not_state_are_told_and_cost_no_level(without: dict[str, Any]) -> None:
    levels = read(grid(**without))
    assert len(levels.frame) == 2
    assert {(oddity.field, oddity.count) for oddity in levels.oddities} == {
        ("min.rateValue11", 1),
        ("max.rateValue11", 1),
    }


# --- the simulated and the recorded B3


def test_the_simulated_level_is_the_portfolios_value_by_its_divisor() -> None:
    market = SimulatedMarket(tickers=40, quotes=200)
    day = date(2024, 11, 8)
    shares = {row.ticker: row.theoretical_quantity for row in market.portfolio(day)}
    closes = {
        quote.codneg: quote.preult / quote.fatcot for quote in market.session(day) if quote.tpmerc == "010"
    }
    assert shares.keys() <= closes.keys()
    value = sum(closes[ticker] * quantity for ticker, quantity in shares.items())
    assert market.level(day) == pytest.approx(value / market.reductor, abs=Decimal("0.011"))
    assert market.level(day, "SMLL") != market.level(day)


def test_the_simulated_b3_serves_the_sessions_of_a_year_that_are_known_and_null_of_others() -> None:
    market = SimulatedMarket(tickers=40, quotes=200)
    source = SimulatedSource([date(2023, 12, 28), THURSDAY, FRIDAY], market)
    source.actions_as_of = THURSDAY

    def served(index: str, year: int) -> list[date] | None:
        document = source.levels(LevelsRequest(index=index, year=year))
        if document is None:
            return None
        levels = read(document.body, year)
        assert [row[2] for row in rows(levels)] == [market.level(row[1], index) for row in rows(levels)]
        return [row[1] for row in rows(levels)]

    assert served("IBOV", 2024) == [THURSDAY]
    assert served("SMLL", 2023) == [date(2023, 12, 28)]
    assert served("IBOV", 2022) == []
    assert served("XXXX", 2024) is None


def test_the_recorded_b3_serves_a_file_byte_for_byte(tmp_path: Any) -> None:
    (tmp_path / "COTAHIST_D08112024.ZIP").touch()
    folder = tmp_path / "indexStatisticsProxy" / "IndexCall"
    folder.mkdir(parents=True)
    (folder / "GetPortfolioDay_IBOV_2024.json").write_bytes(b"any")
    source = RecordedFolder(tmp_path, FRIDAY)
    document = source.levels(LevelsRequest(index="IBOV", year=2024))
    assert document is not None
    assert document.body == b"any"
    assert source.levels(LevelsRequest(index="IBOV", year=2023)) is None
    assert source.levels(LevelsRequest(index="../IBOV", year=2024)) is None
    assert source.lacks_levels("IBOV") is None
    assert source.lacks_levels("SMLL") == "GetPortfolioDay_SMLL_2024.json"


def test_the_server_asks_for_what_b3_asks_for() -> None:
    encoded = of_year("", "IBOV", 2024).rpartition("/")[2]
    assert parse_levels_request(encoded) == LevelsRequest(index="IBOV", year=2024)
    for other in ("e30=", "eyJpbmRleCI6IkEiLCJ5ZWFyIjoiMSIsImxhbmd1YWdlIjoiZW4tdXMifQ==", "%"):
        with pytest.raises(ValueError, match=r"lacks|expected pt-br|Base64"):
            parse_levels_request(other)


# --- the client


def test_the_client_gives_null_as_b3_does_of_an_index_that_it_does_not_know(b3: B3Server) -> None:
    assert client(b3).levels("XXXX", 2024).content == b"null"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(status=404), DownloadError, "HTTP 404, expected JSON"),
        (Answer(), DownloadError, "an empty body, expected JSON, null where B3 knows no level"),
        (Answer(body=b"<html></html>"), RefusedError, "an HTML page in place of the file"),
    ],
)
def test_what_is_no_answer_is_told_apart(
    b3: B3Server, answer: Answer, error: type[Exception], message: str
) -> None:
    b3.script(CALL, [answer])
    with pytest.raises(error, match=message):
        client(b3).levels("IBOV", 2024)


# --- the morning


@pytest.fixture
def morning(b3: B3Server, bucket: Bucket) -> Run:
    """What a run for a morning says of the IBOV's levels."""
    raw, given = RawBucket(bucket.name), client(b3)

    def run(now: datetime = MONDAY_MORNING, index: str = "IBOV", session: date | None = None) -> Result:
        asked: dict[str, Any] = {"index_codes": (), "level_codes": [index], "lookback_sessions": 1}
        *_, levels = ingest(given, raw, now=now, session=session, **asked)
        return levels

    return run


def test_a_morning_writes_the_year_and_the_ones_after_it_of_that_day_do_not_ask(
    morning: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.levels_of["IBOV"] = LEVELS
    first = morning()
    assert (first.source, first.outcome, first.date, first.rows) == ("index_level", Outcome.NEW, FRIDAY, 2)
    assert first.key == KEY
    assert bucket.rows(KEY) == [
        {"index_code": "IBOV", "trade_date": day, "level": level, "note": None}
        for day, level in LEVELS.items()
    ]
    metadata = bucket.metadata(KEY)
    assert metadata["source"] == of_year(b3.base_url, "IBOV", 2024)
    assert (metadata["last-session"], metadata["reader-version"]) == ("2024-11-08", READER_VERSION)
    before, asked = bucket.versions(), len(b3.requests_seen)
    second = morning(MONDAY_MORNING.replace(hour=9))
    assert (second.outcome, second.date, second.key) == (Outcome.UNCHANGED, FRIDAY, KEY)
    assert not any(seen.path.startswith(CALL) for seen in b3.requests_seen[asked:])
    assert bucket.versions() == before


def test_the_next_morning_asks_again_and_takes_what_b3_has_corrected(
    morning: Run, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.levels_of["IBOV"] = LEVELS
    morning()
    shelves.levels_of["IBOV"] = LEVELS | {THURSDAY: Decimal("51200.71"), MONDAY: Decimal("50300.70")}
    assert morning(MONDAY_MORNING.replace(day=12)).rows == 3
    written = [row["level"] for row in bucket.rows(KEY)]
    assert written == [Decimal("51200.71"), Decimal("50100.80"), Decimal("50300.70")]


def test_a_level_that_b3_does_not_have_yet_is_no_error_and_asked_for_again(
    morning: Run, bucket: Bucket, shelves: Shelves
) -> None:
    nothing = morning()
    assert (nothing.outcome, nothing.date) == (Outcome.NOT_YET_PUBLISHED, FRIDAY)
    assert bucket.keys() == []
    shelves.levels_of["IBOV"] = {THURSDAY: LEVELS[THURSDAY]}
    early = morning()
    assert (early.outcome, early.date) == (Outcome.NEW, THURSDAY)
    assert early.message == "B3 has no level of IBOV of 2024-11-08 yet"
    shelves.levels_of["IBOV"] = LEVELS
    assert morning().date == FRIDAY


def test_on_the_first_morning_of_a_year_it_is_the_year_before_that_is_asked_for(
    morning: Run, bucket: Bucket, shelves: Shelves
) -> None:
    last = date(2024, 12, 30)
    shelves.levels_of["IBOV"] = {last: Decimal("48200.40"), date(2025, 1, 2): Decimal("48100.39")}
    assert morning(datetime(2025, 1, 2, 7, tzinfo=SAO_PAULO)).date == last
    assert morning(datetime(2025, 1, 3, 7, tzinfo=SAO_PAULO)).date == date(2025, 1, 2)
    assert bucket.keys() == [KEY, "raw/index_level/IBOV_2025.parquet"]


def test_a_session_that_is_asked_for_by_its_date_has_its_year_asked_for_anew(
    morning: Run, b3: B3Server, shelves: Shelves
) -> None:
    shelves.levels_of["IBOV"] = LEVELS
    for outcome in (Outcome.NEW, Outcome.UNCHANGED):
        assert morning(session=THURSDAY).outcome is outcome
    assert sum(seen.path.startswith(CALL) for seen in b3.requests_seen) == 2


def test_an_index_that_b3_does_not_know_is_a_failure_with_advice(morning: Run) -> None:
    result = morning(index="XXXX")
    assert result.is_error
    assert result.message is not None
    assert result.message.endswith("B3 knows no level of XXXX in 2024; is XXXX an index of B3?")


def test_a_level_that_fails_costs_no_quotes(b3: B3Server, bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_session(FRIDAY)
    b3.script(CALL, [Answer(status=500)] * 2)
    raw = RawBucket(bucket.name)
    results = ingest(
        client(b3), raw, now=MONDAY_MORNING, index_codes=(), level_codes=["IBOV"], lookback_sessions=1
    )
    assert [(each.source, each.outcome) for each in results] == [
        ("cotahist", Outcome.NEW),
        ("index_level", Outcome.FAILED),
    ]


def test_a_refused_answer_goes_into_quarantine_and_what_was_there_stays(
    morning: Run, b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    shelves.levels_of["IBOV"] = {THURSDAY: LEVELS[THURSDAY]}
    morning()
    before = bucket.content(KEY)
    b3.script(CALL, [Answer(body=cell(grid(), 8, 11, "x"), headers={"Content-Type": "application/json"})])
    result = morning()
    assert result.outcome is Outcome.INVALID
    assert result.key is not None
    assert result.key.startswith("quarantine/index_level/2024-11-11/")
    assert "rateValue11" in bucket.metadata(result.key)["reason"]
    assert bucket.content(KEY) == before


def test_a_name_that_b3_adds_is_told_once(morning: Run, b3: B3Server) -> None:
    answer = Answer(body=grid(base="100,00"), headers={"Content-Type": "application/json"})
    b3.script(CALL, [answer, Answer(body=grid(base="100,01"), headers=answer.headers)])
    assert morning(session=FRIDAY).news == (
        "level field 'answer.base', in no table and not seen before (times: 1)",
    )
    assert morning(session=FRIDAY).news == ()


# --- quarantine


def test_levels_are_read_from_quarantine_once_the_reader_has_learned_to(
    morning: Run, bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves.levels_of["IBOV"] = LEVELS
    with monkeypatch.context() as before:
        before.setattr(scraper.b3.index_level.reader, "MAX_BYTES", 10)
        assert morning().outcome is Outcome.INVALID
    raw = RawBucket(bucket.name)
    assert raw.quarantined_days("index_level", FRIDAY, MONDAY) == [MONDAY]
    ((asked, result),) = take_levels(raw, MONDAY)
    assert (asked, result.outcome, result.key) == ("levels of IBOV in 2024", Outcome.NEW, KEY)
    # What was written since is what B3 served later
    shelves.levels_of["IBOV"] = LEVELS | {MONDAY: Decimal("50300.70")}
    morning(session=FRIDAY)
    ((_, again),) = take_levels(raw, MONDAY)
    assert again.outcome is Outcome.SUPERSEDED


def test_a_refused_answer_whose_address_says_nothing_is_told(bucket: Bucket) -> None:
    raw = RawBucket(bucket.name)
    raw.quarantine(
        [b"x"], source="index_level", day=MONDAY, extension="json", address="https://b3/x", reason="source: x"
    )
    ((_, result),) = take_levels(raw, MONDAY)
    assert result.message is not None
    assert "does not say of which index it is" in result.message


# --- the backfill


def backfill(*arguments: str) -> int:
    return main(["backfill", "--index-levels", *arguments])


@pytest.mark.usefixtures("terminal")
def test_a_backfill_loads_years_of_indices_and_goes_on_where_it_was(
    b3: B3Server, bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.levels_of["IBOV"] = {
        date(1989, 4, 13): Decimal("9000.00"),
        date(1989, 4, 14): Decimal("910.00"),
        date(1990, 1, 2): Decimal("1234.50"),
    }
    shelves.levels_of["SMLL"] = {date(1990, 1, 2): Decimal("0.01")}
    b3.script(of_year("", "SMLL", 1990), [Answer(status=400)])
    assert backfill("--from", "1989", "--to", "1990", "--index", "IBOV,SMLL") == FILES_FAILED
    told = capsys.readouterr().out
    assert "IBOV, SMLL, 1989 to 1990: 4 years are to be asked, about 0 min" in told
    assert (
        "IBOV 1989  new  2 levels, up to 1989-04-14  kept although it is odd: results.rateValue: new" in told
    )
    assert "IBOV 1990  new  1 levels, up to 1990-01-02" in told
    assert "SMLL 1990  failed  " in told
    assert "4 years asked  3 levels written  0 unknown to B3  1 failed" in told
    assert backfill("--from", "1989", "--to", "1990", "--index", "IBOV,SMLL") == DONE
    told = capsys.readouterr().out
    assert "2 years are to be asked" in told
    assert "SMLL 1990  new  1 levels, up to 1990-01-02" in told
    assert bucket.keys() == [
        f"raw/index_level/{name}.parquet" for name in ("IBOV_1989", "IBOV_1990", "SMLL_1990")
    ]
    assert backfill("--from", "1989", "--to", "1990", "--index", "IBOV", "--refresh") == DONE
    assert "IBOV 1989  unchanged" in capsys.readouterr().out


@pytest.mark.usefixtures("terminal")
def test_the_year_that_goes_on_is_asked_for_again(b3: B3Server, shelves: Shelves) -> None:
    today = datetime.now(UTC).astimezone(SAO_PAULO).date()
    shelves.levels_of["IBOV"] = {date(today.year, 1, 1): Decimal("1.00")}
    for _ in range(2):
        assert backfill("--from", str(today.year)) == DONE
    assert len(b3.requests_seen) == 2


@pytest.mark.usefixtures("terminal")
def test_an_index_that_b3_knows_in_no_year_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert backfill("--from", "2001", "--to", "2002", "--index", "XXXX") == FILES_FAILED
    told = capsys.readouterr().out
    assert "XXXX: B3 knows no level of it in any of these years; is it an index of B3?" in told
    assert "2 years asked  0 levels written  2 unknown to B3  0 failed" in told


@pytest.mark.usefixtures("terminal")
def test_a_service_that_keeps_failing_is_left_alone(b3: B3Server, capsys: pytest.CaptureFixture[str]) -> None:
    b3.script(CALL, [Answer(status=400)] * 9)
    assert backfill("--from", "2001", "--to", "2009") == FILES_FAILED
    assert "3 years in a row failed, the last one with: " in capsys.readouterr().out
    assert len(b3.requests_seen) == 3


@pytest.mark.usefixtures("terminal")
def test_a_dry_run_asks_nobody(b3: B3Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert backfill("--dry-run", "--to", "1977") == DONE
    assert "IBOV, 1968 to 1977: 10 years are to be asked" in capsys.readouterr().out
    assert b3.requests_seen == []


@pytest.mark.usefixtures("terminal")
def test_what_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("--from", "1967"), "--from 1967 --to 2"),
        (("--from", "2002", "--to", "2001"), "expected years from 1968"),
        (("--to", "2999"), "expected years from 1968"),
        (("--refine",), "--index-levels goes without --refine"),
        (("--via", "lambda"), "--index-levels goes without --via lambda"),
    ):
        assert backfill(*arguments) == NOT_STARTED
        assert message in capsys.readouterr().err


def test_the_bucket_keeps_levels_apart_by_index_and_year(
    bucket: Bucket, shelves: Shelves, morning: Run
) -> None:
    shelves.levels_of |= {"IBOV": LEVELS, "SMLL": {FRIDAY: Decimal("2000.00")}}
    morning()
    morning(index="SMLL")
    raw = RawBucket(bucket.name)
    assert [*raw.levels_written("SMLL")] == [2024]
    assert raw.levels_until("IBOV", 2024) == FRIDAY
    boto3.client("s3").put_object(Bucket=bucket.name, Key="raw/index_level/IBOV_2023.parquet", Body=b"")
    assert raw.levels_until("IBOV", 2023) is None
    assert [*raw.levels_written("IBOV")] == [2023, 2024]
