"""Which sessions a run of the sandbox takes; the days are the exchange's, looked up by hand."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from sandbox.arguments import ENOUGH_SESSIONS, LIVE, SIMULATED
from sandbox.b3.formats import daily_zip_name
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import PortfolioRequest
from sandbox.b3.years import annual_zip_name
from sandbox.request import Request, RequestError
from stacks.named_query import NAMED_QUERIES

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # Friday the 20th is a holiday
TUESDAY = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CARNIVAL_TUESDAY = date(2026, 2, 17)


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    quotes = tmp_path / "InstDados" / "SerHist"
    quotes.mkdir(parents=True)
    for name in ("COTAHIST_D08112024.ZIP", "COTAHIST_D25062021.ZIP", "COTAHIST_A2023.ZIP"):
        (quotes / name).touch()
    return str(tmp_path)


@pytest.mark.parametrize("b3", [SIMULATED, LIVE])
def test_without_a_date_it_is_the_last_session_before_today(b3: str) -> None:
    request = Request.parse(b3, now=MONDAY)
    assert request.sessions == (date(2026, 11, 19),)


def test_from_a_recorded_folder_it_is_the_newest_daily_file(recorded: str) -> None:
    request = Request.parse(recorded, now=MONDAY)
    assert request.sessions == (date(2024, 11, 8),)
    assert request.kind == "recorded"


def test_several_sessions_are_those_up_to_the_date_oldest_first() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 11, 19), count=3, now=MONDAY)
    assert request.sessions == (date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 19))


def test_the_schedule_fires_on_the_morning_after_at_seven_in_sao_paulo() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 11, 19), count=10, now=MONDAY)
    assert request.mornings == [datetime(2026, 11, 20, 10, 0, tzinfo=UTC)]
    assert request.lookback == 10


def test_more_sessions_than_one_morning_looks_back_take_several_mornings_in_order() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 11, 19), count=23, now=MONDAY)
    assert request.lookback == 10
    assert request.mornings == sorted(request.mornings)
    taken = [request.sessions[:3], request.sessions[3:13], request.sessions[13:]]
    for morning, sessions in zip(request.mornings, taken, strict=True):
        assert (morning.date() - sessions[-1]).days == 1


def test_history_is_the_sessions_before_those_that_are_asked_for() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 11, 23), count=2, now=TUESDAY, history=3)
    assert request.history == (date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18))
    assert request.sessions == (date(2026, 11, 19), date(2026, 11, 23))
    assert (len(request.mornings), request.lookback) == (1, 2)


def test_a_simulated_b3_serves_history_by_the_year_and_a_portfolio_that_dates_before_all_of_it() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 11, 23), now=TUESDAY, history=2)
    source = request.source(SimulatedMarket(tickers=31, quotes=100))
    assert source is not None
    year = source.quotes("COTAHIST_A2026.ZIP")
    assert year is not None
    with ZipFile(BytesIO(year.body)) as file:
        days = {line[2:10] for line in file.read("COTAHIST_A2026.TXT").splitlines() if line[:2] == b"01"}
    assert days == {b"20261118", b"20261119", b"20261123"}
    portfolio = source.portfolio(PortfolioRequest(index="IBOV", segment="2", page_number=1, page_size=120))
    assert portfolio is not None
    assert json.loads(portfolio.body)["header"]["date"] == "18/11/26"


def test_recorded_history_needs_the_annual_files_of_its_years(recorded: str) -> None:
    with pytest.raises(RequestError, match=r"no COTAHIST_A2024\.ZIP; history is loaded from B3's annual"):
        Request.parse(recorded, session=date(2024, 11, 8), now=MONDAY, history=20)
    Path(recorded, "InstDados", "SerHist", "COTAHIST_A2024.ZIP").touch()
    request = Request.parse(recorded, session=date(2024, 11, 8), now=MONDAY, history=20)
    assert len(request.history) == 20
    # From January of 2024 it reaches into 2023, whose file is there
    assert Request.parse(recorded, session=date(2024, 11, 8), now=MONDAY, history=250).history


@pytest.mark.parametrize("history", [-1, 501])
def test_an_amount_of_history_out_of_range_is_refused(history: int) -> None:
    with pytest.raises(RequestError, match=f"{history} sessions of history asked for, expected 0 to 500"):
        Request.parse(SIMULATED, now=MONDAY, history=history)


def test_a_day_without_session_is_refused_with_the_session_before_it() -> None:
    with pytest.raises(RequestError, match=r"Tuesday 2026-02-17 is no session, .* 2026-02-13"):
        Request.parse(SIMULATED, session=CARNIVAL_TUESDAY, now=MONDAY)


def test_of_a_holiday_the_simulated_b3_has_no_file_and_no_quote() -> None:
    request = Request.parse(SIMULATED, session=date(2026, 2, 19), count=4, now=MONDAY)
    source = request.source(SimulatedMarket(tickers=31, quotes=150))
    assert source is not None
    february = [date(2026, 2, day) for day in range(12, 20)]
    served = [day.day for day in february if source.quotes(daily_zip_name(day))]
    assert served == [12, 13, 18, 19]  # between them a weekend and Carnival
    year = source.quotes(annual_zip_name(2026))
    assert year is not None
    with ZipFile(BytesIO(year.body)) as archive:
        records = archive.read(archive.namelist()[0]).splitlines()[1:-1]
    assert {record[2:10] for record in records} == {b"20260212", b"20260213", b"20260218", b"20260219"}


def test_a_session_that_is_not_over_is_refused() -> None:
    with pytest.raises(RequestError, match="2026-11-23 is not over"):
        Request.parse(LIVE, session=date(2026, 11, 23), now=MONDAY)


def test_a_session_that_is_not_recorded_is_refused_with_those_that_are(recorded: str) -> None:
    with pytest.raises(
        RequestError, match="no file of session 2024-11-07; recorded are 2021-06-25, 2024-11-08"
    ):
        Request.parse(recorded, session=date(2024, 11, 7), now=MONDAY)


@pytest.mark.parametrize("count", [0, 251])
def test_a_number_of_sessions_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(RequestError, match=f"{count} sessions"):
        Request.parse(SIMULATED, count=count, now=MONDAY)


@pytest.mark.parametrize(("count", "expected"), [(1, 21), (3, 19), (22, 0), (30, 0)])
def test_a_simulated_b3_has_history_by_default_up_to_what_the_queries_need(count: int, expected: int) -> None:
    request = Request.parse(SIMULATED, count=count, now=TUESDAY, history=None)
    assert len(request.history) == expected
    assert Request.parse(SIMULATED, count=count, now=TUESDAY, history=0).history == ()


def test_enough_sessions_are_those_of_the_longest_month_and_more_than_any_query_needs() -> None:
    queries = [path.read_text(encoding="utf-8") for path in NAMED_QUERIES.glob("*.sql")]
    needs = [
        int(number)
        for query in queries
        for number in re.findall(r"^-- Needs sessions: (\d+)$", query, re.MULTILINE)
    ]
    files = [
        int(number) for query in queries for number in re.findall(r"^-- Scans: (\d+) files", query, re.M)
    ]
    assert max(needs) <= ENOUGH_SESSIONS == max(number for number in files if number < 200)


def test_files_of_ones_own_have_no_history_unasked(recorded: str) -> None:
    assert Request.parse(recorded, now=MONDAY, history=None).history == ()
    assert Request.parse(LIVE, now=MONDAY, history=None).history == ()


def test_daily_files_may_lie_in_the_folder_itself_in_either_case(tmp_path: Path) -> None:
    (tmp_path / "COTAHIST_D08112024.ZIP").touch()
    (tmp_path / "cotahist_d25062021.zip").touch()
    (tmp_path / "notes.txt").touch()
    assert Request.parse(str(tmp_path), now=MONDAY).session == date(2024, 11, 8)
    day = date(2021, 6, 25)
    assert Request.parse(str(tmp_path), session=day, now=MONDAY).session == day


def test_a_folder_may_begin_with_a_tilde(recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path(recorded).parent))
    request = Request.parse(f"~/{Path(recorded).name}", now=MONDAY)
    assert request.b3 == recorded


def test_a_folder_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"B3=.*absent: there is no such folder"):
        Request.parse(str(tmp_path / "absent"), now=MONDAY)


def test_a_file_whose_name_is_no_day_is_told(tmp_path: Path) -> None:
    (tmp_path / "COTAHIST_D31022024.ZIP").touch()
    with pytest.raises(RequestError, match="whose name is no day"):
        Request.parse(str(tmp_path), now=MONDAY)


def test_settings_of_the_stack_reach_the_sandbox_but_for_its_own() -> None:
    request = Request.parse(SIMULATED, now=MONDAY, settings=["index_codes=IBOV,SMLL", "alarm_email="])
    assert request.settings == {"index_codes": "IBOV,SMLL", "alarm_email": ""}
    with pytest.raises(RequestError, match=r"glue_job_mode itself; JOB=visual"):
        Request.parse(SIMULATED, now=MONDAY, settings=["glue_job_mode=visual"])
    with pytest.raises(RequestError, match=r"-c index_codes: expected a setting of cdk.json as name=value"):
        Request.parse(SIMULATED, now=MONDAY, settings=["index_codes"])


@pytest.mark.parametrize(
    ("settings", "expected"), [([], 3), (["wide_sessions=0"], 3), (["wide_sessions=2"], 2)]
)
def test_the_wide_table_is_to_have_the_newest_sessions_that_the_setting_leaves_it(
    settings: list[str], expected: int
) -> None:
    request = Request.parse(SIMULATED, count=3, now=MONDAY, settings=settings)
    assert request.wide_sessions == request.sessions[-expected:]
