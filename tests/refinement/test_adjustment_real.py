"""What B3 really answered, against sessions that are generated for the case."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from refinement.adjustment.actions import Action
from tests.fixtures.adjustment import action, of_one, row

pytestmark = pytest.mark.real

D = Decimal
ONE = D(1)
ITUB4, ABEV3, HGLG11 = "BRITUBACNPR1", "BRABEVACNOR1", "BRHGLGCTF004"


def number(text: str | None) -> Decimal | None:
    return D(text.replace(".", "").replace(",", ".")) if text else None


def day(text: str | None) -> date | None:
    # A day as B3 writes it; the one that stands for none is not needed here
    return datetime.strptime(text, "%d/%m/%Y").date() if text else None  # noqa: DTZ007


def supplement(folder: Path, call: str, issuer: str) -> list[Action]:
    """The answer of the call by ISIN, in the columns of the raw table."""
    answer: Any = json.loads(folder.read_text())
    found = json.loads(answer) if isinstance(answer, str) else answer
    (told,) = found if isinstance(found, list) else [found]
    categories = {"cash": "cashDividends", "stock": "stockDividends", "subscription": "subscriptions"}
    return [
        action(
            issuer=issuer,
            call=call,
            category=category,
            isin=each["isinCode"],
            asset_issued=each["assetIssued"],
            label=each["label"],
            last_date_prior=day(each["lastDatePrior"]),
            payment_date=day(each.get("paymentDate")),
            rate=number(each.get("rate")),
            factor=number(each.get("factor")),
            percentage=number(each.get("percentage")),
            price_unit=number(each.get("priceUnit")),
        )
        for category, name in categories.items()
        for each in told[name]
    ]


def of_history(file: Path, issuer: str) -> list[Action]:
    """The answer of the call by trading name, in the columns of the raw table."""
    return [
        action(
            issuer=issuer,
            call="cash_history",
            isin=None,
            type_stock=each["typeStock"],
            label=each["corporateAction"],
            last_date_prior=day(each["lastDatePriorEx"]),
            rate=number(each["valueCash"]),
            quoted_per_shares=int(each["quotedPerShares"]),
        )
        for each in json.loads(file.read_text())["results"]
    ]


@pytest.fixture
def companies(b3_files: Path) -> Path:
    folder = b3_files / "listedCompaniesProxy" / "CompanyCall"
    if not folder.is_dir():
        pytest.skip(f"no answers of the companies' service in {folder}")
    return folder


@pytest.fixture
def itub(companies: Path) -> list[Action]:
    return supplement(companies / "GetListedSupplementCompany_ITUB.json", "supplement", "ITUB")


def pn(number: int, close: str, especi: str = "PN      N1") -> Any:
    return row(number, close, isin=ITUB4, ticker="ITUB4", share_class=especi)


def test_the_bonus_of_3_percent_is_one_event(itub: list[Action]) -> None:
    days = [date(2025, 12, 22), date(2025, 12, 23), date(2025, 12, 26)]
    events, spans = of_one(days, [pn(7, "40.00"), pn(7, "41.20"), pn(8, "40.00", "PN  EB  N1")], itub)
    bonus = [event for event in events if event.kind == "bonus"]
    assert [(event.ex_date, event.ratio, event.status) for event in bonus] == [(days[2], D("1.03"), "proven")]
    assert [(span.first_session, round(span.split_factor or 0, 12)) for span in spans] == [
        (days[0], round(ONE / D("1.03"), 12)),
        (days[2], ONE),
    ]
    # What is still to come by that answer is told, and not applied
    assert {event.status for event in events if event.kind != "bonus"} == {"unconfirmed"}


def test_the_split_of_50_percent_is_one_event(itub: list[Action]) -> None:
    days = [date(2018, 11, 16), date(2018, 11, 19), date(2018, 11, 21)]
    events, spans = of_one(days, [pn(7, "51.00"), pn(7, "52.00"), pn(8, "35.00")], itub)
    split = [event for event in events if event.kind == "split"]
    assert [(event.ex_date, event.ratio, event.status) for event in split] == [(days[2], D("1.5"), "proven")]
    assert round((spans[0].split_factor or 0) * D("51.00"), 9) == D(34)


def test_the_spin_off_is_unsized_and_ends_the_series(itub: list[Action]) -> None:
    days = [date(2021, 9, 30), date(2021, 10, 1), date(2021, 10, 4)]
    for rises in (1, 2):
        events, spans = of_one(days, [pn(7, "28.90"), pn(7, "29.14"), pn(7 + rises, "23.51")], itub)
        of_day = [event for event in events if event.ex_date == days[2]]
        assert [(event.kind, event.status) for event in of_day] == [("spin_off", "unsized")] * 2
        assert [(span.split_factor, span.total_return_factor) for span in spans] == [
            (None, None),
            (ONE, ONE),
        ]


def test_the_grouping_of_2011_is_contradicted_where_the_price_did_not_step(itub: list[Action]) -> None:
    days = [date(2011, 10, 28), date(2011, 10, 31), date(2011, 11, 1)]
    events, spans = of_one(days, [pn(7, "33.60"), pn(7, "32.99"), pn(8, "32.10")], itub)
    of_day = [event for event in events if event.ex_date == days[2]]
    assert [(event.kind, event.ratio, event.status) for event in of_day] == [
        ("reverse_split", D("0.01"), "contradicted")
    ]
    assert [(span.split_factor, span.total_return_factor) for span in spans] == [(None, None), (ONE, ONE)]


@pytest.mark.parametrize("calls", ["supplement", "cash_history", "both"])
def test_dividend_and_interest_of_one_date_whichever_call_tells_them(companies: Path, calls: str) -> None:
    stated = []
    if calls != "cash_history":
        stated += supplement(companies / "GetListedSupplementCompany_ABEV.json", "supplement", "ABEV")
    if calls != "supplement":
        stated += of_history(companies / "GetListedCashDividends_AMBEV SA.json", "ABEV")
    days = [date(2021, 12, 16), date(2021, 12, 17), date(2021, 12, 20)]
    rows = [
        row(number, close, isin=ABEV3, ticker="ABEV3", share_class=especi)
        for number, close, especi in (
            (126, "16.10", "ON"),
            (126, "16.07", "ON"),
            (128, "15.41", "ON  EDJ"),
        )
    ]
    events, spans = of_one(days, rows, stated)
    assert [(event.kind, event.amount, event.status) for event in events] == [
        ("dividend", D("0.1334"), "proven"),
        ("interest", D("0.4702"), "proven"),
    ]
    expected = (D("16.07") - D("0.1334") - D("0.4702")) / D("16.07")
    assert [round(span.total_return_factor or 0, 15) for span in spans] == [round(expected, 15), ONE]


def test_the_distribution_number_counts_the_distributions_of_five_years(companies: Path) -> None:
    """From 111 on 2016-01-04 to 124 on 2021-06-25, as the quotes of both days have it."""
    stated = of_history(companies / "GetListedCashDividends_AMBEV SA.json", "ABEV")
    days = [date(2016, 1, 4), date(2021, 6, 25)]
    rows = [row(number, "17.00", isin=ABEV3, ticker="ABEV3", share_class="ON") for number in (111, 124)]
    events, spans = of_one(days, rows, stated)
    assert len([event for event in events if event.ex_date == days[1]]) == 13
    assert "unexplained" not in {event.status for event in events}
    # In shares it is proven; of what was paid, the closes are in sessions that this lake lacks
    assert (spans[0].split_factor, spans[0].total_return_factor) == (ONE, None)


def test_a_fund_s_split_of_ten_for_one(b3_files: Path) -> None:
    file = b3_files / "fundsProxy" / "fundsCall" / "GetListedSupplementFunds_HGLG.json"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    stated = supplement(file, "funds", "HGLG")
    days = [date(2018, 4, 16), date(2018, 4, 17), date(2018, 4, 18)]
    rows = [
        row(number, close, isin=HGLG11, ticker="HGLG11", share_class="CI")
        for number, close in ((80, "1302.00"), (80, "1300.00"), (81, "130.50"))
    ]
    events, spans = of_one(days, rows, stated)
    assert [(event.kind, event.ratio) for event in events if event.status == "proven"] == [("split", D(10))]
    assert spans[0].split_factor == D("0.1")
