"""Which days are trading sessions of B3, in the exchange's own time zone.

The days come from exchange_calendars (code BVMF): from its rules of holidays, as to have it make a whole
calendar takes ten times as long, for opening hours that nobody asks for here. It answers for the days on
which the exchange means to open; whether it did is for B3's site to say, and B3's answer outranks the
calendar.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo

import pandas as pd
from exchange_calendars.exchange_calendar_bvmf import BVMFExchangeCalendar

SAO_PAULO = ZoneInfo("America/Sao_Paulo")

KNOWN_DAYS = (date(2005, 1, 1), date(2031, 12, 31))
"""The days for which the calendar is trusted to tell that a session is missing. Of years before, it misses
days on which the exchange was closed out of turn."""

_SATURDAY = 5
_RULES = BVMFExchangeCalendar.__new__(BVMFExchangeCalendar)


@lru_cache(maxsize=8)
def _sessions_of_decade(first_year: int) -> Mapping[int, list[date]]:
    days = pd.bdate_range(f"{first_year}-01-01", f"{first_year + 9}-12-31")
    closed = _RULES.regular_holidays.holidays(days[0], days[-1]).union(_RULES.adhoc_holidays)
    sessions = (session.date() for session in days.difference(closed))
    return {year: list(of_year) for year, of_year in groupby(sessions, key=lambda session: session.year)}


def _sessions_of(year: int) -> list[date]:
    return _sessions_of_decade(year - year % 10)[year]


def day_in_sao_paulo(now: datetime) -> date:
    """The exchange's calendar day at an instant.

    Args:
        now: An instant with its time zone.

    Raises:
        ValueError: `now` has no time zone, so it names no instant.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now.isoformat()} has no time zone; give it one, such as {now.isoformat()}-03:00")
    return now.astimezone(SAO_PAULO).date()


def sessions_before(now: datetime, count: int) -> list[date]:
    """The latest sessions strictly before the day of `now` in São Paulo, oldest first; the last one is D-1.

    Args:
        now: An instant with its time zone.
        count: How many sessions, at least 1.

    Raises:
        ValueError: `now` has no time zone, or `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"{count} sessions were asked for, expected at least 1")
    today = day_in_sao_paulo(now)
    found: list[date] = []
    year = today.year
    while len(found) < count:
        found = [session for session in _sessions_of(year) if session < today] + found
        year -= 1
    return found[-count:]


def sessions_between(first: date, last: date) -> list[date]:
    """The sessions of a range, both ends included, oldest first.

    They are what the calendar knows of: of years long past it misses days on which the exchange was closed
    out of turn, and has sessions that did not take place.
    """
    return [
        session
        for year in range(first.year, last.year + 1)
        for session in _sessions_of(year)
        if first <= session <= last
    ]


def closed_weekdays(first: date, last: date) -> list[date]:
    """The weekdays of a range, both ends included, that the calendar takes for no sessions, oldest first.

    The calendar may be wrong: B3 moves a holiday, or opens on one.
    """
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    known = set(sessions_between(first, last))
    return [day for day in days if day.weekday() < _SATURDAY and day not in known]


def last_session(now: datetime) -> date:
    """D-1: the last session strictly before the day of `now` in São Paulo.

    Args:
        now: An instant with its time zone.

    Raises:
        ValueError: `now` has no time zone.
    """
    return sessions_before(now, 1)[-1]
