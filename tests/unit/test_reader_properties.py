"""What holds of the readers for any input, not only for those that somebody thought of.

The plain decoder of `tests.fuzz.naive`, which shares no code with them, says what a damaged text still holds.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sandbox.b3.formats import (
    LAYOUT,
    PortfolioRow,
    Quote,
    encode_levels,
    encode_portfolio,
    encode_quote,
    encode_session,
    zip_file,
)
from scraper.b3.cotahist import reader as cotahist
from scraper.b3.cotahist.reader import read_session, read_text, read_year
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.layout import NEW_BASE
from scraper.b3.index_level.reader import read_levels
from scraper.b3.index_portfolio.reader import read_portfolio, total_pages
from tests.fixtures.quotes import QUOTES, as_read
from tests.fuzz import naive

SESSION = date(2024, 11, 8)
SOURCE = "https://example.org/B3"
POSITIONS = {name.upper(): (first, last) for name, first, last, _ in LAYOUT} | {
    "TIPREG": (1, 2),
    "DATA": (3, 10),
}
LINE_ENDS = st.sampled_from([b"\r\n", b"\n"])
BLOCKS = st.sampled_from([1, 2, 3, 8192])


# --- quotes


@given(
    session=st.dates(min_value=date(1986, 1, 2), max_value=date(2099, 12, 31)),
    quotes=st.lists(QUOTES, max_size=5),
    line_end=LINE_ENDS,
    data=st.data(),
)
def test_any_quotes_come_back_whatever_blanks_their_text_lost_or_gained_at_its_end(
    session: date, quotes: list[Quote], line_end: bytes, data: st.DataObject
) -> None:
    text = encode_session(session, quotes, line_end=line_end, final_line_end=False)
    kept = data.draw(st.just(len(text)) | st.integers(len(text) - 245 + 42, len(text)))
    more = data.draw(st.sampled_from([b"", line_end]) | st.text(" \r\n\x1a", max_size=60).map(str.encode))
    frame = read_session(zip_file(text[:kept] + more, "COTAHIST.TXT"), session=session, source=SOURCE)
    assert frame.to_dict("records") == [as_read(quote) for quote in quotes]


@settings(max_examples=400)
@given(
    quotes=st.lists(QUOTES, min_size=1, max_size=3),
    line_end=LINE_ENDS,
    byte=st.integers(0, 255),
    data=st.data(),
)
def test_a_changed_byte_is_read_as_what_it_says_then_or_refused_by_record_and_field(
    quotes: list[Quote], line_end: bytes, byte: int, data: st.DataObject
) -> None:
    text = encode_session(SESSION, quotes, line_end=line_end)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + bytes([byte]) + text[at + 1 :]
    try:
        expected = list(naive.quotes(changed, SESSION.year))
        wanted = all(day == SESSION for day, _ in expected)
    except naive.Refused:
        wanted = False
    if wanted:
        frame = read_text(changed, session=SESSION, source=SOURCE)
        assert frame.to_dict("records") == [row for _, row in expected]
        return
    with pytest.raises(InvalidData) as caught:
        read_text(changed, session=SESSION, source=SOURCE)
    record, position = divmod(at, 245 + len(line_end))
    if 1 <= record <= len(quotes) and position < 245:
        (touched,) = (name for name, (first, last) in POSITIONS.items() if first <= position + 1 <= last)
        assert (caught.value.record, caught.value.field) == (record + 1, touched)


@given(data=st.binary(max_size=600), beginning=st.sampled_from([b"", b"PK\x03\x04", b"00COTAHIST.2024"]))
def test_any_bytes_are_refused(data: bytes, beginning: bytes) -> None:
    with pytest.raises(InvalidData, match=rf"^{SOURCE}.*: found .*, expected "):
        read_session(beginning + data, session=SESSION, source=SOURCE)


# --- a year

DAYS = st.dates(date(2024, 1, 1), date(2024, 12, 31)) | st.sampled_from([date(2024, 11, 7), SESSION])
"""Of which some come again, in any order."""


def year_text(records: Sequence[tuple[date, Quote]], line_end: bytes) -> bytes:
    name = "COTAHIST.2024BOVESPA 20241230"
    lines = [
        f"00{name}".encode().ljust(245),
        *(encode_quote(quote, day) for day, quote in records),
        f"99{name}{len(records) + 2:011}".encode().ljust(245),
    ]
    return b"".join(line + line_end for line in lines)


@pytest.fixture(scope="module")
def read_in_blocks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes, int], dict[date, list[Any]]]:
    """Reads a year's file in blocks of so many records: its rows by their days."""
    path = tmp_path_factory.mktemp("year") / "COTAHIST_A2024.ZIP"

    def read(content: bytes, block: int) -> dict[date, list[Any]]:
        path.write_bytes(content)
        rows: dict[date, list[Any]] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cotahist, "_BLOCK_RECORDS", block)
            for day, batch in read_year(Path(path), year=2024, source=SOURCE):
                rows.setdefault(day, []).extend(batch.to_pylist())
        return rows

    return read


@given(
    records=st.lists(st.tuples(DAYS, QUOTES), max_size=8),
    line_end=LINE_ENDS,
    block=BLOCKS,
    zipped=st.booleans(),
)
def test_any_quotes_of_any_days_of_a_year_come_back_by_their_days(
    read_in_blocks: Callable[[bytes, int], dict[date, list[Any]]],
    records: list[tuple[date, Quote]],
    line_end: bytes,
    block: int,
    zipped: bool,
) -> None:
    text = year_text(records, line_end)
    found = read_in_blocks(zip_file(text, "COTAHIST_A2024.TXT") if zipped else text, block)
    by_day = itertools.groupby(sorted(records, key=lambda record: record[0]), key=lambda record: record[0])
    assert found == {day: [as_read(quote) for _, quote in group] for day, group in by_day}


@given(
    records=st.lists(st.tuples(DAYS, QUOTES), max_size=5), line_end=LINE_ENDS, block=BLOCKS, data=st.data()
)
def test_a_year_that_lost_its_end_is_refused_wherever_blocks_end(
    read_in_blocks: Callable[[bytes, int], dict[date, list[Any]]],
    records: list[tuple[date, Quote]],
    line_end: bytes,
    block: int,
    data: st.DataObject,
) -> None:
    text = year_text(records, line_end).removesuffix(line_end)
    # Behind its count the trailer has only blanks to lose
    kept = data.draw(st.integers(0, len(text) - 245 + 41))
    with pytest.raises(InvalidData):
        read_in_blocks(text[:kept], block)


# --- portfolios

# B3's texts are read without the blanks around them
_NAMES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)
    .map(str.strip)
    .filter(lambda name: len(name) > 0)
)
_ENCODINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "UTF-8": lambda page: json.dumps(page, ensure_ascii=False).encode(),
    "escaped": lambda page: json.dumps(page).encode(),
    "within a string": lambda page: json.dumps(json.dumps(page)).encode(),
    "after a byte order mark": lambda page: json.dumps(page, ensure_ascii=False).encode("utf-8-sig"),
}


@st.composite
def portfolios(draw: st.DrawFn) -> list[PortfolioRow]:
    """The rows of any portfolio: at least one, of different tickers, of 100.000 percent."""
    cuts = sorted(draw(st.sets(st.integers(1, 99_999), max_size=6)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, 100_000], strict=True)]
    tickers = draw(st.lists(_NAMES, min_size=len(weights), max_size=len(weights), unique=True))
    return [
        PortfolioRow(
            ticker=ticker,
            asset=draw(_NAMES),
            share_class=draw(_NAMES),
            weight=Decimal(weight).scaleb(-3),
            theoretical_quantity=draw(st.integers(0, 10**16)),
            sector=draw(_NAMES),
        )
        for ticker, weight in zip(tickers, weights, strict=True)
    ]


@given(
    day=st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31)),
    rows=portfolios(),
    reductor=st.integers(0, 10**24 - 1).map(lambda number: Decimal(number).scaleb(-8)),
    page_size=st.integers(1, 8),
    by_sector=st.booleans(),
    encoding=st.sampled_from(sorted(_ENCODINGS)),
)
def test_any_portfolio_comes_back_on_any_pages_in_any_encoding(
    *, day: date, rows: list[PortfolioRow], reductor: Decimal, page_size: int, by_sector: bool, encoding: str
) -> None:
    segment = "2" if by_sector else "1"
    pages = encode_portfolio(day, rows, segment=segment, page_size=page_size, reductor=reductor)
    bodies = [_ENCODINGS[encoding](page) for page in pages]
    assert total_pages(bodies[0], source=SOURCE) == len(pages)
    portfolio = read_portfolio(bodies, index="IBOV", source=SOURCE)
    assert portfolio.portfolio_date == day
    found = portfolio.frame.to_dict("records")
    sectors = {
        row.sector: sum((peer.weight for peer in rows if peer.sector == row.sector), Decimal(0))
        for row in rows
    }
    assert {row["ticker"]: row for row in found} == {
        row.ticker: {
            "index_code": "IBOV",
            "ticker": row.ticker,
            "asset": row.asset,
            "share_class": row.share_class,
            "sector": row.sector if by_sector else None,
            "weight": row.weight,
            "sector_weight": sectors[row.sector] if by_sector else None,
            "theoretical_quantity": row.theoretical_quantity,
            "reductor": reductor,
        }
        for row in rows
    }


@given(rows=portfolios(), weight=st.integers(0, 999_999_999), data=st.data())
def test_any_other_weight_of_one_row_is_refused_as_the_sum_is_not_100(
    rows: list[PortfolioRow], weight: int, data: st.DataObject
) -> None:
    (page,) = encode_portfolio(SESSION, rows)
    row = data.draw(st.sampled_from(page["results"]))
    written = f"{weight // 1000},{weight % 1000:03}"
    assume(written != row["part"].replace(".", ""))
    row["part"] = written
    with pytest.raises(InvalidData, match="weights that add up to") as caught:
        read_portfolio([json.dumps(page).encode()], index="IBOV", source=SOURCE)
    assert (caught.value.field, caught.value.expected) == ("results.part", "100.000 percent")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def read_or_refusal(body: bytes) -> pd.DataFrame | InvalidData:
    try:
        return read_portfolio([body], index="IBOV", source=SOURCE).frame
    except InvalidData as error:
        return error


@given(rows=portfolios(), value=_JSON, data=st.data())
def test_any_json_in_the_place_of_a_value_is_refused_or_says_the_same(
    rows: list[PortfolioRow], value: object, data: st.DataObject
) -> None:
    (page,) = encode_portfolio(SESSION, rows)
    before = read_portfolio([json.dumps(page).encode()], index="IBOV", source=SOURCE).frame
    place = data.draw(st.sampled_from([page, page["page"], page["header"], *page["results"]]))
    key = data.draw(st.sampled_from(sorted(place)))
    place[key] = value
    after = read_or_refusal(json.dumps(page).encode())
    if isinstance(after, InvalidData):
        assert str(after).startswith(SOURCE)
        assert len(str(after)) < 500
        return
    # What decides is refused unless it is right; of the rest, each is a column of its own
    changed = {"cod": "ticker", "asset": "asset", "type": "share_class", "segment": "sector"} | {
        "partAcum": "sector_weight",
        "reductor": "reductor",
    }
    kept = [name for name in before.columns if name != changed.get(key)]
    assert after[kept].equals(before[kept])


# --- levels


@settings(max_examples=100)
@given(
    levels=st.dictionaries(
        st.dates(date(2024, 1, 1), date(2024, 12, 31)),
        st.integers(1, 10**18 - 1).map(lambda hundredths: Decimal(hundredths).scaleb(-2)),
        max_size=40,
    ),
    in_english=st.booleans(),
    nested=st.booleans(),
)
def test_any_levels_come_back_exactly_in_either_language_and_say_where_the_base_is_another(
    levels: dict[date, Decimal], in_english: bool, nested: bool
) -> None:
    answer = encode_levels(levels)
    if in_english:
        for row in (answer["min"], answer["max"], *answer["results"]):
            cells = {name: text for name, text in row.items() if isinstance(text, str)}
            row |= {name: text.translate(str.maketrans(",.", ".,")) for name, text in cells.items()}
    text = json.dumps(answer)
    read = read_levels(
        json.dumps(text).encode() if nested else text.encode(), index="IBOV", year=2024, source=SOURCE
    )
    assert read is not None
    assert dict(zip(read.frame["trade_date"], read.frame["level"], strict=True)) == levels
    days = sorted(levels)
    stepped = {
        day for before, day in itertools.pairwise(days) if not 0.5 <= levels[day] / levels[before] <= 2
    }
    noted = read.frame["note"] == NEW_BASE
    assert {*read.frame["trade_date"][noted.fillna(value=False).to_numpy(dtype=bool)]} == stepped


@given(value=_JSON, data=st.data())
def test_whatever_stands_in_a_cell_it_is_refused_or_the_other_levels_are_as_they_were(
    value: Any, data: st.DataObject
) -> None:
    levels = {date(2024, 5, day): Decimal(day) for day in (2, 3, 6)}
    answer = encode_levels(levels) | {"min": None, "max": None}
    day, month = data.draw(st.integers(1, 31)), data.draw(st.integers(1, 12))
    answer["results"][day - 1][f"rateValue{month}"] = value
    try:
        read = read_levels(json.dumps(answer).encode(), index="IBOV", year=2024, source=SOURCE)
    except InvalidData as error:
        assert str(error).startswith(SOURCE)  # noqa: PT017 - or it is read
        return
    assert read is not None
    found = dict(zip(read.frame["trade_date"], read.frame["level"], strict=True))
    changed = {date(2024, month, day)} if (month, day) not in {(2, 30), (2, 31)} and day <= 30 else set()
    others = {each: level for each, level in levels.items() if each not in changed}
    assert {each: level for each, level in found.items() if each not in changed} == others
