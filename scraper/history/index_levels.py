"""Loads the levels of indices, year by year: what B3 has of the past.

A year that was written after it had ended is not asked for again, so that an interrupted run goes on where it
was, and a later one asks for the year that goes on alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from scraper.b3.calendar import day_in_sao_paulo
from scraper.b3.client import B3Client
from scraper.b3.errors import ScraperError, message_of
from scraper.daily.ingest import INDEX_LEVEL, Outcome, Result, store_levels
from scraper.history.backfill import Progress
from scraper.history.corporate_actions import ServiceDownError
from scraper.raw.bucket import RawBucket

_FAILURES_IN_A_ROW = 3
"""After so many B3 is left alone."""


class IndexYear(NamedTuple):
    """A year of an index."""

    code: str
    year: int


def years_to_ask(
    raw: RawBucket, index_codes: Sequence[str], first: int, last: int, *, refresh: bool = False
) -> list[IndexYear]:
    """The years of each index that are to be asked for, the oldest first.

    Args:
        raw: The raw bucket.
        index_codes: The indices.
        first: The first year.
        last: The last one.
        refresh: Whether to ask again for what is there.
    """
    wanted = []
    for code in index_codes:
        written = {} if refresh else raw.levels_written(code)
        ended = {year for year, when in written.items() if day_in_sao_paulo(when).year > year}
        wanted += [IndexYear(code, year) for year in range(first, last + 1) if year not in ended]
    return wanted


def load_levels(
    b3: B3Client, raw: RawBucket, wanted: Sequence[IndexYear], *, today: date, progress: Progress
) -> Iterator[tuple[IndexYear, Result]]:
    """Ask for years of indices, one after the other, as the results are taken.

    Args:
        b3: Whom to ask.
        raw: Where to write to.
        wanted: What to ask for.
        today: The day in São Paulo.
        progress: Is told how many years there are, and how many are done.

    Yields:
        Each year and its result. One that fails is a result, too, and is asked again by the next run. That B3
        knows no level of an index in a year, as before there was the index, is `Outcome.NO_SESSION`.

    Raises:
        ServiceDownError: Several have failed one after the other.
    """
    in_a_row = 0
    for done, asked in enumerate(wanted, start=1):
        result = _load(b3, raw, asked, today)
        progress("years", done, len(wanted))
        yield asked, result
        in_a_row = in_a_row + 1 if result.is_error else 0
        if in_a_row == _FAILURES_IN_A_ROW:
            raise ServiceDownError(
                f"{in_a_row} years in a row failed, the last one with: {result.message}. What was taken is "
                "kept: run this again later"
            )


def _load(b3: B3Client, raw: RawBucket, asked: IndexYear, today: date) -> Result:
    try:
        answer = b3.levels(asked.code, asked.year)
        return store_levels(raw, asked.code, asked.year, answer.content, address=answer.url, today=today)
    except (ScraperError, BotoCoreError, ClientError) as error:
        message = message_of(error)
        return Result(source=INDEX_LEVEL, outcome=Outcome.FAILED, index=asked.code, message=message)
