"""The simulated service of corporate actions: of a market that has some, of recorded files, and its traps."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.b3.formats import (
    CashDividend,
    HistoricCash,
    IssuerActions,
    Quote,
    encode_cash_history,
    encode_session,
    encode_supplement,
    zip_file,
)
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import (
    CASH_HISTORY_PATH,
    SUPPLEMENT_PATH,
    B3Server,
    CashHistoryRequest,
    SupplementRequest,
    parse_actions_request,
)
from sandbox.b3.sources import RecordedFolder, SimulatedSource
from scraper.b3.client import B3Client, Found
from scraper.b3.corporate_actions import address

FIRST, LAST = date(2024, 11, 7), date(2024, 11, 8)


def historic(value: str) -> HistoricCash:
    return HistoricCash(
        type_stock="ON",
        corporate_action="DIVIDENDO",
        value=Decimal(value),
        last_date_prior=FIRST,
        approved_on=FIRST,
        closing_price=Decimal("10.00"),
        closing_price_date=FIRST,
    )


class Market(SimulatedMarket):
    """A market one of whose companies pays on the first day, which has a fund, and a company that left it."""

    def corporate_actions(self, issuer: str, as_of: date) -> IssuerActions | None:
        paid = CashDividend(
            isin="BRZZAAACNOR0",
            label="DIVIDENDO",
            rate=Decimal("0.5"),
            last_date_prior=FIRST,
            approved_on=FIRST,
        )
        history = tuple(historic(str(number)) for number in range(1, 101))
        return {
            "ZZAA": IssuerActions(
                issuer="ZZAA",
                trading_name="SIMULADA S/A",
                cash=(paid,) if as_of >= LAST else (),
                history=history,
            ),
            "ZZFF": IssuerActions(issuer="ZZFF", trading_name="FII ZZFF", is_fund=True),
            "ZZBB": IssuerActions(issuer="ZZBB", trading_name="SAIU", is_listed=False, history=history[:1]),
        }.get(issuer)

    def issuer_of(self, trading_name: str) -> str | None:
        return {"SIMULADA SA": "ZZAA", "SAIU": "ZZBB"}.get(trading_name)


def supplement(source: SimulatedSource | RecordedFolder, issuer: str, *, is_fund: bool = False) -> Any:
    document = source.supplement(SupplementRequest(issuer=issuer, is_fund=is_fund))
    return None if document is None else json.loads(document.body)


def rows(source: SimulatedSource | RecordedFolder, name: str, page: int = 1) -> int:
    request = CashHistoryRequest(trading_name=name, page_number=page, page_size=99)
    document = source.cash_history(request)
    return -1 if document is None else len(json.loads(document.body)["results"])


def test_a_market_is_asked_for_what_is_known_on_a_day() -> None:
    source = SimulatedSource([FIRST, LAST], Market(tickers=40))
    assert len(supplement(source, "ZZAA")[0]["cashDividends"]) == 1
    source.actions_as_of = FIRST
    assert supplement(source, "ZZAA")[0]["cashDividends"] == []


def test_an_issuer_is_known_to_its_own_call_as_long_as_it_is_listed() -> None:
    source = SimulatedSource([LAST], Market(tickers=40))
    assert supplement(source, "ZZFF", is_fund=True)["code"] == "ZZFF"
    assert supplement(source, "ZZFF") is None
    assert supplement(source, "ZZAA", is_fund=True) is None
    assert supplement(source, "ZZBB") is None
    assert supplement(source, "ZZQQ") is None
    assert [rows(source, "SIMULADA SA", page) for page in (1, 2, 3)] == [99, 1, 0]
    assert rows(source, "SAIU") == 1
    # As at B3, a name with a slash has no rows
    assert rows(source, "SIMULADA S/A") == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = encode_session(LAST, [Quote()])
    (tmp_path / "COTAHIST_D08112024.ZIP").write_bytes(zip_file(text, "COTAHIST_D08112024.TXT"))
    companies = tmp_path / "listedCompaniesProxy" / "CompanyCall"
    funds = tmp_path / "fundsProxy" / "fundsCall"
    history = [historic(str(number)) for number in range(1, 101)]
    answers = {
        companies / "GetListedSupplementCompany_ZZAA.json": encode_supplement(
            IssuerActions(issuer="ZZAA", trading_name="SIMULADA S/A")
        ),
        funds / "GetListedSupplementFunds_ZZFF.json": encode_supplement(
            IssuerActions(issuer="ZZFF", trading_name="FII ZZFF", is_fund=True)
        ),
        companies / "GetListedCashDividends_SIMULADA SA.json": encode_cash_history(history),
        companies / "GetListedCashDividends_SIMULADA SA_2.json": encode_cash_history(history, page_number=2),
        companies / "GetListedCashDividends_OUTRA_1.json": encode_cash_history(history[:5]),
    }
    for path, answer in answers.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(answer), encoding="utf-8")
    return tmp_path


def test_recorded_answers_are_served_by_their_names_and_of_others_nothing_is_known(folder: Path) -> None:
    source = RecordedFolder(folder, LAST)
    assert supplement(source, "ZZAA")[0]["code"] == "ZZAA"
    assert supplement(source, "ZZFF", is_fund=True)["code"] == "ZZFF"
    assert supplement(source, "ZZFF") is None
    assert [rows(source, "SIMULADA SA", page) for page in (1, 2, 3)] == [99, 1, -1]
    assert [rows(source, "OUTRA", page) for page in (1, 2)] == [5, -1]
    assert rows(source, "../CompanyCall/GetListedCashDividends_OUTRA") == -1


def test_the_client_gets_the_recorded_bytes(folder: Path) -> None:
    with B3Server(RecordedFolder(folder, LAST)) as b3:
        client = B3Client(index_base_url=b3.base_url, actions_pause=0)
        answer = client.cash_history_page("SIMULADA S/A", 2)
        assert isinstance(answer, Found)
        recorded = (
            folder / "listedCompaniesProxy" / "CompanyCall" / "GetListedCashDividends_SIMULADA SA_2.json"
        )
        assert answer.content == recorded.read_bytes()


def test_for_pages_of_200_rows_b3_answers_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with B3Server(SimulatedSource([LAST], Market(tickers=40))) as b3:
        for size, is_empty in ((99, False), (121, False), (200, True)):
            monkeypatch.setattr(address, "PAGE_SIZE", size)
            answer = requests.get(address.of_cash_history(b3.base_url, "SIMULADA S/A", 1), timeout=5)
            assert (answer.status_code, answer.content == b"") == (200, is_empty)


@pytest.mark.parametrize(
    "path",
    [
        f"{SUPPLEMENT_PATH}ZZAA",
        f"{SUPPLEMENT_PATH}e30=",
        f"{CASH_HISTORY_PATH}eyJsYW5ndWFnZSI6ImVuLXVzIn0=",
        "/indexProxy/indexCall/GetPortfolioDay/e30=",
    ],
)
def test_what_asks_for_nothing_is_told(path: str) -> None:
    with pytest.raises(ValueError, match=r"Base64|lacks|pt-br|no call"):
        parse_actions_request(path)
