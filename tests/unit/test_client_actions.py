"""The client's calls for corporate actions: their addresses, their pauses, and B3's ways of not answering."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.b3.formats import IssuerActions
from sandbox.b3.server import (
    CASH_HISTORY_PATH,
    FUND_SUPPLEMENT_PATH,
    REQUEST_REJECTED,
    SUPPLEMENT_PATH,
    Answer,
    B3Server,
)
from scraper.b3.client import Absence, Absent, B3Client, DownloadError, Found, RefusedError
from tests.fixtures.both_ends import Shelves


class Clock:
    """Time that passes where the client waits, and nowhere else."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(b3: B3Server, clock: Clock) -> B3Client:
    return B3Client(
        index_base_url=b3.base_url, sleep=clock.sleep, jitter=lambda: 0.5, clock=clock, actions_pause=2.0
    )


def asked(b3: B3Server, path: str) -> list[dict[str, Any]]:
    """What was asked for, decoded."""
    seen = [unquote(each.path) for each in b3.requests_seen]
    assert all(each.startswith(path) for each in seen)
    return [json.loads(base64.b64decode(each.removeprefix(path))) for each in seen]


def test_a_company_is_asked_for_by_its_code(b3: B3Server, client: B3Client, shelves: Shelves) -> None:
    shelves.put_actions(IssuerActions(issuer="ZZAA", trading_name="SIMULADA"))
    answer = client.supplement("ZZAA")
    assert isinstance(answer, Found)
    assert json.loads(answer.content)[0]["code"] == "ZZAA"
    assert asked(b3, SUPPLEMENT_PATH) == [{"issuingCompany": "ZZAA", "language": "pt-br"}]


def test_a_fund_is_asked_for_by_the_call_of_funds(b3: B3Server, client: B3Client, shelves: Shelves) -> None:
    shelves.put_actions(IssuerActions(issuer="ZZFF", trading_name="FII SIMULADO", is_fund=True))
    answer = client.supplement("ZZFF", is_fund=True)
    assert isinstance(answer, Found)
    assert json.loads(answer.content)["code"] == "ZZFF"
    assert asked(b3, FUND_SUPPLEMENT_PATH) == [{"cnpj": "0", "identifierFund": "ZZFF", "typeFund": 7}]


def test_a_history_is_asked_for_by_the_trading_name_without_a_slash(b3: B3Server, client: B3Client) -> None:
    client.cash_history_page("AÇO Z S/A   ", 2)
    assert asked(b3, CASH_HISTORY_PATH) == [
        {"language": "pt-br", "pageNumber": 2, "pageSize": 99, "tradingName": "AÇO Z SA"}
    ]


def test_base64_that_has_a_slash_is_one_part_of_the_path(b3: B3Server, client: B3Client) -> None:
    for name in ("A?", "AA?", "AAA?", "A>", "AA>", "AAA>"):
        client.cash_history_page(name, 1)
    assert any("%2F" in each.path for each in b3.requests_seen)
    assert [each["tradingName"] for each in asked(b3, CASH_HISTORY_PATH)][:2] == ["A?", "AA?"]


def test_between_two_calls_is_a_pause_and_before_the_first_none(client: B3Client, clock: Clock) -> None:
    client.supplement("ZZAA")
    assert clock.pauses == []
    clock.now += 0.5
    client.cash_history_page("SIMULADA", 1)
    assert clock.pauses == [1.5]
    clock.now += 3
    client.supplement("ZZFF", is_fund=True)
    assert clock.pauses == [1.5]


def test_another_attempt_waits_as_long_as_another_call(b3: B3Server, client: B3Client, clock: Clock) -> None:
    b3.script(SUPPLEMENT_PATH, [Answer(status=520), Answer(status=503)])
    assert isinstance(client.supplement("ZZAA"), Absent)
    assert clock.pauses == [2.0, 2.0]


def test_an_issuer_that_b3_does_not_know_is_answered_by_an_empty_body(client: B3Client) -> None:
    answer = client.supplement("ZZQQ")
    assert isinstance(answer, Absent)
    assert answer.reason is Absence.EMPTY_BODY


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(REQUEST_REJECTED, RefusedError, id="a firewall"),
        pytest.param(Answer(body=b"<!DOCTYPE html>"), RefusedError, id="a page"),
        pytest.param(Answer(status=404), DownloadError, id="no such call"),
        pytest.param(Answer(body=b"x" * (2**20 + 1)), DownloadError, id="more than there can be"),
    ],
)
def test_what_is_neither_an_answer_nor_nothing_is_an_error(
    b3: B3Server, client: B3Client, answer: Answer, error: type[DownloadError]
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.supplement("ZZAA"),
        lambda: client.supplement("ZZAA", is_fund=True),
        lambda: client.cash_history_page("SIMULADA", 1),
    ]
    b3.script("/", [answer] * len(calls))
    for call in calls:
        with pytest.raises(error):
            call()
    assert len(b3.requests_seen) == len(calls)


def test_a_service_that_keeps_failing_is_left_after_half_a_minute(b3: B3Server, clock: Clock) -> None:
    client = B3Client(
        index_base_url=b3.base_url, sleep=clock.sleep, clock=clock, attempts=99, actions_pause=2.0
    )
    b3.script("/", [Answer(status=520)] * 99)
    with pytest.raises(DownloadError, match=r"gave up after \d+ of 99 attempts \(30 s at most\)"):
        client.supplement("ZZAA")
    assert clock.now < 130
