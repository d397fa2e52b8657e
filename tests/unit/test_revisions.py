"""Two files of a session as multisets of lines."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from sandbox.b3.formats import Quote, encode_session
from scraper.b3.arrow import arrow_schema
from scraper.b3.cotahist.layout import REVISION_COLUMNS
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_text
from scraper.history.revisions import REVISIONS_SCHEMA, Revision, difference, revision_of

FRIDAY = date(2024, 11, 8)
A, B, C = (Quote(codneg=ticker, voltot=Decimal("10.10")) for ticker in ("ZZAA3", "ZZBB4", "ZZCC11"))


def table(*quotes: Quote) -> pa.Table:
    frame = read_text(encode_session(FRIDAY, quotes), session=FRIDAY, source="test")
    return pa.Table.from_pandas(frame, schema=COTAHIST_SCHEMA, preserve_index=False)


def told(daily: Sequence[Quote], annual: Sequence[Quote]) -> Revision:
    return revision_of(FRIDAY, difference(table(*daily), table(*annual)))


def test_the_table_s_schema_is_the_catalog_s() -> None:
    assert REVISIONS_SCHEMA.equals(arrow_schema(REVISION_COLUMNS))


def test_the_order_of_the_lines_is_no_difference() -> None:
    assert len(difference(table(A, B, B, C), table(B, C, B, A))) == 0


def test_a_line_counts_as_often_as_it_stands_in_the_file() -> None:
    lines = difference(table(A, B, B, B), table(A, A, B))
    assert [(line["codneg"], line["file"]) for line in lines.to_pylist()] == [
        ("ZZAA3", "annual"),
        ("ZZBB4", "daily"),
        ("ZZBB4", "daily"),
    ]


@pytest.mark.parametrize(
    ("daily", "annual", "expected"),
    [
        pytest.param([A], [A, B], (0, 1, ("ZZBB4 010: only in the annual file",)), id="added"),
        pytest.param([A, B], [A], (1, 0, ("ZZBB4 010: only in the daily file",)), id="taken back"),
        pytest.param(
            [A, B],
            [B, replace(A, preult=Decimal("10.30"), totneg=7)],
            (1, 1, ("ZZAA3 010: preult 10.20 and then 10.30, totneg 50 and then 7",)),
            id="corrected",
        ),
        pytest.param(
            [replace(A, tpmerc="030", prazot="030")],
            [replace(A, tpmerc="030", prazot="060")],
            (1, 1, ("ZZAA3 030 030: only in the daily file", "ZZAA3 030 060: only in the annual file")),
            id="another term",
        ),
        pytest.param(
            [A, A],
            [replace(A, totneg=7)],
            (2, 1, ("ZZAA3 010: 2 times in the daily file, 1 times in the annual one",)),
            id="several of a key",
        ),
    ],
)
def test_what_differs_is_counted_and_named(
    daily: list[Quote], annual: list[Quote], expected: tuple[int, int, tuple[str, ...]]
) -> None:
    assert A.preult == Decimal("10.20")
    assert A.totneg == 50
    revision = told(daily, annual)
    assert (revision.daily_lines, revision.annual_lines, revision.examples) == expected
    assert Revision.from_json(revision.to_json()) == revision


def test_no_more_than_five_lines_are_named() -> None:
    revision = told([A], [Quote(codneg=f"ZZ{number:02}3") for number in range(40)])
    assert (revision.daily_lines, revision.annual_lines, len(revision.examples)) == (1, 40, 5)


def test_it_is_the_difference_of_multisets_and_the_same_for_any_order() -> None:
    """Against Python's own multisets, over lines of few values, so that many are alike."""
    chance = random.Random(7)  # noqa: S311 - no secret
    for _ in range(20):
        daily, annual = (
            [
                Quote(
                    codneg=chance.choice("AB"),
                    totneg=chance.randint(1, 3),
                    voltot=Decimal(chance.randint(1, 2)),
                )
                for _ in range(chance.randint(1, 30))
            ]
            for _ in range(2)
        )
        lines = difference(table(*daily), table(*annual))
        key = ("codneg", "totneg", "voltot")
        found = {
            file: Counter(
                tuple(line[name] for name in key) for line in lines.to_pylist() if line["file"] == file
            )
            for file in ("daily", "annual")
        }
        sets = [
            Counter((quote.codneg, quote.totneg, quote.voltot) for quote in each) for each in (daily, annual)
        ]
        assert found == {"daily": sets[0] - sets[1], "annual": sets[1] - sets[0]}
        chance.shuffle(daily)
        chance.shuffle(annual)
        assert difference(table(*daily), table(*annual)).equals(lines)
