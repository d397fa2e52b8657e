"""Reads what B3's calls say of an issuer's corporate actions.

Values are text in Brazilian format, "1.234,56700000000", and are read exactly; dates are DD/MM/YYYY, of which
31/12/9999 and 01/01/1900 say that there is none. What is alike in all else is numbered: two such rows can be
two real instalments, or one twice, and the reader does not judge.

Refused, whole: what is not such an answer, or larger than one can be, or of another issuer; pages that are
missing; an ISIN, a date, a label that is none; a number in another form than B3's, since a number that is
misread makes a wrong series that looks right. Kept, counted and told (`scraper.b3.oddities`): a number that
is missing as null, and texts that only describe as null or as text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa

from scraper.b3.arrow import arrow_schema
from scraper.b3.corporate_actions.layout import ACTION_COLUMNS, SEEN, Call, Category
from scraper.b3.errors import InvalidData
from scraper.b3.json_answer import Fields, parse
from scraper.b3.oddities import Notes, Oddity

ACTION_SCHEMA = arrow_schema(ACTION_COLUMNS)
"""Arrow schema of corporate actions: of the table and of the raw Parquet file."""

MAX_BYTES = 2**19
"""Bytes of an answer: some 2,300 events of 220 bytes. B3's largest at hand has 44 events in 10,000 bytes."""

MAX_PAGES = 60
"""Pages of a cash history, 99 rows each. Monthly cash of two classes since 1995 comes to eight."""

MAX_HISTORY_BYTES = 2**22
"""Bytes of all pages of a cash history: 99 rows of 330 bytes on each of `MAX_PAGES` come to half of that."""

_NUMBER_TYPE = cast(pa.Decimal128Type, ACTION_SCHEMA.field("rate").type)
_DECIMALS = re.compile(r"((?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+)),([0-9]+)")
_WHOLE = re.compile(r"[0-9]+")
_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_NO_DATE = frozenset({"", "31/12/9999", "01/01/1900"})
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_MAX_SHARES = 10**9

_LISTS = (
    ("cashDividends", Category.CASH),
    ("stockDividends", Category.STOCK),
    ("subscriptions", Category.SUBSCRIPTION),
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Actions:
    """What an answer of B3's says of an issuer.

    Attributes:
        table: A row an event, of `ACTION_SCHEMA`, in the order of all columns.
        trading_name: NOMRES as the supplement has it; None of another call.
        oddities: What was kept although it is odd.
    """

    table: pa.Table
    trading_name: str | None = None
    oddities: tuple[Oddity, ...] = ()


def read_supplement(body: bytes, *, issuer: str, is_fund: bool, seen: date, source: str) -> Actions:
    """Reads GetListedSupplementCompany's answer, or GetListedSupplementFunds'.

    Args:
        body: JSON, or a JSON string that holds JSON: a list with one object, or the object.
        issuer: Issuing code that was asked for.
        is_fund: Whether the funds' call was asked.
        seen: The day on which B3 showed it.
        source: The address that it came from, for messages.

    Raises:
        InvalidData: It names list and field of B3's, and the row, counted from 1 in its list.
    """
    content = _parsed(body, source)
    if content == []:
        return Actions(_table([], issuer, seen))
    if isinstance(content, list):
        if len(content) != 1:
            raise InvalidData(source=source, found=f"{len(content)} issuers", expected="one, in a list")
        (content,) = content
    answer = Fields.of(content, name="answer", source=source)
    if answer.text("code") != issuer:
        raise answer.invalid("code", f"{issuer}, which was asked for")
    notes = Notes()
    call = Call.FUNDS if is_fund else Call.SUPPLEMENT
    rows = [
        {"call": call, "category": category, **_of_supplement(fields, category, notes)}
        for name, category in _LISTS
        for fields in _rows(_listed(answer, name), name, source)
    ]
    name = None if is_fund else answer.text_or_null("tradingName", notes)
    return Actions(_table(rows, issuer, seen), name or None, notes.oddities)


def total_pages(page: bytes, *, source: str) -> int:
    """How many pages the answer of GetListedCashDividends has of which this is one; 0 if it has no rows.

    Raises:
        InvalidData: It is no page of such an answer, or there are more than `MAX_PAGES`.
    """
    total, _ = _totals(_page(page, source))
    return total


def read_cash_history(pages: Sequence[bytes], *, issuer: str, seen: date, source: str) -> Actions:
    """Reads the pages of GetListedCashDividends.

    Args:
        pages: The bodies of all pages, in order.
        issuer: Issuing code of the company whose trading name was asked for.
        seen: The day on which B3 showed them.
        source: The address of the first, for messages.

    Raises:
        InvalidData: It names the row, counted from 1 over all pages, and B3's name of the field.
    """
    size = sum(map(len, pages))
    if size > MAX_HISTORY_BYTES:
        raise InvalidData(
            source=source, found=f"pages of {size} bytes", expected=f"at most {MAX_HISTORY_BYTES}"
        )
    answers = [_page(page, source) for page in pages]
    results = [row for answer in answers for row in _listed(answer, "results")]
    for number, answer in enumerate(answers, start=1):
        total, records = _totals(answer)
        if (max(total, 1), records) != (len(answers), len(results)):
            raise InvalidData(
                source=source,
                field="page",
                found=f"{total} pages and {records} rows on page {number}",
                expected=f"{len(answers)} and {len(results)}, as were read",
            )
    notes = Notes()
    rows = [
        {"call": Call.CASH_HISTORY, "category": Category.CASH, **_of_history(fields, notes)}
        for fields in _rows(results, "results", source)
    ]
    return Actions(_table(rows, issuer, seen), oddities=notes.oddities)


def merge(tables: Iterable[pa.Table]) -> pa.Table:
    """What several answers say together: equal events once, with first and last day on which each was seen.

    Any order of the answers gives the same rows, in the order of all columns.

    Args:
        tables: Of `ACTION_SCHEMA`.
    """
    found: dict[tuple[Any, ...], tuple[date, date]] = {}
    for table in tables:
        for row in table.to_pylist():
            first, last = (row.pop(name) for name in SEEN)
            event = tuple(row.values())
            known = found.get(event, (first, last))
            found[event] = (min(known[0], first), max(known[1], last))
    return _sorted([(*event, *days) for event, days in found.items()])


def _parsed(body: bytes, source: str) -> object:
    if len(body) > MAX_BYTES:
        raise InvalidData(
            source=source, found=f"an answer of {len(body)} bytes", expected=f"at most {MAX_BYTES}"
        )
    return parse(body, source=source)


def _page(body: bytes, source: str) -> Fields:
    return Fields.of(_parsed(body, source), name="answer", source=source)


def _totals(answer: Fields) -> tuple[int, int]:
    """Pages and rows of all pages, as one of them says."""
    page = Fields.of(answer.values.get("page"), name="page", source=answer.source)
    total, records = (page.values.get(name) for name in ("totalPages", "totalRecords"))
    for name, number in (("totalPages", total), ("totalRecords", records)):
        if type(number) is not int or number < 0:
            raise page.invalid(name, "a number from 0 on")
    if cast(int, total) > MAX_PAGES:
        raise page.invalid("totalPages", f"at most {MAX_PAGES}")
    return cast(int, total), cast(int, records)


def _listed(answer: Fields, name: str) -> list[object]:
    """The list of that name; an empty one if it is null."""
    rows = answer.values.get(name, ...)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise answer.invalid(name, "a list of events")
    return rows


def _rows(rows: Iterable[object], name: str, source: str) -> Iterator[Fields]:
    """Rows of a list one after another, as the first that is none ends the reading of however many."""
    return (
        Fields.of(row, name=name, source=source, record=number) for number, row in enumerate(rows, start=1)
    )


def _of_supplement(row: Fields, category: Category, notes: Notes) -> Row:
    common = {
        "isin": _isin(row, "isinCode"),
        "asset_issued": _text(row, "assetIssued", notes),
        "label": _label(row, "label"),
        "approved_on": _date(row, "approvedOn"),
        "last_date_prior": _date(row, "lastDatePrior"),
        "remarks": _text(row, "remarks", notes),
        "quoted_per_shares": 1,
    }
    return common | _OWN[category](row, notes)


_OWN: Mapping[Category, Callable[[Fields, Notes], Row]] = {
    Category.CASH: lambda row, notes: {
        "payment_date": _date(row, "paymentDate"),
        "rate": _number(row, "rate", notes),
        "related_to": _text(row, "relatedTo", notes),
    },
    Category.STOCK: lambda row, notes: {"factor": _number(row, "factor", notes)},
    Category.SUBSCRIPTION: lambda row, notes: {
        "percentage": _number(row, "percentage", notes),
        "price_unit": _number(row, "priceUnit", notes),
        "trading_period": _text(row, "tradingPeriod", notes),
        "subscription_date": _date(row, "subscriptionDate"),
    },
}


def _of_history(row: Fields, notes: Notes) -> Row:
    shares = row.text("quotedPerShares")
    if not _WHOLE.fullmatch(shares) or not 1 <= int(shares) <= _MAX_SHARES:
        raise row.invalid("quotedPerShares", f"a whole number from 1 to {_MAX_SHARES}")
    return {
        "type_stock": _label(row, "typeStock"),
        "label": _label(row, "corporateAction"),
        "approved_on": _date(row, "dateApproval"),
        "last_date_prior": _date(row, "lastDatePriorEx"),
        "rate": _number(row, "valueCash", notes),
        "quoted_per_shares": int(shares),
        "closing_price": _number(row, "closingPricePriorExDate", notes),
        "closing_price_date": _date(row, "dateClosingPricePriorExDate"),
        "ratio": _text(row, "ratio", notes),
        "corporate_action_price": _number(row, "corporateActionPrice", notes),
    }


def _isin(row: Fields, field: str) -> str:
    isin = row.text(field)
    if not _ISIN.fullmatch(isin):
        raise row.invalid(field, "an ISIN")
    return isin


def _label(row: Fields, field: str) -> str:
    label = row.text(field)
    if not label:
        raise row.invalid(field, "a text that is not blank")
    return label


def _text(row: Fields, field: str, notes: Notes) -> str | None:
    """A text that only describes; null if it is blank."""
    return None if row.is_null(field) else row.text_or_null(field, notes) or None


def _date(row: Fields, field: str) -> date | None:
    """A day; None where B3 says that there is none."""
    if row.is_null(field):
        return None
    text = row.text(field)
    if text in _NO_DATE:
        return None
    expected = "a date, DD/MM/YYYY"
    match = _DATE.fullmatch(text)
    if not match:
        raise row.invalid(field, expected)
    day, month, year = map(int, match.groups())
    try:
        return date(year, month, day)
    except ValueError as error:
        raise row.invalid(field, expected) from error


def _number(row: Fields, field: str, notes: Notes) -> Decimal | None:
    """A number that is exact in its column; None, and told, if there is none.

    Without decimals there may be no thousands either: "1.234" would be read in two ways.
    """
    if row.is_null(field) or row.values.get(field) == "":
        row.tell(field, "no number, kept as null", notes)
        return None
    text = row.text(field)
    whole, decimals = text, ""
    if match := _DECIMALS.fullmatch(text):
        whole, decimals = match[1].replace(".", ""), match[2].rstrip("0")
    elif not _WHOLE.fullmatch(text):
        raise row.invalid(field, "a number such as 1.234,5")
    whole = whole.lstrip("0") or "0"
    if len(whole) > _NUMBER_TYPE.precision - _NUMBER_TYPE.scale or len(decimals) > _NUMBER_TYPE.scale:
        raise row.invalid(field, f"a number that fits {_NUMBER_TYPE}")
    return Decimal(f"{whole}.{decimals}")


def _table(rows: Iterable[Row], issuer: str, seen: date) -> pa.Table:
    """The rows, those that are alike numbered."""
    times: dict[tuple[Any, ...], int] = {}
    numbered = []
    for row in rows:
        event = tuple(({"issuer": issuer} | row).get(name) for name in ACTION_SCHEMA.names[:-3])
        times[event] = times.get(event, 0) + 1
        numbered.append((*event, times[event], seen, seen))
    return _sorted(numbered)


def _sorted(rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """The rows in the order of all columns, nulls first."""
    ordered = sorted(rows, key=lambda row: [(value is not None, value) for value in row])
    names = ACTION_SCHEMA.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in ordered], schema=ACTION_SCHEMA)
