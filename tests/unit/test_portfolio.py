import copy
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scraper.b3.errors import InvalidData
from scraper.b3.index_portfolio.reader import Portfolio, read_portfolio, total_pages
from scraper.b3.oddities import Oddity

SOURCE = "https://example.org/indexProxy/indexCall/GetPortfolioDay/abc"

# Typed by hand in the form of B3's answer; names and figures are made up
ANSWER: dict[str, Any] = {
    "page": {"pageNumber": 1, "pageSize": 120, "totalRecords": 3, "totalPages": 1},
    "header": {
        "date": "27/04/26",
        "text": "Quantidade Teórica Total",
        "part": "100,000",
        "partAcum": None,
        "textReductor": "Redutor",
        "reductor": "14.469.518,97844297",
        "theoricalQty": "9.000.000.600",
    },
    "results": [
        {
            "segment": "Bens Indls / Máqs e Equips",
            "cod": "ZZAA3",
            "asset": "SIMULADA A",
            "type": "ON      NM",
            "part": "11,477",
            "partAcum": "11,477",
            "theoricalQty": "9.000.000.000",
        },
        {
            "segment": "Mineração ",
            "cod": "ZZBB4",
            "asset": "SIMULADA B",
            "type": "PN  EDJ N1",
            "part": "0,523",
            "partAcum": "88,523",
            "theoricalQty": "500",
        },
        {
            "segment": "Mineração ",
            "cod": "ZZCC11",
            "asset": "SIMULADA C",
            "type": "UNT     N2",
            "part": "88,000",
            "partAcum": "88,523",
            "theoricalQty": "100",
        },
    ],
}


def body(answer: object) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode()


def read(*answers: object) -> Portfolio:
    return read_portfolio([body(answer) for answer in answers], index="IBOV", source=SOURCE)


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    answer = copy.deepcopy(ANSWER)
    place: Any = answer
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return answer


def refusal(*answers: object) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        read(*answers)
    return caught.value


# --- what is read


def test_every_value_is_read_exactly() -> None:
    portfolio = read(ANSWER)
    assert (portfolio.index_code, portfolio.portfolio_date) == ("IBOV", date(2026, 4, 27))
    assert portfolio.oddities == ()
    reductor = Decimal("14469518.97844297")
    assert portfolio.frame.to_dict("records") == [
        {
            "index_code": "IBOV",
            "ticker": "ZZAA3",
            "asset": "SIMULADA A",
            "share_class": "ON      NM",
            "sector": "Bens Indls / Máqs e Equips",
            "weight": Decimal("11.477"),
            "sector_weight": Decimal("11.477"),
            "theoretical_quantity": 9_000_000_000,
            "reductor": reductor,
        },
        {
            "index_code": "IBOV",
            "ticker": "ZZBB4",
            "asset": "SIMULADA B",
            "share_class": "PN  EDJ N1",
            "sector": "Mineração",
            "weight": Decimal("0.523"),
            "sector_weight": Decimal("88.523"),
            "theoretical_quantity": 500,
            "reductor": reductor,
        },
        {
            "index_code": "IBOV",
            "ticker": "ZZCC11",
            "asset": "SIMULADA C",
            "share_class": "UNT     N2",
            "sector": "Mineração",
            "weight": Decimal("88.000"),
            "sector_weight": Decimal("88.523"),
            "theoretical_quantity": 100,
            "reductor": reductor,
        },
    ]


def test_an_unknown_reductor_is_null() -> None:
    assert read(changed(("header", "reductor"), None)).frame["reductor"].isna().all()


def test_a_reductor_without_its_decimal_comma_is_read_with_its_eight_decimals() -> None:
    portfolio = read(changed(("header", "reductor"), "18.296.80337677573"))
    assert set(portfolio.frame["reductor"]) == {Decimal("18296803.37677573")}
    assert [oddity.what for oddity in portfolio.oddities] == ["without its decimal comma, which was put back"]


# --- what is refused


def test_a_refusal_says_where_and_what_was_found_and_expected_and_what_to_do() -> None:
    error = refusal(changed(("results", 1, "part"), "0.523"))
    assert (error.source, error.record, error.field) == (SOURCE, 2, "results.part")
    assert str(error).startswith(
        f'{SOURCE}, record 2, field results.part: found "0.523", '
        "expected a number such as 1.234,5 that fits decimal128(9, 3)."
    )


@pytest.mark.parametrize(
    "value",
    [
        "3.22",
        "1.2345,000",
        "1,2345",
        "1234567,000",
        "-1,000",
        "1,",
        ",5",
        "",
        "1e3",
        "NaN",
        "²",
        11.477,
        None,
    ],
)
def test_a_weight_that_is_no_brazilian_number_is_refused(value: object) -> None:
    error = refusal(changed(("results", 0, "part"), value))
    assert (error.record, error.field) == (1, "results.part")


@pytest.mark.parametrize("value", ["1,5", "3688870.616", "3.688.870.61", "1" * 19, 5])
def test_a_quantity_that_is_no_whole_number_is_refused(value: object) -> None:
    assert refusal(changed(("results", 2, "theoricalQty"), value)).field == "results.theoricalQty"
    assert refusal(changed(("header", "theoricalQty"), value)).field == "header.theoricalQty"


@pytest.mark.parametrize(
    "value",
    ["18.296.8033767757", "18.29680337677573", "1,123456789", "9" * 17 + ",0", "9" * 25, "-", "", 1, "\x00"],
)
def test_a_reductor_that_can_be_read_in_no_way_or_in_several_is_null_and_told(value: object) -> None:
    portfolio = read(changed(("header", "reductor"), value))
    assert portfolio.frame["reductor"].isna().all()
    assert list(portfolio.frame["weight"]) == [Decimal("11.477"), Decimal("0.523"), Decimal("88.000")]
    example = ascii(json.dumps(value))
    assert portfolio.oddities == (Oddity("header.reductor", "no number, kept as null", 1, None, example),)


@pytest.mark.parametrize("value", ["88,5235", "a", "", 88.523, ["88,523"]])
def test_a_sectors_weight_that_is_no_number_is_null_and_told(value: object) -> None:
    portfolio = read(changed(("results", 1, "partAcum"), value))
    assert portfolio.frame["sector_weight"].tolist()[::2] == [Decimal("11.477"), Decimal("88.523")]
    assert portfolio.frame["sector_weight"].isna().tolist() == [False, True, False]
    (oddity,) = portfolio.oddities
    assert (oddity.field, oddity.count, oddity.first_record) == ("results.partAcum", 1, 2)


@pytest.mark.parametrize(
    ("field", "column"), [("segment", "sector"), ("asset", "asset"), ("type", "share_class")]
)
@pytest.mark.parametrize(
    ("value", "kept", "what"),
    [
        (5, None, "no text, kept as null"),
        (["A"], None, "no text, kept as null"),
        (
            "A\x00\nB\x7f",
            "A\u2400\u240aB\u2421",
            "characters that cannot be printed, kept as pictures of them",
        ),
        ("A\x92\ud800", "A\ufffd\ufffd", "characters that cannot be printed, kept as pictures of them"),
        ("A" * 300, "A" * 256, "more than 256 characters, of which those are kept"),
    ],
)
def test_an_odd_text_that_only_describes_is_kept_and_told(
    field: str, column: str, value: object, kept: str | None, what: str
) -> None:
    answer = changed(("results", 0, field), value)
    answer["results"][2][field] = value
    page = json.dumps(answer).encode()  # with escapes, which can name half a character
    portfolio = read_portfolio([page], index="IBOV", source=SOURCE)
    values = [None if value is pd.NA else value for value in portfolio.frame[column]]
    assert values[0::2] == [kept, kept]
    assert [
        (oddity.field, oddity.what, oddity.count, oddity.first_record) for oddity in portfolio.oddities
    ] == [(f"results.{field}", what, 2, 1)]
    json.dumps(portfolio.oddities[0].example).encode()


@pytest.mark.parametrize("ticker", ["ZZ\x92A3", "ZZAA3\n", "\ud800", "A" * 257])
def test_a_ticker_that_is_not_printable_is_refused(ticker: str) -> None:
    page = json.dumps(changed(("results", 0, "cod"), ticker)).encode()
    with pytest.raises(InvalidData) as caught:
        read_portfolio([page], index="IBOV", source=SOURCE)
    assert (caught.value.record, caught.value.field) == (1, "results.cod")
    str(caught.value).encode()


@pytest.mark.parametrize("value", ["04/27/26", "27/04/2026", "2026-04-27", "31/04/26", "29/02/23", "", None])
def test_what_is_no_day_month_and_year_is_refused(value: object) -> None:
    assert refusal(changed(("header", "date"), value)).field == "header.date"


@pytest.mark.parametrize("weight", ["11,476", "11,478", "0,000"])
def test_weights_that_do_not_add_up_to_100_are_refused(weight: str) -> None:
    error = refusal(changed(("results", 0, "part"), weight))
    assert error.field == "results.part"
    assert error.expected == "100.000 percent"


def test_quantities_that_differ_from_the_headers_total_are_refused() -> None:
    error = refusal(changed(("results", 2, "theoricalQty"), "101"))
    assert (error.field, error.found) == ("header.theoricalQty", '"9.000.000.600"')
    assert "9000000601" in error.expected


def test_a_ticker_twice_is_refused() -> None:
    error = refusal(changed(("results", 2, "cod"), "ZZBB4"))
    assert (error.field, error.found) == ("results.cod", "'ZZBB4' 2 times")


@pytest.mark.parametrize("ticker", ["", "  ", None, 7])
def test_a_row_without_ticker_is_refused(ticker: object) -> None:
    assert refusal(changed(("results", 1, "cod"), ticker)).field == "results.cod"


def without_last_row(answer: dict[str, Any]) -> None:
    answer["results"].pop()


def without_rows(answer: dict[str, Any]) -> None:
    answer["results"] = []
    answer["page"]["totalRecords"] = 0


def with_more_pages(answer: dict[str, Any]) -> None:
    answer["page"]["totalPages"] = 2


def from_another_page(answer: dict[str, Any]) -> None:
    answer["page"]["pageNumber"] = 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (without_last_row, "page.totalRecords"),
        (without_rows, "page.totalRecords"),
        (with_more_pages, "page.totalPages"),
        (from_another_page, "page.pageNumber"),
    ],
)
def test_pages_or_rows_that_are_missing_are_refused(
    change: Callable[[dict[str, Any]], None], field: str
) -> None:
    answer = copy.deepcopy(ANSWER)
    change(answer)
    assert refusal(answer).field == field


def test_no_page_is_refused() -> None:
    assert refusal().found == "no page"


def test_a_portfolio_that_changed_between_two_pages_is_refused() -> None:
    first, second = (
        copy.deepcopy(ANSWER)
        | {"page": {"pageNumber": number, "pageSize": 2, "totalRecords": 3, "totalPages": 2}}
        for number in (1, 2)
    )
    first["results"], second["results"] = ANSWER["results"][:2], ANSWER["results"][2:]
    read(first, second)
    second["header"]["date"] = "28/04/26"
    error = refusal(first, second)
    assert error.field == "header"
    assert "page 2" in error.found


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html>", b"{", b"\xff\xfe\x00", b'"{"', b"[" * 100_000],
)
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidData) as caught:
        total_pages(content, source=SOURCE)
    assert caught.value.expected == "JSON"


@pytest.mark.parametrize("answer", [None, [], 5, {}, {"results": []}, {"results": [], "page": {}}])
def test_json_that_is_no_portfolio_is_refused(answer: object) -> None:
    with pytest.raises(InvalidData):
        total_pages(body(answer), source=SOURCE)


@pytest.mark.parametrize("value", [0, -1, "1", None, True, 1.0])
def test_a_number_of_pages_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InvalidData) as caught:
        total_pages(body(changed(("page", "totalPages"), value)), source=SOURCE)
    assert caught.value.field == "page.totalPages"


@pytest.mark.parametrize("row", [None, "ZZAA3", []])
def test_a_row_that_is_no_object_is_refused(row: object) -> None:
    assert refusal(changed(("results", 1), row)).record == 2


# --- B3's own


@pytest.mark.real
def test_b3s_portfolio_is_read(b3_files: Path) -> None:
    content = (b3_files / "indexProxy" / "GetPortfolioDay_IBOV_segment2_16-07-24.json").read_bytes()
    portfolio = read_portfolio([content], index="IBOV", source=SOURCE)
    assert portfolio.portfolio_date == date(2024, 7, 16)
    assert len(portfolio.frame) == 86
    assert portfolio.frame["theoretical_quantity"].sum() == 95_381_185_532
    weights = portfolio.frame[["sector", "weight"]].groupby("sector")["weight"].sum()
    stated = portfolio.frame.groupby("sector")["sector_weight"].first()
    assert weights.to_dict() == stated.to_dict()
