"""D-1 and the sessions before it. The expectations are B3's published trading calendars, by hand."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from exchange_calendars.exchange_calendar_bvmf import BVMFExchangeCalendar

from scraper.b3.calendar import (
    SAO_PAULO,
    closed_weekdays,
    day_in_sao_paulo,
    last_session,
    sessions_before,
    sessions_between,
)


def morning(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 7, tzinfo=SAO_PAULO)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(morning(2024, 11, 12), date(2024, 11, 11), id="a Tuesday: the day before"),
        pytest.param(morning(2024, 11, 11), date(2024, 11, 8), id="a Monday: the Friday before"),
        pytest.param(morning(2024, 11, 10), date(2024, 11, 8), id="a Sunday: the Friday before"),
        pytest.param(morning(2024, 11, 9), date(2024, 11, 8), id="a Saturday: the day before"),
        pytest.param(morning(2024, 11, 18), date(2024, 11, 14), id="after the Republic's day, a Friday"),
        pytest.param(morning(2024, 11, 15), date(2024, 11, 14), id="on a holiday: the session before it"),
        pytest.param(morning(2025, 11, 21), date(2025, 11, 19), id="after Black Awareness Day, from 2024"),
        pytest.param(morning(2023, 11, 21), date(2023, 11, 20), id="Black Awareness Day 2023 was a session"),
        pytest.param(morning(2024, 1, 1), date(2023, 12, 28), id="New Year's Day: no session on 29 December"),
        pytest.param(morning(2025, 1, 2), date(2024, 12, 30), id="after New Year: no session on 31 December"),
        pytest.param(morning(2025, 1, 3), date(2025, 1, 2), id="the year's first session"),
        pytest.param(morning(2024, 2, 13), date(2024, 2, 9), id="Carnival Tuesday: the Friday before"),
        pytest.param(morning(2024, 2, 14), date(2024, 2, 9), id="Ash Wednesday morning: still that Friday"),
        pytest.param(morning(2024, 2, 15), date(2024, 2, 14), id="Ash Wednesday's afternoon is a session"),
        pytest.param(morning(2022, 1, 26), date(2022, 1, 25), id="São Paulo's day is a session since 2022"),
        pytest.param(morning(2021, 1, 26), date(2021, 1, 22), id="and was a holiday before"),
        pytest.param(morning(1986, 1, 7), date(1986, 1, 6), id="COTAHIST's first year"),
    ],
)
def test_the_last_session_is_strictly_before_the_day(now: datetime, expected: date) -> None:
    assert last_session(now) == expected


def test_the_sessions_are_those_of_the_library_s_whole_calendar() -> None:
    first, last = date(1980, 1, 1), date(2059, 12, 31)
    whole = BVMFExchangeCalendar(start=first.isoformat(), end=last.isoformat())
    assert sessions_between(first, last) == [session.date() for session in whole.sessions]


def test_the_day_turns_at_midnight_in_sao_paulo_not_in_utc() -> None:
    # 02:59 UTC on the 12th is 23:59 on the 11th in São Paulo (UTC-3)
    assert last_session(datetime(2024, 11, 12, 2, 59, tzinfo=UTC)) == date(2024, 11, 8)
    assert last_session(datetime(2024, 11, 12, 3, 0, tzinfo=UTC)) == date(2024, 11, 11)


def test_daylight_saving_time_of_its_years_is_observed() -> None:
    # In December 2018 São Paulo was at UTC-2
    assert day_in_sao_paulo(datetime(2018, 12, 5, 1, 59, tzinfo=UTC)) == date(2018, 12, 4)
    assert day_in_sao_paulo(datetime(2018, 12, 5, 2, 0, tzinfo=UTC)) == date(2018, 12, 5)


def test_the_same_instant_in_any_zone_means_the_same_session() -> None:
    tokyo = datetime(2024, 11, 12, 11, 0, tzinfo=timezone(timedelta(hours=9)))
    assert last_session(tokyo) == last_session(tokyo.astimezone(UTC)) == date(2024, 11, 8)


def test_sessions_come_oldest_first_over_the_turn_of_the_year() -> None:
    assert sessions_before(morning(2025, 1, 6), 5) == [
        date(2024, 12, 26),
        date(2024, 12, 27),
        date(2024, 12, 30),
        date(2025, 1, 2),
        date(2025, 1, 3),
    ]


def test_more_sessions_than_a_year_has_are_found() -> None:
    sessions = sessions_before(morning(2025, 1, 2), 600)
    assert len(sessions) == len(set(sessions)) == 600
    assert sessions == sorted(sessions)


def test_a_day_beyond_the_librarys_default_end_is_answered() -> None:
    # That is a year from today. Easter of 2040 is 1 April, so Carnival is 13 and 14 February
    assert last_session(morning(2040, 2, 15)) == date(2040, 2, 10)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="2024-11-12T07:00:00 has no time zone"):
        last_session(datetime(2024, 11, 12, 7))  # noqa: DTZ001 - the point of the test


def test_no_sessions_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="0 sessions were asked for"):
        sessions_before(morning(2024, 11, 12), 0)


def test_the_sessions_of_a_range_include_both_its_ends_over_the_turn_of_the_year() -> None:
    assert sessions_between(date(2024, 12, 27), date(2025, 1, 3)) == [
        date(2024, 12, 27),
        date(2024, 12, 30),
        date(2025, 1, 2),
        date(2025, 1, 3),
    ]
    assert sessions_between(date(2024, 12, 31), date(2025, 1, 1)) == []


def test_the_weekdays_without_a_session_are_the_holidays_not_the_weekends() -> None:
    # 24 December 2024 is a Tuesday; the exchange is closed on the 24th, 25th and 31st, and on 1 January
    assert closed_weekdays(date(2024, 12, 20), date(2025, 1, 2)) == [
        date(2024, 12, 24),
        date(2024, 12, 25),
        date(2024, 12, 31),
        date(2025, 1, 1),
    ]
    assert closed_weekdays(date(2024, 12, 21), date(2024, 12, 22)) == []


def test_years_long_past_have_about_as_many_sessions_as_files() -> None:
    # Weekdays less some ten holidays; the anniversaries of São Paulo and of the Republic among them
    for year in range(1986, 2027):
        assert 244 <= len(sessions_between(date(year, 1, 1), date(year, 12, 31))) <= 252
    assert date(1990, 1, 25) not in sessions_between(date(1990, 1, 1), date(1990, 12, 31))
