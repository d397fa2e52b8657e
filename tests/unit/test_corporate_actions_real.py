"""The reader of corporate actions on B3's real answers, where they are at hand (see `b3_files`)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from sandbox.b3.server import CashHistoryRequest, SupplementRequest
from sandbox.b3.sources import RecordedFolder
from scraper.b3.corporate_actions.reader import Actions, read_cash_history, read_supplement, total_pages
from scraper.daily.canary import Canary
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket
from tests.fuzz import naive

pytestmark = pytest.mark.real

SEEN = date(2026, 7, 2)


@pytest.fixture
def recorded(b3_files: Path) -> RecordedFolder:
    if not (b3_files / "listedCompaniesProxy").is_dir():
        pytest.skip(f"no answers of listedCompaniesProxy in {b3_files}")
    return RecordedFolder(b3_files, SEEN)


def supplement(recorded: RecordedFolder, issuer: str, *, is_fund: bool = False) -> tuple[Actions, bytes]:
    document = recorded.supplement(SupplementRequest(issuer=issuer, is_fund=is_fund))
    if document is None:
        pytest.skip(f"no recorded answer of {issuer}")
    actions = read_supplement(document.body, issuer=issuer, is_fund=is_fund, seen=SEEN, source="recorded")
    return actions, document.body


@pytest.mark.parametrize(
    ("issuer", "is_fund"), [("ITUB", False), ("ABEV", False), ("TAEE", False), ("HGLG", True)]
)
def test_every_number_and_text_of_an_answer_is_in_its_table(
    recorded: RecordedFolder, issuer: str, is_fund: bool
) -> None:
    actions, page = supplement(recorded, issuer, is_fund=is_fund)
    assert actions.oddities == ()
    expected = naive.supplement(page, "funds" if is_fund else "supplement", issuer, SEEN)
    assert len(expected) > 0
    assert sorted(map(naive.written, actions.table.to_pylist())) == sorted(map(naive.written, expected))


def test_a_sentinel_of_a_fund_is_kept_in_its_text_alone(recorded: RecordedFolder) -> None:
    actions, _ = supplement(recorded, "HGLG", is_fund=True)
    periods = [row["trading_period"] for row in actions.table.to_pylist() if row["trading_period"]]
    assert any(period.startswith("31/12/9999") for period in periods)
    days = [value for row in actions.table.to_pylist() for value in row.values() if isinstance(value, date)]
    assert max(days).year < 2100


def test_a_recorded_history_is_read_whole(recorded: RecordedFolder) -> None:
    request = CashHistoryRequest(trading_name="AMBEV SA", page_number=1, page_size=99)
    document = recorded.cash_history(request)
    if document is None:
        pytest.skip("no recorded history of AMBEV SA")
    assert total_pages(document.body, source="recorded") == 1
    actions = read_cash_history([document.body], issuer="ABEV", seen=SEEN, source="recorded")
    assert actions.oddities == ()
    days = [day for day in actions.table["last_date_prior"].to_pylist() if day is not None]
    assert len(days) == json.loads(document.body)["page"]["totalRecords"]
    # Between two sessions of 2016 and 2021 its distribution number rose by 13
    assert sum(date(2016, 1, 4) <= day < date(2021, 6, 25) for day in days) == 13
    assert recorded.cash_history(replace(request, page_number=2)) is None


def test_the_canary_knows_all_names_and_labels_of_the_answers(
    recorded: RecordedFolder, bucket: Bucket
) -> None:
    request = CashHistoryRequest(trading_name="AMBEV SA", page_number=1, page_size=99)
    documents = [
        *(
            recorded.supplement(SupplementRequest(issuer=issuer, is_fund=False))
            for issuer in ("ITUB", "ABEV", "TAEE")
        ),
        recorded.supplement(SupplementRequest(issuer="HGLG", is_fund=True)),
        recorded.cash_history(request),
    ]
    pages = [document.body for document in documents if document is not None]
    assert pages
    assert Canary(RawBucket(bucket.name)).corporate_actions(SEEN, pages) == ()
