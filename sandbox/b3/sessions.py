"""Which sessions the simulated market's calendar turns on; they are the exchange's own."""

from datetime import date, timedelta
from functools import lru_cache

from scraper.b3.calendar import sessions_between

_LONGEST_BREAK = timedelta(days=10)  # there is no longer one between two sessions


@lru_cache(maxsize=16_384)
def last_session_until(day: date) -> date:
    """The day, or the last session before it."""
    return sessions_between(day - _LONGEST_BREAK, day)[-1]


@lru_cache(maxsize=1024)
def first_session_of(year: int, month: int) -> date:
    """The first session of a month."""
    first = date(year, month, 1)
    return sessions_between(first, first + _LONGEST_BREAK)[0]
