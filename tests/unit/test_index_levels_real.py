"""The reader of levels on B3's real answer, where it is at hand (see `b3_files`).

What a cell is to be is taken out of the answer's text by where it stands, as a person would: no figure of
B3's is in here.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.b3.server import LevelsRequest
from sandbox.b3.sources import RecordedFolder
from scraper.b3.calendar import sessions_between
from scraper.b3.index_level.reader import read_levels
from scraper.daily.canary import Canary
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket

pytestmark = pytest.mark.real

YEAR = 2022
SESSIONS = (
    date(2022, 1, 3),  # the first one of the year
    date(2022, 1, 31),  # the last one of a month of 31 days
    date(2022, 4, 29),  # the last one of a month that ends on a Saturday
    date(2022, 11, 30),  # the last one of a month of 30 days
    date(2022, 12, 29),  # the last one of the year
    date(2022, 7, 14),
)
CLOSED = (
    date(2022, 2, 28),  # Monday of carnival
    date(2022, 4, 21),  # a holiday
    date(2022, 11, 2),  # another one
    date(2022, 12, 30),  # the exchange's end of the year
)


@pytest.fixture
def answer(b3_files: Path) -> bytes:
    document = RecordedFolder(b3_files, date(YEAR, 12, 29)).levels(LevelsRequest(index="IBOV", year=YEAR))
    if document is None:
        pytest.skip(f"no levels of {YEAR} in {b3_files}")
    return document.body


def cell(text: str, day: date) -> str:
    """What stands in a cell, in the text."""
    (_, row) = re.split(rf'"day":{day.day},', text.partition('"results"')[2])
    found = re.search(rf'"rateValue{day.month}":("[^"]*"|null)', row)
    assert found
    return found[1]


def test_ten_cells_are_what_the_text_says(answer: bytes) -> None:
    levels = read_levels(answer, index="IBOV", year=YEAR, source="recorded")
    assert levels is not None
    read = dict(zip(levels.frame["trade_date"], levels.frame["level"], strict=True))
    text = answer.decode()
    for day in SESSIONS:
        assert cell(text, day) == f'"{read[day]:,}"'  # this answer is in English
        assert read[day] == read[day].quantize(Decimal("0.01"))
    for day in CLOSED:
        assert cell(text, day) == "null"
        assert day not in read


def test_the_sessions_are_those_of_the_calendar_and_nothing_is_odd_or_new(
    answer: bytes, bucket: Bucket
) -> None:
    levels = read_levels(answer, index="IBOV", year=YEAR, source="recorded")
    assert levels is not None
    assert levels.frame["trade_date"].tolist() == sessions_between(date(YEAR, 1, 1), date(YEAR, 12, 31))
    assert len(re.findall(r'"rateValue\d+":"', answer.decode().partition('"results"')[2])) == len(
        levels.frame
    )
    assert levels.oddities == ()
    assert levels.frame["note"].isna().all()
    assert Canary(RawBucket(bucket.name)).levels(date(YEAR, 12, 29), answer) == ()
