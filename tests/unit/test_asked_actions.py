"""Whom a morning asks for corporate actions, of whom it does not, and that this costs no quotes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import keys
from sandbox.b3.formats import CashDividend, IssuerActions, Quote, StockDividend, encode_supplement
from sandbox.b3.server import (
    FUND_SUPPLEMENT_PATH,
    SUPPLEMENT_PATH,
    Answer,
    B3Server,
    Document,
    SupplementRequest,
    parse_actions_request,
)
from scraper.b3.calendar import SAO_PAULO, sessions_before
from scraper.b3.corporate_actions.reader import read_supplement
from scraper.daily.corporate_actions import CorporateActions, Issuer, Memory, Rise
from scraper.daily.handler import handler
from scraper.daily.ingest import Outcome, Result, ingest
from scraper.raw.bucket import Lineage, OvertakenError, RawBucket
from tests.fixtures.both_ends import Bucket, Log, Shelves, client, isin, paid
from tests.lambda_functions import CONTEXT

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 9, day) for day in (14, 15, 16, 17))
LINEAGE = Lineage("https://example.org/B3", "0" * 64)

Run = Callable[..., list[Result]]


def morning_after(session: date) -> datetime:
    return datetime.combine(session + timedelta(days=1), datetime.min.time(), SAO_PAULO).replace(hour=7)


def quote(issuer: str, number: int, **values: Any) -> Quote:
    given: dict[str, Any] = {"codneg": f"{issuer}3", "codisi": isin(issuer), "dismes": number}
    return Quote(**(given | values))


def actions(issuer: str, *cash: CashDividend, **values: Any) -> IssuerActions:
    return IssuerActions(issuer=issuer, trading_name="SIMULADA", cash=cash, **values)


@pytest.fixture
def raw(bucket: Bucket) -> RawBucket:
    return RawBucket(bucket.name)


@pytest.fixture
def run(b3: B3Server, raw: RawBucket) -> Run:
    """The morning after a session."""

    def run(session: date, *, lookback_sessions: int = 1, calls: int = 100, **more: Any) -> list[Result]:
        now = morning_after(session)
        b3_client = client(b3, attempts=1)
        asking = CorporateActions(b3_client, raw, today=now.date(), calls=calls, **more)
        return list(
            ingest(
                b3_client,
                raw,
                now=now,
                index_codes=(),
                lookback_sessions=lookback_sessions,
                actions=asking,
            )
        )

    return run


def asked(b3: B3Server) -> list[str]:
    """The issuers that were asked for, in order; what was seen is then forgotten."""
    issuers = []
    for seen in b3.requests_seen:
        path = unquote(seen.path)
        if path.startswith((SUPPLEMENT_PATH, FUND_SUPPLEMENT_PATH)):
            request = parse_actions_request(path)
            assert isinstance(request, SupplementRequest)
            issuers.append(request.issuer)
    b3.requests_seen.clear()
    return issuers


def keys_of(bucket: Bucket) -> list[str]:
    return bucket.keys()


def of_actions(results: list[Result]) -> Result:
    (result,) = (result for result in results if result.source == "corporate_actions")
    return result


def memory_of(raw: RawBucket) -> Memory:
    document = raw.read_actions_memory()
    assert document is not None
    return Memory.from_json(document)


def remember(raw: RawBucket, *issuers: str, number: int = 100, session: date = MONDAY) -> None:
    """Papers whose issuers were asked on that day, so that the sweep has no cause for any."""
    memory = Memory(
        papers={isin(issuer): (session, number) for issuer in issuers},
        issuers={issuer: Issuer(is_fund=False, traded=session, asked=session) for issuer in issuers},
    )
    raw.write_actions_memory(memory.to_json())


def test_who_went_ex_is_asked_for_before_the_quotes_are_written(
    b3: B3Server, bucket: Bucket, run: Run, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = RawBucket(bucket.name)
    remember(raw, "ZZAA", "ZZBB")
    shelves.put_session(TUESDAY, quote("ZZAA", 101), quote("ZZBB", 100))
    shelves.put_actions(actions("ZZAA", paid("ZZAA", MONDAY)))
    there: list[list[str]] = []
    answer = shelves.supplement

    def watch(request: SupplementRequest) -> Document | None:
        there.append([key for key in keys_of(bucket) if key.startswith(keys.COTAHIST)])
        return answer(request)

    monkeypatch.setattr(shelves, "supplement", watch)
    results = run(TUESDAY)
    assert asked(b3) == ["ZZAA"]
    assert there == [[]]
    assert keys_of(bucket) == [keys.ACTIONS_MEMORY, keys.corporate_actions("ZZAA"), keys.daily(TUESDAY)]
    assert of_actions(results).outcome is Outcome.NEW
    assert of_actions(results).rows == 1
    assert memory_of(raw).rises == []
    assert run(TUESDAY)[-1].source == "cotahist"  # there is nothing to ask, and nothing to tell
    assert asked(b3) == []


def test_an_answer_becomes_the_issuers_object_with_its_lineage(
    b3: B3Server, raw: RawBucket, bucket: Bucket, run: Run, shelves: Shelves
) -> None:
    remember(raw, "ZZAA")
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    shelves.put_actions(actions("ZZAA", paid("ZZAA", MONDAY), paid("ZZAA", MONDAY, rate="0.25")))
    run(TUESDAY)
    table = pq.read_table(pa.BufferReader(bucket.content(keys.corporate_actions("ZZAA"))))
    assert table["rate"].to_pylist() == [Decimal("0.25"), Decimal("0.5")]
    assert set(table["last_seen"].to_pylist()) == {WEDNESDAY}
    metadata = bucket.metadata(keys.corporate_actions("ZZAA"))
    assert metadata["source"].startswith(f"{b3.base_url}{SUPPLEMENT_PATH}")
    assert len(metadata["source-sha256"]) == 64


def test_a_first_sight_is_no_rise_nor_is_a_nominal_update_or_another_market_or_an_older_session(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA", "ZZBB", "ZZCC", "ZZDD")
    remembered = memory_of(raw)
    del remembered.papers[isin("ZZDD")]
    raw.write_actions_memory(remembered.to_json())
    shelves.put_session(
        TUESDAY,
        quote("ZZAA", 101, especi="ON  ATZ NM"),
        quote("ZZBB", 100),
        quote("ZZBB", 150, codneg="ZZBB3F", tpmerc="020"),
        quote("ZZCC", 100),
        quote("ZZDD", 200),
        quote("ZZEE", 7, codneg="ZZ 2", codisi="ZZEE   2"),
    )
    shelves.put_session(date(2026, 9, 11), quote("ZZCC", 105))
    run(TUESDAY, lookback_sessions=3)
    assert asked(b3) == []
    assert memory_of(raw).papers[isin("ZZAA")] == (TUESDAY, 101)
    assert memory_of(raw).papers[isin("ZZCC")] == (TUESDAY, 100)
    assert memory_of(raw).papers[isin("ZZDD")] == (TUESDAY, 200)


@pytest.mark.parametrize("especi", ["ON  ED  NM", "ON      NM", "ON  EDJATZ"])
def test_a_rise_is_one_whatever_else_especi_says(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves, especi: str
) -> None:
    remember(raw, "ZZAA")
    shelves.put_session(TUESDAY, quote("ZZAA", 101, especi=especi))
    run(TUESDAY)
    assert asked(b3) == ["ZZAA"]


def test_a_fund_is_asked_for_by_the_call_of_funds(raw: RawBucket, run: Run, shelves: Shelves) -> None:
    remember(raw, "ZZFF")
    shelves.put_session(TUESDAY, quote("ZZFF", 101, codbdi="12"))
    shelves.put_actions(actions("ZZFF", paid("ZZFF", MONDAY), is_fund=True))
    assert of_actions(run(TUESDAY)).rows == 1
    assert memory_of(raw).issuers["ZZFF"].is_fund


def test_a_rise_is_asked_for_each_morning_until_events_of_its_paper_and_days_explain_it_whole(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA")
    # On Friday the paper does not trade
    sessions = {TUESDAY: 102, WEDNESDAY: 102, THURSDAY: 102}
    for session, number in sessions.items():
        shelves.put_session(session, quote("ZZAA", number))
    elsewhere = replace(paid("ZZAA", MONDAY), isin=isin("ZZBB"))
    shelves.put_actions(actions("ZZAA", paid("ZZAA", date(2026, 9, 11)), paid("ZZAA", TUESDAY), elsewhere))
    message = of_actions(run(TUESDAY)).message
    assert message is not None
    assert "1 rises of the distribution number unexplained" in message
    assert asked(b3) == ["ZZAA"]
    run(TUESDAY)
    assert asked(b3) == []  # once a day
    split = StockDividend(
        isin=isin("ZZAA"),
        label="DESDOBRAMENTO",
        factor=Decimal(100),
        last_date_prior=MONDAY,
        approved_on=MONDAY,
    )
    shelves.put_actions(actions("ZZAA", stock=(split,)))
    run(WEDNESDAY)
    assert asked(b3) == ["ZZAA"]
    assert memory_of(raw).rises == [
        Rise(isin("ZZAA"), "ZZAA", MONDAY, TUESDAY, 2, asked=THURSDAY)  # of two, one
    ]
    shelves.put_actions(actions("ZZAA", paid("ZZAA", MONDAY), stock=(split,)))
    run(THURSDAY)
    assert asked(b3) == ["ZZAA"]
    assert memory_of(raw).rises == []


def test_a_rise_is_given_up_after_45_days_and_told(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA", number=100)
    shelves.put_actions(actions("ZZAA"))
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    days = [TUESDAY + timedelta(days=n) for n in range(46)]
    calls = []
    for day in days:
        results = run(day)
        calls.append(len(asked(b3)))
    # Each morning from the 16th on; 45 days after the session is the last one
    assert calls == [1] * 45 + [0]
    message = of_actions(results).message
    assert message is not None
    assert f"given up after 45 days: {isin('ZZAA')}, ex on 2026-09-15" in message
    assert memory_of(raw).rises == []


def test_an_issuer_that_b3_does_not_know_is_asked_again_for_its_rise_after_a_week(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA")
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    calls = []
    for day in range(15):
        run(TUESDAY + timedelta(days=day))
        calls.append(len(asked(b3)))
    assert calls == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert not memory_of(raw).issuers["ZZAA"].is_known


def test_in_a_month_nobody_is_asked_for_without_a_cause(run: Run, b3: B3Server, shelves: Shelves) -> None:
    """Forty issuers; who is asked on a day and why, worked out here by days and not by the code's memory."""
    issuers = [f"ZZ{first}{second}" for first in "ABCD" for second in "ABCDEFGHIJ"]
    for each in issuers:
        shelves.put_actions(actions(each))
    sessions = sessions_before(datetime(2026, 10, 14, 7, tzinfo=SAO_PAULO), 22)
    ex = {(sessions[5], "ZZAA"), (sessions[5], "ZZDJ"), (sessions[9], "ZZBC"), (sessions[21], "ZZAA")}
    numbers = dict.fromkeys(issuers, 100)
    days: dict[str, list[date]] = {each: [] for each in issuers}
    for before, session in zip([None, *sessions], sessions, strict=False):
        went_ex = {issuer for day, issuer in ex if day == session}
        for each in went_ex:
            numbers[each] += 1
            assert before is not None
            shelves.put_actions(actions(each, paid(each, before)))
        shelves.put_session(session, *(quote(each, number) for each, number in numbers.items()))
        run(session)
        today = asked(b3)
        assert went_ex <= set(today)
        # Beside those, at most a twentieth of all, and none that was asked in the last four weeks
        assert len(today) == len(set(today)) <= max(2, len(went_ex))
        for each in set(today) - went_ex:
            assert all(session - day >= timedelta(days=28) for day in days[each])
        for each in today:
            days[each].append(session)
        run(session)  # the later runs of the morning
        assert asked(b3) == []
    assert all(days.values())
    # Everybody once, four rises, and the first of the sweep once more when four weeks are over
    assert sum(map(len, days.values())) <= len(issuers) + len(ex) + 2


def test_the_sweep_renews_after_four_weeks_those_that_still_trade() -> None:
    today = date(2026, 10, 14)
    issuers = {
        "ZZAA": Issuer(is_fund=False, traded=today, asked=today - timedelta(days=28)),
        "ZZBB": Issuer(is_fund=False, traded=today, asked=today - timedelta(days=27)),
        "ZZCC": Issuer(is_fund=False, traded=today - timedelta(days=46), asked=None),
        "ZZDD": Issuer(is_fund=False, traded=today - timedelta(days=45), asked=None),
    }
    memory = Memory(issuers=issuers)
    assert memory.of_sweep(today) == ["ZZDD"]  # a twentieth, and one at least
    memory.note("ZZDD", today, None)
    assert memory.of_sweep(today) == []
    assert memory.of_sweep(today + timedelta(days=1)) == ["ZZAA"]


def test_a_service_that_fails_costs_no_quotes_and_is_left_alone_after_three(
    raw: RawBucket, bucket: Bucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    issuers = ["ZZAA", "ZZBB", "ZZCC", "ZZDD", "ZZEE"]
    remember(raw, *issuers)
    shelves.put_session(TUESDAY, *(quote(each, 101) for each in issuers))
    for each in issuers:
        shelves.put_actions(actions(each, paid(each, MONDAY)))
    b3.script(SUPPLEMENT_PATH, [Answer(status=520)] * 3)
    quotes, of_them = run(TUESDAY)
    assert (quotes.source, quotes.outcome) == ("cotahist", Outcome.NEW)
    assert keys.daily(TUESDAY) in keys_of(bucket)
    assert (of_them.outcome, of_them.is_error, of_them.failures) == (Outcome.INCOMPLETE, False, 3)
    assert of_them.message is not None
    assert "ZZAA: " in of_them.message
    assert "5 issuers left to the next run" in of_them.message
    assert asked(b3) == issuers[:3]
    # The next run, of the same morning, makes it good
    (_, of_them) = run(TUESDAY)
    assert (of_them.outcome, of_them.rows) == (Outcome.NEW, 5)
    assert asked(b3) == issuers


def test_one_that_fails_is_not_asked_for_twice_in_a_run_and_the_others_are(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA", "ZZBB")
    shelves.put_session(TUESDAY, quote("ZZAA", 101), quote("ZZBB", 101))
    shelves.put_actions(actions("ZZBB", paid("ZZBB", MONDAY)))
    b3.script(SUPPLEMENT_PATH, [Answer(status=500)])
    assert of_actions(run(TUESDAY)).failures == 1
    assert asked(b3) == ["ZZAA", "ZZBB"]


def test_an_answer_that_is_refused_lies_in_quarantine(
    raw: RawBucket, bucket: Bucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA")
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    b3.script(SUPPLEMENT_PATH, [Answer(body=b'[{"code": "ZZAA", "cashDividends": 1}]')])
    result = of_actions(run(TUESDAY))
    assert (result.outcome, result.failures) == (Outcome.INCOMPLETE, 1)
    (key,) = (key for key in keys_of(bucket) if key.startswith(keys.QUARANTINE))
    assert key.startswith("quarantine/corporate_actions/2026-09-16/")
    assert bucket.content(key) == b'[{"code": "ZZAA", "cashDividends": 1}]'
    assert "answer.cashDividends: found 1" in bucket.metadata(key)["reason"]
    assert keys.corporate_actions("ZZAA") not in keys_of(bucket)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"calls": 2}, 2),
        ({"seconds": 0.0}, 0),
        ({"remaining": lambda: 89.0}, 0),
        ({"remaining": lambda: 90.0}, 3),
    ],
)
def test_what_a_run_may_ask_is_bounded(
    bucket: Bucket, run: Run, shelves: Shelves, bound: dict[str, Any], expected: int
) -> None:
    raw = RawBucket(bucket.name)
    remember(raw, "ZZAA", "ZZBB", "ZZCC")
    shelves.put_session(TUESDAY, *(quote(each, 101) for each in ("ZZAA", "ZZBB", "ZZCC")))
    results = run(TUESDAY, **bound)
    assert results[0].outcome is Outcome.NEW
    assert [rise.asked for rise in memory_of(raw).rises].count(None) == 3 - expected


def test_the_time_that_files_to_come_may_need_is_theirs(
    raw: RawBucket, run: Run, b3: B3Server, shelves: Shelves
) -> None:
    remember(raw, "ZZAA")
    for session in (WEDNESDAY, TUESDAY):
        shelves.put_session(session, quote("ZZAA", 101))
    # 50 s for the session to come, 30 for the answer, 60 for the rest: asked when there is none to come
    run(WEDNESDAY, lookback_sessions=2, remaining=lambda: 139.0)
    paths = [seen.path.split("/")[-1][:18] for seen in b3.requests_seen if "SerHist" in seen.path]
    assert paths == ["COTAHIST_D16092026", "COTAHIST_D15092026"]
    assert b3.requests_seen[-1].path.startswith(SUPPLEMENT_PATH)
    assert asked(b3) == ["ZZAA"]


def test_a_damaged_memory_is_told_and_begins_anew(
    raw: RawBucket, bucket: Bucket, run: Run, shelves: Shelves
) -> None:
    bucket.put(keys.ACTIONS_MEMORY, b'{"papers": {"x": 1}}')
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    quotes, of_them = run(TUESDAY)
    assert quotes.outcome is Outcome.NEW
    assert of_them.message is not None
    assert "the memory is damaged and begins anew" in of_them.message
    assert memory_of(raw).papers == {isin("ZZAA"): (TUESDAY, 101)}


def test_an_error_of_ours_costs_no_quotes(
    run: Run, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(Memory, "learn", fail)
    shelves.put_session(TUESDAY, quote("ZZAA", 101))
    quotes, of_them = run(TUESDAY)
    assert (quotes.outcome, of_them.outcome) == (Outcome.NEW, Outcome.INCOMPLETE)
    assert of_them.message is not None
    assert "ZeroDivisionError: of ours" in of_them.message


def test_the_memory_is_what_it_was_after_a_turn_through_json() -> None:
    memory = Memory(
        papers={isin("ZZAA"): (TUESDAY, 101)},
        issuers={"ZZAA": Issuer(is_fund=True, traded=TUESDAY, asked=None, is_known=False)},
        rises=[Rise(isin("ZZAA"), "ZZAA", MONDAY, TUESDAY, 2, asked=WEDNESDAY)],
    )
    assert Memory.from_json(json.loads(json.dumps(memory.to_json()))) == memory


def said(day: date, *cash: CashDividend) -> pa.Table:
    body = json.dumps(encode_supplement(actions("ZZAA", *cash))).encode()
    return read_supplement(body, issuer="ZZAA", is_fund=False, seen=day, source="x").table


def test_answers_in_any_order_are_the_same_object_and_the_same_answer_is_not_written_again(
    raw: RawBucket, bucket: Bucket
) -> None:
    first, second = said(MONDAY, paid("ZZAA", MONDAY)), said(TUESDAY, paid("ZZAA", TUESDAY))
    merged = [raw.merge_actions("ZZAA", each, lineage=LINEAGE) for each in (first, second, second)]
    assert [each.new for each in merged] == [1, 1, 0]
    key = keys.corporate_actions("ZZAA")
    assert len(bucket.versions()) == 2
    content = bucket.content(key)
    bucket.s3.delete_object(Bucket=bucket.name, Key=key)
    for each in (second, first):
        raw.merge_actions("ZZAA", each, lineage=LINEAGE)
    assert bucket.content(key) == content
    assert raw.read_actions("ZZAA") == merged[-1].table
    assert raw.read_actions("ZZBB") is None


@pytest.mark.parametrize("is_new", [True, False])
def test_what_another_writer_adds_in_between_is_kept(
    raw: RawBucket, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    if not is_new:
        raw.merge_actions("ZZAA", said(MONDAY, paid("ZZAA", MONDAY)), lineage=LINEAGE)
    other = RawBucket(raw._name)
    read = raw._read_tagged
    turns = iter([said(TUESDAY, paid("ZZAA", TUESDAY))])

    def overtaken(key: str) -> tuple[bytes | None, str | None]:
        was = read(key)
        for table in turns:
            other.merge_actions("ZZAA", table, lineage=LINEAGE)
        return was

    monkeypatch.setattr(raw, "_read_tagged", overtaken)
    merged = raw.merge_actions("ZZAA", said(WEDNESDAY, paid("ZZAA", WEDNESDAY)), lineage=LINEAGE)
    days = [*([] if is_new else [MONDAY]), TUESDAY, WEDNESDAY]
    assert merged.table["last_date_prior"].to_pylist() == days
    stored = other.read_actions("ZZAA")
    assert stored is not None
    assert stored["last_date_prior"].to_pylist() == days


def test_an_object_that_others_keep_writing_is_told(raw: RawBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "_read_tagged", lambda _: (None, '"another"'))
    with pytest.raises(OvertakenError, match=r"ZZAA.parquet: written by others 5 times"):
        raw.merge_actions("ZZAA", said(MONDAY, paid("ZZAA", MONDAY)), lineage=LINEAGE)


@pytest.mark.usefixtures("terminal")
def test_the_function_tells_of_them_and_does_not_fail_for_them(
    b3: B3Server, raw: RawBucket, shelves: Shelves, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBACK_SESSIONS", "1")
    monkeypatch.delenv("CORPORATE_ACTIONS_CALLS", raising=False)
    remember(raw, "ZZAA", "ZZBB")
    shelves.put_session(TUESDAY, quote("ZZAA", 101), quote("ZZBB", 101))
    shelves.put_portfolio(TUESDAY, "ZZAA3")
    shelves.put_actions(actions("ZZBB", paid("ZZBB", MONDAY)))
    b3.script(SUPPLEMENT_PATH, [Answer(body=b"{}")])
    summaries = handler({"scheduled_time": morning_after(TUESDAY).isoformat()}, CONTEXT)
    summary = summaries[-1]
    assert (summary["source"], summary["outcome"], summary["rows"]) == ("corporate_actions", "incomplete", 1)
    (blob,) = (blob for blob in log.metrics() if "CorporateActionsFailed" in blob)
    assert blob["CorporateActionsFailed"] == [1.0]
    assert blob["FilesFailed"] == [0.0]
