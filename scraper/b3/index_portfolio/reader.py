"""Reads the theoretical portfolio of an index out of the pages of B3's GetPortfolioDay answer.

The portfolio bears the date of its own header, which on a day without a session is the next session's;
the day on which it was fetched says nothing. Values are text in Brazilian format, "1.234,567", and are read
exactly. Refused: what is not such an answer, or larger than one can be; pages that are missing or of
different portfolios; a ticker, weight, quantity or date that is none; a ticker twice; weights that do not add
up to 100.000, or quantities that do not add up to the header's. B3 publishes both sums exactly, so a
difference means rows that were lost or misread.

Kept, counted and told (`scraper.b3.oddities`), as B3 does not serve a portfolio again: a divisor, a sector, a
sector's weight or a name that is none as null, and a text with control characters or too long as text.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Self, cast

import pandas as pd
import pyarrow as pa

from scraper.b3.arrow import arrow_schema, to_frame
from scraper.b3.errors import InvalidData
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS
from scraper.b3.json_answer import Fields, parse, shown
from scraper.b3.oddities import Notes, Oddity

PORTFOLIO_SCHEMA = arrow_schema(PORTFOLIO_COLUMNS)
"""Arrow schema of the portfolio: of the DataFrame and of the raw Parquet file."""

MAX_PAGES = 20
"""Pages of a portfolio, 120 constituents each: ten times B3's largest index."""

MAX_PAGE_BYTES = 2**18
"""Bytes of a page. One of 120 constituents has some 20,000, a fifth more as JSON inside a JSON string. What
JSON becomes in memory can be 24 times its bytes: 6 MiB a page, 120 MiB all of them."""

_WHOLE_INDEX = Decimal("100.000")

_WEIGHT = cast(pa.Decimal128Type, PORTFOLIO_SCHEMA.field("weight").type)
_REDUCTOR = cast(pa.Decimal128Type, PORTFOLIO_SCHEMA.field("reductor").type)
_QUANTITY = pa.decimal128(18, 0)  # any such number fits int64, the type of its column

_NUMBER = re.compile(r"([1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+)(?:,([0-9]+))?")
_REDUCTOR_WITHOUT_COMMA = re.compile(r"([1-9][0-9]{0,2}(?:\.[0-9]{3})+)([0-9]{8})")
_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The theoretical portfolio of an index.

    Attributes:
        index_code: Code of the index that was asked for, such as IBOV; B3's answer does not repeat it.
        portfolio_date: The session of whose opening these are the weights.
        frame: A row for each constituent, in B3's order, with the columns of `PORTFOLIO_COLUMNS` in
            Arrow types.
        oddities: What was kept although it is odd.
    """

    index_code: str
    portfolio_date: date
    frame: pd.DataFrame
    oddities: tuple[Oddity, ...] = ()


def total_pages(page: bytes, *, source: str) -> int:
    """How many pages the answer has of which this is one; at least 1.

    Raises:
        InvalidData: It is no page of a GetPortfolioDay answer, or there are more than `MAX_PAGES`.
    """
    answer = _Answer.parse(page, source=source)
    count = answer.page.count("totalPages")
    if count > MAX_PAGES:
        raise answer.page.invalid("totalPages", f"at most {MAX_PAGES}")
    return count


def read_portfolio(pages: Sequence[bytes], *, index: str, source: str) -> Portfolio:
    """Reads a whole portfolio.

    The reductor is also read with its decimal comma missing ("18.296.80337677573"), as B3 has served it: it
    has eight decimals, so behind whole groups of thousands there is one way to read it, and a portfolio that
    is refused cannot be fetched again on another day. No other value is repaired.

    Args:
        pages: The bodies of all the pages, in order: each is JSON, or a JSON string that holds JSON.
        index: Code of the index that was asked for.
        source: The address that they came from, for messages.

    Raises:
        InvalidData: It names the constituent, counted from 1 over all the pages, and B3's name of the field.
    """
    if len(pages) > MAX_PAGES:
        raise InvalidData(source=source, found=f"{len(pages)} pages", expected=f"at most {MAX_PAGES}")
    answers = [_Answer.parse(page, source=source) for page in pages]
    _check_pages(answers, source=source)
    header = answers[0].header
    results = [result for answer in answers for result in answer.results]
    notes = Notes()
    reductor = None if header.is_null("reductor") else _reductor(header, notes)
    constituents = [
        {
            "index_code": index,
            "ticker": row.text("cod"),
            "asset": row.text_or_null("asset", notes),
            "share_class": row.text_or_null("type", notes),
            "sector": None if row.is_null("segment") else row.text_or_null("segment", notes),
            "weight": row.number("part", _WEIGHT),
            "sector_weight": (
                None if row.is_null("partAcum") else row.number_or_null("partAcum", _WEIGHT, notes)
            ),
            "theoretical_quantity": int(row.number("theoricalQty", _QUANTITY)),
            "reductor": reductor,
        }
        for row in (
            _Row.of(result, name="results", source=source, record=number)
            for number, result in enumerate(results, start=1)
        )
    ]
    _check_constituents(constituents, header)
    frame = to_frame(pa.RecordBatch.from_pylist(constituents, schema=PORTFOLIO_SCHEMA))
    return Portfolio(index_code=index, portfolio_date=_date(header), frame=frame, oddities=notes.oddities)


@dataclass(frozen=True, slots=True)
class _Row(Fields):
    """A JSON object of the answer, with numbers as GetPortfolioDay writes them."""

    def number(self, field: str, decimal: pa.Decimal128Type) -> Decimal:
        """Reads a number in Brazilian format that is exact in the given type."""
        number = _number(self.text(field), decimal)
        if number is None:
            raise self.invalid(field, f"a number such as 1.234,5 that fits {decimal}")
        return number

    def number_or_null(self, field: str, decimal: pa.Decimal128Type, notes: Notes) -> Decimal | None:
        """Reads a number by which nothing is reckoned: null if it is none."""
        value = self.values.get(field)
        number = _number(value.strip(), decimal) if isinstance(value, str) else None
        if number is None:
            self.tell(field, "no number, kept as null", notes)
        return number


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of the answer, of which only the outermost form has been checked."""

    page: _Row
    header: _Row
    results: list[object]

    @classmethod
    def parse(cls, body: bytes, *, source: str) -> Self:
        if len(body) > MAX_PAGE_BYTES:
            raise InvalidData(
                source=source, found=f"a page of {len(body)} bytes", expected=f"at most {MAX_PAGE_BYTES}"
            )
        answer = _Row.of(parse(body, source=source), name="answer", source=source)
        results = answer.values.get("results")
        if not isinstance(results, list):
            raise answer.invalid("results", "a list of constituents")
        return cls(
            page=_Row.of(answer.values.get("page"), name="page", source=source),
            header=_Row.of(answer.values.get("header"), name="header", source=source),
            results=results,
        )


def _check_pages(answers: Sequence[_Answer], *, source: str) -> None:
    if not answers:
        raise InvalidData(source=source, found="no page", expected="every page of the answer")
    rows = sum(len(answer.results) for answer in answers)
    for number, answer in enumerate(answers, start=1):
        for field, expected in (
            ("pageNumber", number),
            ("totalPages", len(answers)),
            ("totalRecords", rows),
        ):
            if answer.page.count(field) != expected:
                raise answer.page.invalid(field, f"{expected}, as the pages say that were read")
        if answer.header.values != answers[0].header.values:
            raise InvalidData(
                source=source,
                field="header",
                found=f"another one on page {number} than on page 1",
                expected="the same on every page",
                advice="B3 may have changed the portfolio between two pages: fetch them all again.",
            )


def _check_constituents(constituents: Sequence[dict[str, Any]], header: _Row) -> None:
    tickers = Counter(constituent["ticker"] for constituent in constituents)
    ticker, times = tickers.most_common(1)[0]
    if times > 1:
        raise InvalidData(
            source=header.source,
            field="results.cod",
            found=f"{ticker!r} {times} times",
            expected="each ticker once",
        )
    if "" in tickers:
        raise InvalidData(source=header.source, field="results.cod", found="a blank", expected="a ticker")
    weight = sum(constituent["weight"] for constituent in constituents)
    if weight != _WHOLE_INDEX:
        raise InvalidData(
            source=header.source,
            field="results.part",
            found=f"weights that add up to {weight}",
            expected=f"{_WHOLE_INDEX} percent",
        )
    quantity = sum(constituent["theoretical_quantity"] for constituent in constituents)
    if quantity != header.number("theoricalQty", _QUANTITY):
        raise header.invalid("theoricalQty", f"{quantity}, the sum of the constituents' quantities")


def _date(header: _Row) -> date:
    match = _DATE.fullmatch(header.text("date"))
    expected = "a date, DD/MM/YY"
    if not match:
        raise header.invalid("date", expected)
    day, month, year = map(int, match.groups())
    try:
        return date(2000 + year, month, day)
    except ValueError as error:
        raise header.invalid("date", expected) from error


def _reductor(header: _Row, notes: Notes) -> Decimal | None:
    value = header.values.get("reductor")
    without_comma = _REDUCTOR_WITHOUT_COMMA.fullmatch(value.strip()) if isinstance(value, str) else None
    repaired = _number(",".join(without_comma.groups()), _REDUCTOR) if without_comma else None
    if repaired is not None:
        notes.tell("header.reductor", "without its decimal comma, which was put back", shown(value))
        return repaired
    return header.number_or_null("reductor", _REDUCTOR, notes)


def _number(text: str, decimal: pa.Decimal128Type) -> Decimal | None:
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    whole, decimals = match[1].replace(".", ""), match[2] or ""
    if len(whole) > decimal.precision - decimal.scale or len(decimals) > decimal.scale:
        return None
    return Decimal(f"{whole}.{decimals}")
