"""The canary: what is new is told once, whatever becomes of its memory, and costs no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from lake.keys import CANARY_MEMORY
from sandbox.b3.formats import (
    IssuerActions,
    Quote,
    StockDividend,
    Subscription,
    encode_cash_history,
    encode_session,
    encode_supplement,
    zip_file,
)
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import Answer, B3Server
from sandbox.b3.universe import isin_with_check_digit
from scraper.b3.calendar import SAO_PAULO
from scraper.b3.cotahist.reader import read_text
from scraper.b3.oddities import TrailerCount
from scraper.daily.canary import (
    BULLETIN_CODES,
    FEWEST_SESSIONS,
    MARKETS,
    PORTFOLIO_FIELDS,
    Canary,
    Memory,
    Profile,
    codes_of,
)
from scraper.daily.corporate_actions import CorporateActions, Issuer
from scraper.daily.corporate_actions import Memory as ActionsMemory
from scraper.daily.ingest import Outcome, Result, ingest
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket, Shelves, client, historic, isin, paid

FRIDAY = date(2024, 11, 8)
DAYS = [FRIDAY - timedelta(days=7 * weeks) for weeks in range(12)][::-1]
"""Twelve Fridays up to that one."""
USUAL = Profile(
    rows=1_000,
    volume=Decimal("20000000.00"),
    zeros={"preofc": 0.40, "preofv": 0.45, "preult": 0.0},
    trailer="all records",
)


def news_of_days(profiles: Sequence[Profile]) -> list[list[str]]:
    """What is told of sessions, one after another."""
    memory = Memory()
    return [memory.compare(day, profile) for day, profile in zip(DAYS, profiles, strict=False)]


def table_of(*quotes: Quote) -> Any:
    return read_text(encode_session(FRIDAY, quotes), session=FRIDAY, source="test")


# Sizes, shares, the trailer


def test_a_session_like_the_others_is_no_news() -> None:
    profiles = [replace(USUAL, rows=rows) for rows in (900, 1_000, 1_100, 950, 1_050, 1_900, 520)]
    assert news_of_days(profiles) == [[]] * 7


def test_of_fewer_sessions_than_five_nothing_is_said() -> None:
    four = [USUAL] * (FEWEST_SESSIONS - 1)
    assert news_of_days([*four, replace(USUAL, rows=1)])[-1] == []
    assert news_of_days([*four, USUAL, replace(USUAL, rows=1)])[-1] != []


@pytest.mark.parametrize(
    ("unusual", "told"),
    [
        ({"rows": 2_001}, "rows: 2,001, where the last 5 sessions have a median of 1,000"),
        ({"rows": 499}, "rows: 499, where the last 5 sessions have a median of 1,000"),
        (
            {"volume": Decimal("60000000.01")},
            "volume: BRL 60,000,000, where the last 5 sessions have a median of BRL 20,000,000",
        ),
        (
            {"zeros": {"preofc": 1.0, "preofv": 0.45, "preult": 0.0}},
            "preofc: 100% zero, where the last 5 sessions have a median of 40% zero",
        ),
        (
            {"zeros": {"preofc": 0.4, "preofv": 0.45, "preult": 0.2}},
            "preult: 20% zero, where the last 5 sessions have a median of 0% zero",
        ),
    ],
)
def test_a_session_of_another_size_or_with_other_shares_of_zeros_is_told_and_if_it_lasts_once(
    unusual: dict[str, Any], told: str
) -> None:
    other = replace(USUAL, **unusual)
    *before, first, second = news_of_days([*[USUAL] * 5, other, other])
    assert (before, first, second) == ([[]] * 5, [told], [])


def test_a_trailer_of_the_other_convention_is_told_once() -> None:
    other = replace(USUAL, trailer="quotes")
    told = ["the trailer counts quotes, that of the session before all records"]
    assert news_of_days([USUAL, other, other, replace(USUAL, trailer=None)]) == [[], told, [], []]


def test_a_session_is_held_against_those_before_it_whenever_it_comes() -> None:
    memory = Memory()
    for day in DAYS[1:]:
        memory.compare(day, USUAL)
    assert memory.compare(DAYS[0], replace(USUAL, rows=1)) == []
    assert memory.compare(DAYS[0], USUAL) == []  # taken again, corrected


def test_the_memory_keeps_the_newest_sessions_alone() -> None:
    memory = Memory()
    days = [FRIDAY - timedelta(days=number) for number in range(30)]
    for day in days:
        memory.compare(day, USUAL)
    assert sorted(memory.sessions, reverse=True) == days[:20]


def test_a_profile_is_counted_from_the_quotes() -> None:
    quotes = table_of(
        Quote(preofc=Decimal(0), voltot=Decimal("0.10")),
        Quote(codneg="ZZBB4", preofc=Decimal(0), preofv=Decimal(0), voltot=Decimal("0.20")),
        Quote(codneg="ZZCC3", voltot=Decimal("0.30")),
    )
    assert Profile.of(quotes, TrailerCount.QUOTES) == Profile(
        rows=3,
        volume=Decimal("0.60"),
        zeros={"preofc": 0.6667, "preofv": 0.3333, "preult": 0.0},
        trailer="quotes",
    )


# Codes, in a run


@pytest.fixture
def run(b3: B3Server, bucket: Bucket) -> Callable[..., dict[str, Result]]:
    def run(session: date = FRIDAY, **more: Any) -> dict[str, Result]:
        now = datetime(2024, 11, 11, 7, tzinfo=SAO_PAULO)
        given = {"index_codes": (), "lookback_sessions": 1, **more}
        results = ingest(client(b3), RawBucket(bucket.name), now=now, session=session, **given)
        return {result.source: result for result in results}

    return run


Run = Callable[..., dict[str, Result]]

STRANGE = Quote(codneg="ZZXX3", tpmerc="099", codbdi="Z9")
TOLD = (
    "TPMERC '099', in no table and not seen before (quotes: 1)",
    "CODBDI 'Z9', in no table and not seen before (quotes: 1)",
)


def test_a_code_of_no_table_is_told_once_and_then_known(run: Run, shelves: Shelves, bucket: Bucket) -> None:
    for day in DAYS[-2:]:
        shelves.put_session(day, Quote(), STRANGE)
    result = run(DAYS[-2])["cotahist"]
    assert (result.outcome, result.is_error, result.news) == (Outcome.NEW, False, TOLD)
    assert result.summary()["news"] == TOLD
    assert run(DAYS[-1])["cotahist"].news == ()
    memory = json.loads(bucket.content(CANARY_MEMORY))
    assert memory["seen"] == {"CODBDI": {"Z9": "2024-11-01"}, "TPMERC": {"099": "2024-11-01"}}
    assert list(memory["sessions"]) == ["2024-11-01", "2024-11-08"]


def test_the_memory_is_not_written_for_nothing(run: Run, shelves: Shelves, bucket: Bucket) -> None:
    shelves.put_session(FRIDAY)
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    run(index_codes=["IBOV"])
    before = bucket.versions()
    run(index_codes=["IBOV"])
    assert bucket.versions() == before


def test_a_damaged_memory_is_told_and_begins_anew(run: Run, shelves: Shelves, bucket: Bucket) -> None:
    for damage in (b"{", b"[]", b'{"seen": {}, "sessions": {"2024": {}}}', b"\xff"):
        bucket.put(CANARY_MEMORY, damage)
        shelves.put_session(FRIDAY, Quote(voltot=Decimal(len(damage))))
        result = run()["cotahist"]
        assert result.outcome is Outcome.NEW
        assert [news.partition(" (")[0] for news in result.news] == [
            "the canary's memory is damaged and begins anew"
        ]
        assert list(json.loads(bucket.content(CANARY_MEMORY))["sessions"]) == ["2024-11-08"]


@pytest.mark.parametrize("method", ["read_canary", "write_canary"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject"),
            "the canary could not read or write its memory: ",
        ),
        (RuntimeError("ours"), "the canary failed: RuntimeError: ours"),
    ],
)
def test_a_canary_that_fails_costs_no_quote_and_says_so(
    *, run: Run, shelves: Shelves, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, told: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(RawBucket, method, fail)
    shelves.put_session(FRIDAY, STRANGE)
    result = run()["cotahist"]
    assert result.outcome is Outcome.NEW
    assert result.news[-1].startswith(told)
    assert (TOLD[0] in result.news) == (method == "write_canary")


def test_records_of_another_type_and_length_are_told_of_a_refused_file_once(run: Run, b3: B3Server) -> None:
    text = encode_session(FRIDAY, [Quote()] * 3)
    other = b"02" + text.splitlines()[1][2:] + b"12345"
    body = zip_file(text + other + b"\r\n", "A")
    b3.script("/InstDados/", [Answer(body=body)] * 2)
    first, second = run()["cotahist"], run()["cotahist"]
    assert (first.outcome, second.outcome) == (Outcome.INVALID, Outcome.INVALID)
    assert first.news == (
        "TIPREG '02', in no table and not seen before (records: 1)",
        "record length '250', in no table and not seen before (records: 1)",
    )
    assert second.news == ()


def test_a_name_that_b3_adds_to_a_portfolio_is_told_once(run: Run, shelves: Shelves) -> None:
    for day in DAYS[-2:]:
        shelves.put_portfolio(day, "ZZAA3", "ZZBB4")
        page = json.loads(shelves.pages["IBOV"][0])
        for row in page["results"]:
            row["freeFloat"] = "1"
        page["header"]["lastUpdate"] = None
        shelves.pages["IBOV"] = [json.dumps(json.dumps(page)).encode()]
        news = run(index_codes=["IBOV"])["index_portfolio"].news
        assert news == (
            (
                "portfolio field 'header.lastUpdate', in no table and not seen before (times: 1)",
                "portfolio field 'results.freeFloat', in no table and not seen before (times: 2)",
            )
            if day == DAYS[-2]
            else ()
        )


FIELD, LABEL, WITHOUT = (f"corporate action {kind}" for kind in ("field", "label", "without"))


def told_of(kind: str, name: str, times: int) -> str:
    return f"{kind} {name!r}, in no table and not seen before (times: {times})"


def supplement(**row: Any) -> dict[str, Any]:
    """A company's answer with a dividend and a split, some fields replaced; None leaves one out."""
    events: dict[str, Any] = {"isin": isin("ZZAA"), "last_date_prior": FRIDAY, "approved_on": FRIDAY}
    answers: Any = encode_supplement(
        IssuerActions(
            issuer="ZZAA",
            trading_name="SIMULADA",
            cash=(paid("ZZAA", FRIDAY),),
            stock=(StockDividend(label="DESDOBRAMENTO", factor=Decimal(100), **events),),
        )
    )
    (answer,) = answers
    for name in ("cashDividends", "stockDividends"):
        answer[name] = [
            {key: value for key, value in (each | row).items() if value is not None} for each in answer[name]
        ]
    return dict(answer)


@pytest.fixture
def ask(b3: B3Server, bucket: Bucket) -> Callable[[date, Any], Result]:
    """A run that asks for an issuer of whom it has heard, and is answered so."""
    raw = RawBucket(bucket.name)

    def ask(today: date, answer: Any) -> Result:
        issuers = {"ZZAA": Issuer(is_fund=False, traded=today)}
        raw.write_actions_memory(ActionsMemory(issuers=issuers).to_json())
        b3.script("/listedCompaniesProxy/", [Answer(body=json.dumps(answer).encode())])
        actions = CorporateActions(client(b3), raw, today=today, calls=1)
        now = datetime.combine(today, datetime.min.time(), SAO_PAULO)
        results = ingest(client(b3), raw, now=now, index_codes=(), lookback_sessions=1, actions=actions)
        (result,) = (each for each in results if each.source == "corporate_actions")
        return result

    return ask


Ask = Callable[[date, Any], Result]


def test_a_name_that_b3_adds_to_an_event_or_leaves_out_and_a_label_are_told_once(ask: Ask) -> None:
    assert ask(DAYS[-3], [supplement()]).news == ()
    other = supplement(label="CISAO PARCIAL", remarks=None, isTaxed="S") | {"isin": "", "subscriptions": None}
    result = ask(DAYS[-2], json.dumps([other]))  # JSON within JSON
    assert (result.outcome, result.rows) == (Outcome.NEW, 2)
    assert result.news == (
        told_of(FIELD, "answer.isin", 1),
        told_of(FIELD, "cashDividends.isTaxed", 1),
        told_of(FIELD, "stockDividends.isTaxed", 1),
        told_of(LABEL, "CISAO PARCIAL", 2),
        told_of(WITHOUT, "cashDividends.remarks", 1),
        told_of(WITHOUT, "stockDividends.remarks", 1),
    )
    assert ask(DAYS[-1], [other]).news == ()


def test_the_answers_of_funds_and_of_cash_histories_are_known_but_for_what_is_new(
    bucket: Bucket,
) -> None:
    canary = Canary(RawBucket(bucket.name))
    event: dict[str, Any] = {"last_date_prior": FRIDAY, "approved_on": FRIDAY}
    known = historic(1, FRIDAY)
    page = encode_cash_history([known, replace(known, corporate_action="BONUS"), known])
    for row in page["results"]:
        del row["lastDateTimePriorEx"]  # which no column is made of
    del page["results"][2]["ratio"]
    offer = Subscription(
        isin=isin_with_check_digit("BRZZFFCTFOR"),
        label="SUBSCRICAO",
        percentage=Decimal(10),
        price_unit=Decimal(5),
        subscription_date=FRIDAY,
        **event,
    )
    fund = IssuerActions(issuer="ZZFF", trading_name="FII ZZFF", is_fund=True, subscriptions=(offer,))
    pages = [json.dumps(each).encode() for each in (page, encode_supplement(fund), [])]
    assert canary.corporate_actions(FRIDAY, pages) == (
        told_of(LABEL, "BONUS", 1),
        told_of(WITHOUT, "results.ratio", 1),
    )
    assert canary.corporate_actions(FRIDAY, []) == ()


def test_an_answer_that_the_canary_cannot_read_fails_the_canary_alone(bucket: Bucket) -> None:
    (news,) = Canary(RawBucket(bucket.name)).corporate_actions(FRIDAY, [b'{"results": [1]}'])
    assert news.startswith("the canary failed: TypeError")


def test_a_damaged_file_teaches_no_more_than_some_codes() -> None:
    memory = Memory()
    quotes = table_of(*(Quote(codneg=f"ZZ{number}", codbdi=f"X{number}") for number in range(8)))
    found = codes_of(pa.Table.from_pandas(quotes, preserve_index=False))
    assert len(memory.learn(FRIDAY, found, "quotes")) == 5
    assert Memory.from_json(memory.to_json()) == memory


def test_the_simulated_market_has_no_code_that_is_unknown(bucket: Bucket) -> None:
    market = SimulatedMarket()
    quotes = market.session(date(2026, 10, 30))
    issuers = sorted({quote.codneg[:4] for quote in quotes if quote.tpmerc == "010"})
    assert {quote.tpmerc for quote in quotes} <= MARKETS
    assert {quote.codbdi for quote in quotes} <= BULLETIN_CODES
    assert "results.cod" in PORTFOLIO_FIELDS
    pages = [
        json.dumps(answer).encode()
        for actions in map(partial(market.corporate_actions, as_of=date(2026, 10, 30)), issuers)
        if actions is not None
        for answer in (encode_supplement(actions), encode_cash_history(actions.history))
    ]
    assert len(pages) > 100
    assert Canary(RawBucket(bucket.name)).corporate_actions(FRIDAY, pages) == ()
