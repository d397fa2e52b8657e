"""Reads the daily closes of an index out of B3's answer for a year: a grid of days and months.

A cell is a level as text, in Brazilian format, "101.005,64"; B3 writes "101,005.64" for whoever asks in
English, and with two decimals there is one way to read either. It is read exactly. A blank cell is a day
without a session, or one that has yet to come. B3 gives each month's lowest and highest level, too, so that a
cell that was lost or misread there shows.

Refused: what is not such an answer, or larger than one can be; a grid without exactly the days 1 to 31; a
cell that is no positive number of two decimals, or in another format than the others; a level of a day that
there is not, such as February 30th; a month's lowest or highest level that is not the one that B3 states.

Kept, counted and told (`scraper.b3.oddities`): a level that lies further from the one before it than a day's
move can take it, of which the table says so, too; a month whose lowest and highest level B3 does not state.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from scraper.b3.arrow import arrow_schema, to_frame
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.layout import LEVEL_COLUMNS, NEW_BASE
from scraper.b3.json_answer import Fields, parse
from scraper.b3.oddities import Notes, Oddity

LEVEL_SCHEMA = arrow_schema(LEVEL_COLUMNS)
"""Arrow schema of the levels: of the DataFrame and of the raw Parquet file."""

MAX_BYTES = 2**16
"""Bytes of an answer. That of a year has some 12,000, a fifth more as JSON inside a JSON string."""

_LEVEL = cast(pa.Decimal128Type, LEVEL_SCHEMA.field("level").type)
_DAYS = 31
_MONTHS = range(1, 13)
_STEP = 2
"""By how many times a level may rise or fall in a session. The IBOV's largest moves were of some tens of
percent; a new base divided it by ten at least."""

_BRAZILIAN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3})*|[0-9]+),([0-9]{2})")
_ENGLISH = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})*|[0-9]+)\.([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of an index in a year.

    Attributes:
        index_code: Code of the index that was asked for, such as IBOV; B3's answer does not repeat it.
        year: The year that was asked for, which it does not repeat either.
        frame: A row for each session, in order, with the columns of `LEVEL_COLUMNS` in Arrow types.
        oddities: What was kept although it is odd.
    """

    index_code: str
    year: int
    frame: pd.DataFrame
    oddities: tuple[Oddity, ...] = ()

    @property
    def last(self) -> date | None:
        """The last session that there is a level of; None if there is none."""
        return None if self.frame.empty else self.frame["trade_date"].iloc[-1]


def read_levels(body: bytes, *, index: str, year: int, source: str) -> Levels | None:
    """Reads the levels of a year.

    Args:
        body: The answer: JSON, or a JSON string that holds JSON.
        index: Code of the index that was asked for.
        year: The year that was asked for.
        source: The address that it came from, for messages.

    Returns:
        The levels, of which there may be none; None if B3 knows no index of that code, or none in that year:
        it answers `null`.

    Raises:
        InvalidData: It names the day, and B3's name of the field.
    """
    if len(body) > MAX_BYTES:
        raise InvalidData(source=source, found=f"{len(body)} bytes", expected=f"at most {MAX_BYTES}")
    content = parse(body, source=source)
    if content is None:
        return None
    answer = Fields.of(content, name="answer", source=source)
    notes = Notes()
    numbers = _Numbers()
    levels = {}
    for row in _rows(answer):
        for month in _MONTHS:
            level = numbers.read(row, _field(month))
            if level is not None:
                levels[_day(row, month, year)] = level
    _check_extremes(answer, levels, numbers, notes)
    rows = _with_notes(index, sorted(levels.items()), notes)
    frame = to_frame(pa.RecordBatch.from_pylist(rows, schema=LEVEL_SCHEMA))
    return Levels(index_code=index, year=year, frame=frame, oddities=notes.oddities)


class _Numbers:
    """Reads the numbers of an answer, all of them in the format of the first one."""

    def __init__(self) -> None:
        self._format: re.Pattern[str] | None = None

    def read(self, row: Fields, field: str) -> Decimal | None:
        """A level; None of a blank cell."""
        if row.is_null(field):
            return None
        text = row.text(field)
        if not text:
            return None
        formats = (_BRAZILIAN, _ENGLISH) if self._format is None else (self._format,)
        match = next((match for each in formats if (match := each.fullmatch(text))), None)
        if match is None:
            what = "as the others are" if self._format is not None else "or 1,234.56"
            raise row.invalid(field, f"blank, or a number such as 1.234,56 {what}")
        self._format = match.re
        number = Decimal(re.sub("[.,]", "", match[1]) + "." + match[2])
        if not 0 < number < Decimal(10) ** (_LEVEL.precision - _LEVEL.scale):
            raise row.invalid(field, f"a level above zero that fits {_LEVEL}")
        return number


def _rows(answer: Fields) -> list[Fields]:
    """The rows of the grid, each of which is of another day of the month."""
    results = answer.values.get("results")
    if not isinstance(results, list):
        raise answer.invalid("results", "a list of days")
    rows = [
        Fields.of(result, name="results", source=answer.source, record=number)
        for number, result in enumerate(results, start=1)
    ]
    days = [row.count("day") for row in rows]
    if sorted(days) != [*range(1, _DAYS + 1)]:
        raise InvalidData(
            source=answer.source,
            field="results.day",
            found=_told(days),
            expected=f"each day from 1 to {_DAYS} once",
        )
    return rows


def _told(days: Sequence[int]) -> str:
    missing = [str(day) for day in range(1, _DAYS + 1) if day not in days]
    return f"{len(days)} days" + (f", none of which is {', '.join(missing)}" if missing else "")


def _field(month: int) -> str:
    return f"rateValue{month}"


def _day(row: Fields, month: int, year: int) -> date:
    try:
        return date(year, month, row.values["day"])
    except ValueError as error:
        raise row.invalid(_field(month), f"blank, as {year} has no such day") from error


def _check_extremes(answer: Fields, levels: dict[date, Decimal], numbers: _Numbers, notes: Notes) -> None:
    """Hold each month's lowest and highest level against those that B3 states."""
    for name, extreme in (("min", min), ("max", max)):
        stated = answer.values.get(name)
        row = Fields.of({} if stated is None else stated, name=name, source=answer.source)
        for month in _MONTHS:
            of_month = [level for day, level in levels.items() if day.month == month]
            if not of_month:
                continue
            if row.values.get(_field(month)) in (None, ""):
                row.tell(_field(month), "none stated to hold the month's levels against", notes)
            elif numbers.read(row, _field(month)) != extreme(of_month):
                raise row.invalid(_field(month), f"{extreme(of_month)}, as the month's levels have it")


def _with_notes(index: str, levels: Sequence[tuple[date, Decimal]], notes: Notes) -> list[dict[str, Any]]:
    """The rows of the table."""
    rows = []
    before: Decimal | None = None
    for day, level in levels:
        is_new_base = before is not None and not before <= level * _STEP <= before * _STEP**2
        if is_new_base:
            notes.tell("results.rateValue", NEW_BASE, f"{before} and then {level} on {day}")
        note = NEW_BASE if is_new_base else None
        rows.append({"index_code": index, "trade_date": day, "level": level, "note": note})
        before = level
    return rows
