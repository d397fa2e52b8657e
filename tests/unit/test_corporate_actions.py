"""The reader of corporate actions: what B3's calls say, exactly, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sandbox.b3.formats import (
    CashDividend,
    HistoricCash,
    IssuerActions,
    StockDividend,
    Subscription,
    encode_cash_history,
    encode_supplement,
)
from scraper.b3.corporate_actions.layout import ACTION_COLUMNS, issuer_of
from scraper.b3.corporate_actions.reader import (
    ACTION_SCHEMA,
    MAX_BYTES,
    Actions,
    merge,
    read_cash_history,
    read_supplement,
    total_pages,
)
from scraper.b3.errors import InvalidData

SOURCE = "https://example.org/B3"
SEEN = date(2026, 9, 1)
ON, PN = "BRZZAAACNOR0", "BRZZAAACNPR7"

COLUMNS = """
issuer string, call string, category string, isin string, asset_issued string, type_stock string,
label string,
approved_on date, last_date_prior date, payment_date date, rate decimal(24,11), quoted_per_shares bigint,
factor decimal(24,11), percentage decimal(24,11), price_unit decimal(24,11), subscription_date date,
trading_period string, related_to string, remarks string, closing_price decimal(24,11),
closing_price_date date, ratio string, corporate_action_price decimal(24,11), occurrence int,
first_seen date, last_seen date
"""


def cash(**values: Any) -> CashDividend:
    given: dict[str, Any] = {
        "isin": ON,
        "label": "DIVIDENDO",
        "rate": Decimal("0.1334"),
        "last_date_prior": date(2025, 12, 17),
        "approved_on": date(2025, 12, 9),
        "payment_date": date(2025, 12, 30),
    }
    return CashDividend(**(given | values))


def historic(**values: Any) -> HistoricCash:
    given: dict[str, Any] = {
        "type_stock": "ON",
        "corporate_action": "DIVIDENDO",
        "value": Decimal("0.1334"),
        "last_date_prior": date(2025, 12, 17),
        "approved_on": date(2025, 12, 9),
        "closing_price": Decimal("16.07"),
        "closing_price_date": date(2025, 12, 17),
        "corporate_action_price": Decimal("0.830118"),
    }
    return HistoricCash(**(given | values))


def issuer(**values: Any) -> IssuerActions:
    return IssuerActions(issuer="ZZAA", trading_name="SIMULADA S/A", **values)


def supplement(*, seen: date = SEEN, **values: Any) -> Actions:
    return read(json.dumps(encode_supplement(issuer(**values))).encode(), seen=seen)


def read(body: bytes, *, seen: date = SEEN) -> Actions:
    return read_supplement(body, issuer="ZZAA", is_fund=False, seen=seen, source=SOURCE)


def history(*rows: HistoricCash, page_size: int = 99) -> list[bytes]:
    pages = max(1, -(-len(rows) // page_size))
    return [
        json.dumps(encode_cash_history(rows, page_number=number, page_size=page_size)).encode()
        for number in range(1, pages + 1)
    ]


def read_history(pages: list[bytes]) -> Actions:
    return read_cash_history(pages, issuer="ZZAA", seen=SEEN, source=SOURCE)


def known(row: dict[str, Any]) -> dict[str, Any]:
    """What is not null of a row."""
    return {name: value for name, value in row.items() if value is not None}


def test_the_table_has_the_columns_that_those_who_read_it_expect() -> None:
    stated = [tuple(column.rsplit(" ", 1)) for column in COLUMNS.replace("\n", " ").strip().split(", ")]
    assert [(column.name, column.glue_type) for column in ACTION_COLUMNS] == stated


def test_each_field_of_the_supplement_is_kept_exactly() -> None:
    actions = supplement(
        cash=(cash(related_to="1º Trimestre/2026", remarks="X"),),
        stock=(
            StockDividend(
                isin=PN,
                label="CIS RED CAP",
                factor=Decimal("1234.50000000001"),
                last_date_prior=date(2021, 10, 1),
                approved_on=date(2021, 1, 31),
                asset_issued="BRZZXXACNOR9",
            ),
        ),
        subscriptions=(
            Subscription(
                isin=ON,
                percentage=Decimal("9.90972339724"),
                price_unit=Decimal("166.58"),
                last_date_prior=date(2026, 2, 10),
                approved_on=date(2026, 2, 4),
                subscription_date=date(2026, 3, 2),
                trading_until=date(2026, 2, 25),
            ),
        ),
    )
    seen = {"issuer": "ZZAA", "call": "supplement", "occurrence": 1, "first_seen": SEEN, "last_seen": SEEN}
    assert actions.trading_name == "SIMULADA S/A"
    assert actions.oddities == ()
    assert actions.table.schema == ACTION_SCHEMA
    assert [known(row) for row in actions.table.to_pylist()] == [
        seen
        | {
            "category": "cash",
            "isin": ON,
            "asset_issued": ON,
            "label": "DIVIDENDO",
            "approved_on": date(2025, 12, 9),
            "last_date_prior": date(2025, 12, 17),
            "payment_date": date(2025, 12, 30),
            "rate": Decimal("0.1334"),
            "quoted_per_shares": 1,
            "related_to": "1º Trimestre/2026",
            "remarks": "X",
        },
        seen
        | {
            "category": "stock",
            "isin": PN,
            "asset_issued": "BRZZXXACNOR9",
            "label": "CIS RED CAP",
            "approved_on": date(2021, 1, 31),
            "last_date_prior": date(2021, 10, 1),
            "quoted_per_shares": 1,
            "factor": Decimal("1234.50000000001"),
        },
        seen
        | {
            "category": "subscription",
            "isin": ON,
            "asset_issued": ON,
            "label": "SUBSCRICAO",
            "approved_on": date(2026, 2, 4),
            "last_date_prior": date(2026, 2, 10),
            "quoted_per_shares": 1,
            "percentage": Decimal("9.90972339724"),
            "price_unit": Decimal("166.58"),
            "subscription_date": date(2026, 3, 2),
            "trading_period": "31/12/9999 a 25/02/2026",
        },
    ]


def test_each_field_of_the_history_is_kept_with_the_shares_that_it_is_for() -> None:
    old = historic(
        type_stock="PN",
        value=Decimal("1.25"),
        quoted_per_shares=1000,
        closing_price=Decimal("1043.50"),
        last_date_prior=date(1997, 3, 3),
        closing_price_date=date(1997, 2, 28),
        approved_on=None,
    )
    assert [known(row) for row in read_history(history(old)).table.to_pylist()] == [
        {
            "issuer": "ZZAA",
            "call": "cash_history",
            "category": "cash",
            "type_stock": "PN",
            "label": "DIVIDENDO",
            "last_date_prior": date(1997, 3, 3),
            "rate": Decimal("1.25"),
            "quoted_per_shares": 1000,
            "closing_price": Decimal("1043.50"),
            "closing_price_date": date(1997, 2, 28),
            "ratio": "1",
            "corporate_action_price": Decimal("0.830118"),
            "occurrence": 1,
            "first_seen": SEEN,
            "last_seen": SEEN,
        }
    ]


def test_instalments_are_two_events_and_what_is_alike_in_all_is_numbered() -> None:
    table = supplement(cash=(cash(), cash(), cash(payment_date=date(2026, 6, 30)))).table
    rows = [(row["payment_date"], row["occurrence"]) for row in table.to_pylist()]
    assert rows == [(date(2025, 12, 30), 1), (date(2025, 12, 30), 2), (date(2026, 6, 30), 1)]


def test_the_order_of_the_answer_changes_nothing() -> None:
    rows = (cash(), cash(isin=PN), cash(payment_date=None), cash(label="JRS CAP PROPRIO"))
    assert supplement(cash=rows).table == supplement(cash=rows[::-1]).table
    assert [row["label"] for row in supplement(cash=rows).table.to_pylist()] == [
        *("DIVIDENDO", "DIVIDENDO", "JRS CAP PROPRIO", "DIVIDENDO"),
    ]


def test_pages_are_one_history_and_all_of_them_are_needed() -> None:
    rows = [historic(value=Decimal(number)) for number in range(1, 8)]
    pages = history(*rows, page_size=3)
    assert total_pages(pages[0], source=SOURCE) == 3
    # The rows differ in the rate alone, and are in its order
    assert read_history(pages).table["rate"].to_pylist() == [Decimal(n) for n in range(1, 8)]
    with pytest.raises(InvalidData, match="found 3 pages and 7 rows on page 1, expected 2 and 6"):
        read_history(pages[:2])


def test_a_history_without_rows_is_one_of_none() -> None:
    assert total_pages(history()[0], source=SOURCE) == 0
    assert read_history(history()).table.num_rows == 0
    assert read(b"[]").table.num_rows == 0
    assert supplement().table.schema == ACTION_SCHEMA


def test_what_only_describes_is_kept_and_told_where_it_is_odd() -> None:
    body = json.loads(json.dumps(encode_supplement(issuer(cash=(cash(),)))))
    body[0]["cashDividends"][0] |= {"remarks": "a\x00b", "rate": "", "relatedTo": None}
    actions = read(json.dumps(body).encode())
    (row,) = actions.table.to_pylist()
    assert (row["remarks"], row["rate"], row["related_to"]) == ("a\u2400b", None, None)
    assert [(each.field, each.what) for each in actions.oddities] == [
        ("cashDividends.remarks", "characters that cannot be printed, kept as pictures of them"),
        ("cashDividends.rate", "no number, kept as null"),
    ]


def _with(name: str, **values: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        stock = StockDividend(
            isin=ON, label="DESDOBRAMENTO", factor=Decimal(100), last_date_prior=SEEN, approved_on=SEEN
        )
        answer = json.loads(json.dumps(encode_supplement(issuer(cash=(cash(),), stock=(stock,)))))
        answer[0][name][0] |= values
        return json.dumps(answer).encode()

    return make


def _answer(**values: Any) -> Callable[[], bytes]:
    return lambda: json.dumps([{**encode_supplement(issuer())[0], **values}]).encode()  # type: ignore[index]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"<html>", "expected JSON"),
        (lambda: b'""', "expected JSON"),
        (lambda: b"null", "field answer: found null, expected a JSON object"),
        (lambda: b"[{}, {}]", "found 2 issuers, expected one, in a list"),
        (lambda: b" " * (MAX_BYTES + 1), f"expected at most {MAX_BYTES}"),
        (_answer(code="ZZBB"), 'field answer.code: found "ZZBB", expected ZZAA, which was asked for'),
        (_answer(stockDividends={}), "field answer.stockDividends: found {}, expected a list of events"),
        (_answer(subscriptions=[1]), "record 1, field subscriptions: found 1, expected a JSON object"),
        (_with("cashDividends", isinCode="ZZAA3"), "record 1, field cashDividends.isinCode: found"),
        (_with("cashDividends", label=" "), "field cashDividends.label: found"),
        (_with("cashDividends", lastDatePrior="2025-12-17"), "expected a date, DD/MM/YYYY"),
        (_with("cashDividends", lastDatePrior="30/02/2025"), "expected a date, DD/MM/YYYY"),
        (_with("cashDividends", rate="0.1334"), "expected a number such as 1.234,5"),
        (_with("cashDividends", rate="1.334"), "expected a number such as 1.234,5"),
        (_with("cashDividends", rate="-1,00000000000"), "expected a number such as 1.234,5"),
        (_with("cashDividends", rate=0.1334), "field cashDividends.rate: found 0.1334, expected a text"),
        (
            _with("stockDividends", factor="0,000000000001"),
            r"a number that fits decimal128\(24, 11\)",
        ),
        (
            _with("stockDividends", factor="9" * 14 + ",0"),
            r"a number that fits decimal128\(24, 11\)",
        ),
    ],
)
def test_what_is_no_such_answer_is_refused_by_its_field(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(InvalidData, match=message) as refused:
        read(make())
    assert str(refused.value).startswith(SOURCE)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quotedPerShares", "0", "expected a whole number from 1 to"),
        ("quotedPerShares", "1,5", "expected a whole number from 1 to"),
        ("valueCash", "1.000", "record 2, field results.valueCash"),
        ("typeStock", "", "expected a text that is not blank"),
        ("dateClosingPricePriorExDate", "x", "expected a date"),
    ],
)
def test_a_row_of_the_history_is_refused_by_its_field(field: str, value: str, message: str) -> None:
    page = json.loads(history(historic(), historic())[0])
    page["results"][1][field] = value
    with pytest.raises(InvalidData, match=message):
        read_history([json.dumps(page).encode()])


@pytest.mark.parametrize("page", [{}, {"totalPages": 61, "totalRecords": 1}, {"totalPages": -1}, None])
def test_a_count_of_pages_that_cannot_be_is_refused(page: object) -> None:
    with pytest.raises(InvalidData, match="field page"):
        total_pages(json.dumps({"page": page, "results": []}).encode(), source=SOURCE)


def test_what_was_once_said_stays_with_the_days_on_which_it_was_seen() -> None:
    first, second, third = (date(2026, 9, day) for day in (1, 2, 3))
    answers = [
        supplement(seen=first, cash=(cash(), cash(label="RENDIMENTO"))).table,
        supplement(seen=second, cash=(cash(),)).table,
        supplement(seen=third, cash=(cash(), cash())).table,
    ]
    merged = merge(answers)
    assert [
        (row["label"], row["occurrence"], row["first_seen"], row["last_seen"]) for row in merged.to_pylist()
    ] == [
        ("DIVIDENDO", 1, first, third),
        ("DIVIDENDO", 2, third, third),
        ("RENDIMENTO", 1, first, first),
    ]
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        assert merge([answers[n] for n in order]) == merged
    assert merge([merge(answers[1:]), answers[0]]) == merged
    assert merge([]).schema == pa.schema(ACTION_SCHEMA)


@pytest.mark.parametrize(
    ("ticker", "issuer"),
    [("ZZAA3", "ZZAA"), ("ZZ1A11", "ZZ1A"), ("ACE 2", None), ("ZZA", None), ("zzaa3", None)],
)
def test_the_issuing_code_is_the_first_four_characters_of_a_ticker(ticker: str, issuer: str | None) -> None:
    assert issuer_of(ticker) == issuer
