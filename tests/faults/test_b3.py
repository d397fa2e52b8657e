"""What B3 does to us: each fault hits a session for a morning; then B3 is mended and the next morning comes.

On each of three mornings several sessions have a fault, each its own, as none may stop another; on the next
one they have others. What is expected of each is written beside it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest

from sandbox.b3.formats import (
    Quote,
    daily_member_name,
    daily_zip_name,
    encode_portfolio,
    encode_session,
    zip_file,
)
from sandbox.b3.server import PORTFOLIO_PATH, QUOTES_PATH, REQUEST_REJECTED, Answer
from sandbox.pipeline import JobRun
from scraper.b3.calendar import sessions_between
from scraper.b3.oddities import TrailerCount
from scraper.daily.ingest import Outcome, Result
from tests.faults.bench import MARKET, Bench, Lake, good_zip, path_of, volume_made

pytestmark = [pytest.mark.faults, pytest.mark.sandbox, pytest.mark.xdist_group("faults")]

HTML = b"<!DOCTYPE html><html><body>Em manuten\xe7\xe3o</body></html>"
MIB = 2**20


def _text(session: date, **form: Any) -> bytes:
    return encode_session(session, MARKET.session(session), **form)


def _zipped(session: date, text: bytes) -> bytes:
    return zip_file(text, daily_member_name(session))


def _with_trailer(session: date, count: int) -> bytes:
    *records, trailer, end = _text(session).split(b"\r\n")
    return _zipped(
        session, b"\r\n".join([*records, trailer[:31] + f"{count:011d}".encode() + trailer[42:], end])
    )


def _with_letters_for_a_price(session: date) -> bytes:
    header, first, *rest = _text(session).split(b"\r\n")
    return _zipped(session, b"\r\n".join([header, first[:108] + b"00000000X1234" + first[121:], *rest]))


def _without_a_quote(session: date) -> bytes:
    header, _, *rest = _text(session).split(b"\r\n")
    return _zipped(session, b"\r\n".join([header, *rest]))


def _changed(text: bytes, record: int, first: int, value: bytes) -> bytes:
    """A text with other characters in a record, counted from 1, from a position on."""
    start = (record - 1) * 247 + first - 1
    return text[:start] + value + text[start + len(value) :]


def _bomb(session: date) -> bytes:
    return _zipped(session, b"0" * 70 * MIB)


def _empty_zip() -> bytes:
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").close()
    return packed.getvalue()


def _unusual(session: date) -> list[Quote]:
    """What no table lists, and a letter that is not ASCII: accepted, as B3 means it."""
    known = MARKET.session(session)
    stranger = replace(
        known[0], codneg="ZXXX3", codisi="BRZXXXACNOR9", tpmerc="021", codbdi="93", nomres="CAF\xc9"
    )
    return [*known, stranger]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of one session's file.

    Attributes:
        answer: What B3 answers for it.
        outcome: What becomes of the file meanwhile.
        says: What the operator reads.
    """

    answer: Callable[[date], Answer]
    outcome: Outcome
    says: str


def _always(answer: Answer) -> Callable[[date], Answer]:
    return lambda _session: answer


def _body(make: Callable[[date], bytes]) -> Callable[[date], Answer]:
    return lambda session: Answer(body=make(session))


FAULTS: dict[str, Fault] = {
    "403": Fault(answer=_always(Answer(status=403)), outcome=Outcome.FAILED, says="HTTP 403"),
    "429 with Retry-After": Fault(
        answer=_always(Answer(status=429, headers={"Retry-After": "1"})),
        outcome=Outcome.FAILED,
        says="HTTP 429",
    ),
    "500": Fault(answer=_always(Answer(status=500)), outcome=Outcome.FAILED, says="HTTP 500"),
    "520": Fault(answer=_always(Answer(status=520)), outcome=Outcome.FAILED, says="HTTP 520"),
    "slow drip": Fault(
        answer=lambda session: Answer(body=good_zip(session), drip=(1, 0.1)),
        outcome=Outcome.FAILED,
        says="bytes had come after 3 s",
    ),
    "stall": Fault(
        answer=lambda session: Answer(body=good_zip(session), stall_after=100),
        outcome=Outcome.FAILED,
        says="Read timed out",
    ),
    "cut in the middle": Fault(
        answer=lambda session: Answer(body=good_zip(session), cut_after=1000),
        outcome=Outcome.FAILED,
        says="gave up after 2 of 2 attempts",
    ),
    "empty body": Fault(answer=_always(Answer(body=b"")), outcome=Outcome.NO_SESSION, says="an empty body"),
    "HTML": Fault(answer=_always(Answer(body=HTML)), outcome=Outcome.NO_SESSION, says="an HTML page"),
    "empty ZIP": Fault(
        answer=_always(Answer(body=_empty_zip())), outcome=Outcome.NO_SESSION, says="an empty ZIP"
    ),
    "truncated ZIP": Fault(
        answer=_body(lambda session: good_zip(session)[:-500]), outcome=Outcome.INVALID, says="ZIP"
    ),
    "ZIP bomb": Fault(answer=_body(_bomb), outcome=Outcome.INVALID, says="more than 100 times its own bytes"),
    "another session's file": Fault(
        answer=_body(lambda session: good_zip(session - timedelta(days=7))),
        outcome=Outcome.INVALID,
        says="DATA",
    ),
    "wrong trailer": Fault(
        answer=_body(lambda session: _with_trailer(session, 99)),
        outcome=Outcome.INVALID,
        says="TOTAL DE REGISTROS",
    ),
    "corrupted record": Fault(
        answer=_body(_with_letters_for_a_price), outcome=Outcome.INVALID, says="PREULT"
    ),
    "lost line": Fault(answer=_body(_without_a_quote), outcome=Outcome.INVALID, says="TOTAL DE REGISTROS"),
    "ticker that is not printable": Fault(
        answer=_body(lambda session: _zipped(session, _changed(_text(session), 2, 13, b"ZX\x92"))),
        outcome=Outcome.INVALID,
        says="CODNEG",
    ),
    "line end in a record": Fault(
        answer=_body(lambda session: _zipped(session, _changed(_text(session), 2, 28, b"\r\n"))),
        outcome=Outcome.INVALID,
        says="NOMRES",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Oddness:
    """What is odd in a session's file that is taken all the same.

    Attributes:
        text: Makes the file's text.
        told: Fields of what is told of it.
    """

    text: Callable[[date], bytes]
    told: list[str]


UNUSUAL = "Latin-1 bytes and unknown codes"
ACCEPTED: dict[str, Oddness] = {
    UNUSUAL: Oddness(text=lambda session: encode_session(session, _unusual(session)), told=[]),
    "trailer that counts the quotes alone": Oddness(
        text=lambda session: _text(session, quotes_counted=True), told=["TOTAL DE REGISTROS"]
    ),
    "0x92 in a name": Oddness(
        text=lambda session: _changed(_text(session), 2, 28, b"D\x92AGUA".ljust(12)), told=["NOMRES"]
    ),
    "expiry of zeros": Oddness(
        text=lambda session: _changed(_text(session), 3, 203, b"00000000"), told=["DATVEN"]
    ),
    "blank line": Oddness(text=lambda session: _text(session) + b"\r\n", told=["end of the file"]),
}

MORNINGS = 3
AFFLICTED = len(FAULTS) // MORNINGS
"""How many sessions have a fault on each of the mornings."""

SESSIONS = sessions_between(date(2025, 2, 3), date(2025, 3, 31))[: AFFLICTED + len(ACCEPTED) + 1]
SESSION_OF = {name: SESSIONS[number % AFFLICTED] for number, name in enumerate(FAULTS)}
SESSION_OF.update(zip(ACCEPTED, SESSIONS[AFFLICTED:], strict=False))
MORNING_OF = {name: number // AFFLICTED for number, name in enumerate(FAULTS)}
LAST = SESSIONS[-1]
"""D-1, with which nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """The mornings with faults, and the one without."""

    broken: Sequence[dict[str, Result]]
    after_broken: Sequence[Lake]
    mended: dict[str, Result]
    after_mended: Lake
    job_runs: Sequence[JobRun]


@pytest.fixture(scope="module")
def story(bench: Bench) -> Iterator[Story]:
    before = bench.pipeline.job_runs()
    bench.serve(*SESSIONS)
    for name, odd in ACCEPTED.items():
        session = SESSION_OF[name]
        bench.shelf.files[daily_zip_name(session)] = _zipped(session, odd.text(session))
    broken, after_broken = [], []
    for morning in range(MORNINGS):
        bench.b3.faults.clear()
        for name in (name for name in FAULTS if MORNING_OF[name] == morning):
            bench.b3.faults[path_of(SESSION_OF[name])] = FAULTS[name].answer(SESSION_OF[name])
        assert len(bench.b3.faults) == AFFLICTED
        broken.append(bench.morning(LAST, lookback=len(SESSIONS)))
        bench.wait_for([LAST, *(SESSION_OF[name] for name in ACCEPTED)], before)
        after_broken.append(bench.lake())
    bench.b3.faults.clear()
    mended = bench.morning(LAST, lookback=len(SESSIONS))
    job_runs = bench.wait_for(SESSIONS, before)
    yield Story(
        broken=broken,
        after_broken=after_broken,
        mended=mended,
        after_mended=bench.lake(),
        job_runs=job_runs,
    )
    bench.shelf.files.clear()


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_leaves_nothing_in_the_lake_and_says_why(story: Story, name: str) -> None:
    fault, session, morning = FAULTS[name], SESSION_OF[name], MORNING_OF[name]
    result, lake = story.broken[morning][f"cotahist {session}"], story.after_broken[morning]
    assert result.outcome == fault.outcome
    assert fault.says in (result.message or "")
    assert path_of(session) in (result.message or ""), "the message names the address"
    assert session not in lake.raw
    assert session not in lake.sessions
    assert session not in {day for day, _ in lake.wide}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_reader_refused_is_in_quarantine_with_its_reason_and_nothing_else_is(
    story: Story, name: str
) -> None:
    morning = MORNING_OF[name]
    there = story.after_broken[morning - 1].quarantined if morning else {}
    reasons = [
        reason
        for key, reason in story.after_broken[morning].quarantined.items()
        if key not in there and f"/{SESSION_OF[name]}/" in key
    ]
    assert len(reasons) == (FAULTS[name].outcome == Outcome.INVALID)
    assert all(FAULTS[name].says in reason for reason in reasons)


def test_one_session_s_fault_stops_no_other(story: Story) -> None:
    good = {LAST, *(SESSION_OF[name] for name in ACCEPTED)}
    for lake in story.after_broken:
        assert set(lake.raw) == set(lake.sessions) == good
    first, *others = story.broken
    assert {first[f"cotahist {session}"].outcome for session in good} == {Outcome.NEW}
    for results in others:
        assert results[f"cotahist {LAST}"].outcome == Outcome.UNCHANGED


@pytest.mark.parametrize("session", SESSIONS)
def test_after_the_next_morning_the_session_is_there_once_and_whole(
    bench: Bench, story: Story, session: date
) -> None:
    assert story.after_mended.raw[session] == ["daily.parquet"]
    assert story.after_mended.sessions[session] == 1
    quotes = _unusual(session) if session == SESSION_OF[UNUSUAL] else MARKET.session(session)
    assert bench.volume_in_every_table(session) == sum(quote.voltot for quote in quotes)


def test_nothing_that_was_there_is_taken_or_refined_again(story: Story) -> None:
    assert story.mended[f"cotahist {LAST}"].outcome == Outcome.UNCHANGED
    assert {run.state for run in story.job_runs} == {"SUCCEEDED"}
    assert sorted(run.trade_date for run in story.job_runs) == sorted(map(str, SESSIONS))


def test_a_latin_1_letter_and_codes_of_no_table_are_kept_as_b3_means_them(bench: Bench, story: Story) -> None:
    names = bench.sandbox.deployment
    (row,) = bench.pipeline.query(
        f'SELECT nomres, tpmerc, codbdi FROM "{names.raw_database}"."cotahist" '  # noqa: S608 - our own names
        f"WHERE trade_date = DATE '{SESSION_OF[UNUSUAL]}' AND codneg = 'ZXXX3'"
    ).rows
    assert row == ["CAF\xc9", "021", "93"]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_odd_and_loses_nothing_is_taken_and_told(story: Story, name: str) -> None:
    result = story.broken[0][f"cotahist {SESSION_OF[name]}"]
    assert result.outcome == Outcome.NEW
    assert [oddity.field for oddity in result.oddities] == ACCEPTED[name].told
    counted = TrailerCount.QUOTES if name.startswith("trailer") else TrailerCount.ALL_RECORDS
    assert result.trailer_count is counted


def test_a_byte_of_windows_1252_is_the_character_that_it_means_and_an_impossible_expiry_null(
    bench: Bench, story: Story
) -> None:
    names = bench.sandbox.deployment
    (name,), (expiries,) = (
        bench.pipeline.query(
            f'SELECT {what} FROM "{names.raw_database}"."cotahist" '  # noqa: S608 - our own names
            f"WHERE trade_date = DATE '{session}' {condition}"
        ).rows[0]
        for what, session, condition in (
            ("nomres", SESSION_OF["0x92 in a name"], "AND nomres LIKE 'D%AGUA'"),
            ("count(datven)", SESSION_OF["expiry of zeros"], ""),
        )
    )
    assert name == "D\u2019AGUA"
    session = SESSION_OF["expiry of zeros"]
    _, odd, *_ = quotes = MARKET.session(session)
    assert int(expiries or 0) == sum(quote.datven is not None for quote in quotes if quote is not odd)


def test_a_firewall_is_no_absence_and_the_next_morning_has_all(bench: Bench, story: Story) -> None:
    days = sessions_between(date(2025, 5, 12), date(2025, 5, 15))
    bench.serve(*days)
    bench.b3.faults[path_of(days[-1])] = REQUEST_REJECTED
    bench.b3.faults[path_of(days[0])] = bench.b3.faults[path_of(days[1])] = Answer(body=HTML)
    before = bench.pipeline.job_runs()
    results = bench.morning(days[-1], lookback=len(days))
    refused = {days[0], days[1], days[-1]}
    assert {day for day in days if results[f"cotahist {day}"].outcome == Outcome.REFUSED} == refused
    assert not any(results[f"cotahist {day}"].is_stored for day in refused)
    assert "Your support ID is: " in (results[f"cotahist {days[-1]}"].message or "")
    assert not refused & set(bench.lake().raw)
    bench.b3.faults.clear()
    mended = bench.morning(days[-1], lookback=len(days))
    taken = {name for name, result in mended.items() if result.outcome == Outcome.NEW}
    assert taken == {f"cotahist {day}" for day in refused}
    bench.wait_for(days, before)
    assert [bench.volume_in_every_table(day) for day in days] == [volume_made(day) for day in days]


def test_a_b3_that_is_down_changes_nothing(bench: Bench, story: Story) -> None:
    before, job_runs = bench.lake(), bench.pipeline.job_runs()
    results = bench.morning(LAST + timedelta(days=1), base_url="http://127.0.0.1:9", lookback=3)
    assert {result.outcome for result in results.values()} == {Outcome.FAILED}
    assert all("127.0.0.1:9" in (result.message or "") for result in results.values())
    assert (bench.lake(), bench.pipeline.job_runs()) == (before, job_runs)


def test_an_outage_of_five_days_is_caught_up_by_one_morning(bench: Bench) -> None:
    days = sessions_between(date(2025, 4, 1), date(2025, 4, 8))[:5]
    bench.serve(*days)
    bench.b3.faults[QUOTES_PATH] = Answer(status=503)
    before = bench.pipeline.job_runs()
    for day in days:
        results = bench.morning(day)
        assert [result.outcome for result in results.values()] == [Outcome.FAILED]
    assert not set(days) & set(bench.lake().raw)
    del bench.b3.faults[QUOTES_PATH]
    results = bench.morning(days[-1], lookback=10)
    assert [results[f"cotahist {day}"].outcome for day in days] == [Outcome.NEW] * 5
    runs = bench.wait_for(days, before)
    assert sorted((run.trade_date, run.state) for run in runs) == [(str(day), "SUCCEEDED") for day in days]
    lake = bench.lake()
    assert [lake.sessions[day] for day in days] == [1] * 5
    assert [bench.volume_in_every_table(day) for day in days] == [volume_made(day) for day in days]


def test_a_file_that_comes_at_nine_is_taken_at_nine(bench: Bench) -> None:
    day = date(2025, 4, 9)
    before = bench.pipeline.job_runs()
    assert bench.morning(day)[f"cotahist {day}"].outcome == Outcome.NOT_YET_PUBLISHED
    bench.serve(day)
    assert bench.morning(day, hour=9)[f"cotahist {day}"].outcome == Outcome.NEW
    assert bench.morning(day, hour=11)[f"cotahist {day}"].outcome == Outcome.UNCHANGED
    (run,) = bench.wait_for([day], before)
    assert run.state == "SUCCEEDED"
    assert bench.lake().sessions[day] == 1
    assert bench.volume_in_every_table(day) == volume_made(day)


def test_a_file_that_b3_corrects_replaces_the_session_and_what_it_takes_back_is_gone(bench: Bench) -> None:
    day = date(2025, 4, 10)
    quotes = MARKET.session(day)
    gone = next(quote for quote in quotes if quote.tpmerc == "010").codisi
    corrected = [replace(quote, voltot=quote.voltot + 1) for quote in quotes if quote.codisi != gone]
    before = bench.pipeline.job_runs()
    for version in (quotes, corrected):
        bench.shelf.files[daily_zip_name(day)] = _zipped(day, encode_session(day, version))
        assert bench.morning(day)[f"cotahist {day}"].outcome == Outcome.NEW
        runs = bench.wait_for([day], before)
        before = [*before, *runs]
    lake = bench.lake()
    assert (lake.raw[day], lake.sessions[day]) == (["daily.parquet"], 1)
    assert len({ticker for session, ticker in lake.wide if session == day}) == len(
        {quote.codisi for quote in corrected}
    )
    assert bench.volume_in_every_table(day) == sum(quote.voltot for quote in corrected)


def test_a_holiday_that_the_calendar_does_not_know_is_no_error_and_leaves_no_trace(bench: Bench) -> None:
    day, next_day = date(2025, 4, 14), date(2025, 4, 15)
    bench.serve(next_day)
    before = bench.pipeline.job_runs()
    assert bench.morning(day)[f"cotahist {day}"].outcome == Outcome.NOT_YET_PUBLISHED
    results = bench.morning(next_day, lookback=2)
    assert results[f"cotahist {day}"].outcome == Outcome.NO_SESSION
    assert results[f"cotahist {next_day}"].outcome == Outcome.NEW
    bench.wait_for([next_day], before)
    lake = bench.lake()
    assert day not in lake.raw
    assert (lake.sessions[day], lake.sessions[next_day]) == (0, 1)


def test_a_session_on_what_the_calendar_takes_for_a_holiday_is_in_the_lake(bench: Bench) -> None:
    holiday, next_session = date(2025, 4, 18), date(2025, 4, 22)  # Good Friday; Monday is Tiradentes
    assert holiday not in sessions_between(holiday, holiday)
    bench.serve(holiday, next_session)
    before = bench.pipeline.job_runs()
    results = bench.morning(next_session, lookback=3)
    assert results[f"cotahist {holiday}"].outcome == Outcome.NEW
    assert results["cotahist 2025-04-21"].outcome == Outcome.NO_SESSION
    bench.wait_for([holiday, next_session], before)
    assert bench.lake().sessions[holiday] == 1
    assert bench.volume_in_every_table(holiday) == volume_made(holiday)


# The portfolio


def _page(day: date) -> dict[str, Any]:
    (page,) = encode_portfolio(day, MARKET.portfolio(day), reductor=MARKET.reductor)
    return page


def _changed_in_shape(day: date) -> bytes:
    page = _page(day)
    page["items"] = page.pop("results")
    return json.dumps(page).encode()


@pytest.mark.parametrize(
    ("day", "portfolio", "outcome", "says", "consulted"),
    [
        pytest.param(date(2025, 5, 5), None, Outcome.FAILED, "503", None, id="down"),
        pytest.param(
            date(2025, 5, 6), _changed_in_shape, Outcome.INVALID, "results", None, id="changed in shape"
        ),
        pytest.param(
            date(2025, 5, 7),
            lambda day: json.dumps(_page(day + timedelta(days=7))).encode(),
            Outcome.NEW,
            None,
            None,
            id="dated in the future",
        ),
        pytest.param(
            date(2025, 5, 8),
            lambda day: json.dumps(json.dumps(_page(day))).encode(),
            Outcome.NEW,
            None,
            "2025-05-08",
            id="JSON within JSON",
        ),
        pytest.param(
            date(2025, 5, 9),
            lambda day: json.dumps(
                _page(day) | {"header": _page(day)["header"] | {"reductor": "n/d"}}
            ).encode(),
            Outcome.NEW,
            None,
            "2025-05-09",
            id="unreadable reductor",
        ),
    ],
)
def test_a_portfolio_s_fault_costs_no_quote_and_no_row_gets_a_portfolio_of_another_time(
    *,
    bench: Bench,
    day: date,
    portfolio: Callable[[date], bytes] | None,
    outcome: Outcome,
    says: str | None,
    consulted: str | None,
) -> None:
    bench.serve(day)
    bench.b3.faults[PORTFOLIO_PATH] = Answer(body=portfolio(day)) if portfolio else Answer(status=503)
    before = bench.pipeline.job_runs()
    results = bench.morning(day, indices=("IBOV",))
    bench.b3.faults.clear()
    bench.wait_for([day], before)

    (of_portfolio,) = (result for result in results.values() if result.source == "index_portfolio")
    assert of_portfolio.outcome == outcome
    odd = ["header.reductor"] if day == date(2025, 5, 9) else []
    assert [oddity.field for oddity in of_portfolio.oddities] == odd
    assert (says or "") in (of_portfolio.message or "")
    assert results[f"cotahist {day}"].outcome == Outcome.NEW
    assert bench.lake().sessions[day] == 1
    assert bench.volume_in_every_table(day) == volume_made(day)
    names = bench.sandbox.deployment
    (row,) = bench.pipeline.query(
        f'SELECT max(portfolio_date), count(index_weight) FROM "{names.refined_database}"."'  # noqa: S608 - our own names
        f"{names.refined_compact_table}\" WHERE trade_date = DATE '{day}'"
    ).rows
    assert row[0] == consulted
    assert (int(row[1] or 0) > 0) == (consulted is not None)
