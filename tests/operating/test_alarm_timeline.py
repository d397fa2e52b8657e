"""When somebody is told that a session did not come: the handler's metrics, evaluated as CloudWatch does it.

The mornings are the schedule's, B3 is simulated, and the metrics are those that the handler printed; the
alarm is the one in the template. Only its evaluation is a model (`alarm_model`). The calendar of November
2024: Friday the 15th was a holiday, and so was Wednesday the 20th.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.b3.server import Answer, B3Server
from scraper.daily.handler import handler
from scraper.daily.ingest import IngestError
from tests.fixtures.both_ends import Log, Shelves
from tests.lambda_functions import CONTEXT
from tests.operating.alarm_model import ALARM, OK, DailyAlarm, Value

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HOURS = (7, 9, 11)
TAKES = timedelta(minutes=15)
"""A run is told at its end: at the latest when Lambda stops it."""

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (date(2024, 11, day) for day in (4, 5, 6, 7, 8))
SATURDAY, SUNDAY = date(2024, 11, 9), date(2024, 11, 10)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), SAO_PAULO)


@dataclass
class Weeks:
    """The scraper, morning by morning, and what CloudWatch gets of it."""

    shelves: Shelves
    log: Log
    values: list[Value] = field(default_factory=list)

    def publish(self, *sessions: date) -> None:
        for session in sessions:
            self.shelves.put_session(session)

    def run(self, scheduled: datetime) -> None:
        """A run of the schedule. Failed files are told of like any others."""
        before = len(self.log.metrics())
        with suppress(IngestError):  # another alarm's
            handler({"scheduled_time": scheduled.isoformat()}, CONTEXT)
        for blob in self.log.metrics()[before:]:
            if "SessionsMissing" in blob:
                (value,) = blob["SessionsMissing"]
                of = datetime.fromtimestamp(blob["_aws"]["Timestamp"] / 1000, SAO_PAULO)
                self.values.append(Value(arrived=scheduled + TAKES, of=of, value=value))

    def morning(self, day: date, hours: tuple[int, ...] = HOURS) -> None:
        for hour in hours:
            self.run(at(day, hour))


@pytest.fixture
def weeks(terminal: None, shelves: Shelves, log: Log, monkeypatch: pytest.MonkeyPatch) -> Weeks:
    """A bucket with the sessions up to Friday, 1 November, and a B3 that has them."""
    monkeypatch.setenv("LOOKBACK_SESSIONS", "3")
    monkeypatch.setenv("SESSION_DEADLINE", "11:30")
    monkeypatch.setenv("CORPORATE_ACTIONS_CALLS", "0")
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    weeks = Weeks(shelves, log)
    weeks.publish(date(2024, 10, 30), date(2024, 10, 31), date(2024, 11, 1))
    weeks.run(at(MONDAY, 7))
    return weeks


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    from tests.stack.synthesis import resources, synthesise  # noqa: PLC0415 - Node starts

    (alarm,) = (
        each["Properties"]
        for _, each in resources(synthesise(), "AWS::CloudWatch::Alarm")
        if each["Properties"]["AlarmName"].endswith("no-new-session")
    )
    found: dict[str, Any] = alarm
    return found


Tell = Callable[[Weeks, datetime], str]


@pytest.fixture
def state(template: dict[str, Any]) -> Tell:
    """The alarm's state at an instant, which is the same however many days CloudWatch asks for."""
    alarms = [DailyAlarm.of_template(template, further_days=days) for days in range(7)]

    def of_all(weeks: Weeks, instant: datetime) -> str:
        (one,) = {alarm.state(weeks.values, instant) for alarm in alarms}
        return one

    return of_all


def half_hours(first: datetime, last: datetime) -> Iterator[datetime]:
    """Every half an hour between two instants, and the minute before each."""
    while first <= last:
        yield from (first - timedelta(minutes=1), first)
        first += timedelta(minutes=30)


def test_a_normal_week_and_its_end_are_quiet(weeks: Weeks, state: Tell) -> None:
    for day in (TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY):
        weeks.publish(day - timedelta(days=1))
        weeks.morning(day)
    weeks.morning(SUNDAY)
    weeks.morning(date(2024, 11, 11))
    for instant in half_hours(at(MONDAY, 12), at(date(2024, 11, 11), 23)):
        assert state(weeks, instant) == OK, instant


def test_a_holiday_that_the_calendar_knows_is_quiet(weeks: Weeks, state: Tell) -> None:
    thursday = date(2024, 11, 14)
    weeks.publish(*(date(2024, 11, day) for day in (12, 13, 14)))
    for day in range(15, 19):  # Friday, the holiday, to Monday
        weeks.morning(date(2024, 11, day))
    assert {value.value for value in weeks.values} == {0}
    for instant in half_hours(at(thursday + timedelta(days=1), 12), at(date(2024, 11, 18), 23)):
        assert state(weeks, instant) == OK, instant


def test_a_session_that_comes_with_the_last_run_of_the_morning_is_quiet(weeks: Weeks, state: Tell) -> None:
    weeks.morning(TUESDAY, (7, 9))
    assert [value.value for value in weeks.values[-2:]] == [1, 1]
    weeks.publish(MONDAY)
    weeks.run(at(TUESDAY, 11))
    for instant in half_hours(at(MONDAY, 12), at(TUESDAY, 23)):
        assert state(weeks, instant) == OK, instant


def test_a_session_that_does_not_come_is_told_from_the_last_run_to_one_in_the_afternoon_that_takes_it(
    weeks: Weeks, state: Tell
) -> None:
    weeks.morning(TUESDAY)
    for instant in half_hours(at(MONDAY, 12), at(TUESDAY, 11)):
        assert state(weeks, instant) == OK, instant
    assert state(weeks, at(TUESDAY, 11, 29)) == OK
    for instant in half_hours(at(TUESDAY, 12), at(WEDNESDAY, 11)):
        assert state(weeks, instant) == ALARM, instant
    assert state(weeks, at(TUESDAY, 11, 30)) == ALARM
    weeks.publish(MONDAY)
    weeks.run(at(TUESDAY, 15))
    assert state(weeks, at(TUESDAY, 15)) == ALARM
    assert state(weeks, at(TUESDAY, 15, 15)) == OK


def test_the_alarm_is_over_when_the_next_morning_brings_both_sessions(weeks: Weeks, state: Tell) -> None:
    weeks.morning(TUESDAY)
    weeks.publish(MONDAY, TUESDAY)
    weeks.morning(WEDNESDAY)
    assert state(weeks, at(WEDNESDAY, 11, 29)) == ALARM
    assert state(weeks, at(WEDNESDAY, 11, 30)) == OK


def test_a_run_in_the_afternoon_does_not_speak_for_the_next_morning(weeks: Weeks, state: Tell) -> None:
    weeks.publish(MONDAY)
    weeks.morning(TUESDAY)
    weeks.run(at(TUESDAY, 15))
    weeks.run(at(TUESDAY, 23))
    weeks.morning(WEDNESDAY)  # without Tuesday's session
    assert state(weeks, at(WEDNESDAY, 11)) == OK
    assert state(weeks, at(WEDNESDAY, 11, 30)) == ALARM


def test_a_holiday_that_the_calendar_does_not_know_is_told_for_a_day(weeks: Weeks, state: Tell) -> None:
    weeks.morning(TUESDAY)  # B3 has no file of Monday, and may still publish it
    weeks.publish(TUESDAY)
    weeks.morning(WEDNESDAY)  # now it would have it
    assert state(weeks, at(TUESDAY, 11, 29)) == OK
    for instant in half_hours(at(TUESDAY, 12), at(WEDNESDAY, 11)):
        assert state(weeks, instant) == ALARM, instant
    assert state(weeks, at(WEDNESDAY, 11, 30)) == OK


def test_a_friday_s_session_that_does_not_come_is_told_on_saturday(weeks: Weeks, state: Tell) -> None:
    weeks.publish(WEDNESDAY, THURSDAY)
    weeks.morning(FRIDAY)
    weeks.morning(SATURDAY)
    assert state(weeks, at(SATURDAY, 11, 29)) == OK
    assert state(weeks, at(SATURDAY, 11, 30)) == ALARM


def test_a_scraper_that_does_not_run_is_told_before_noon_until_it_runs_again(
    weeks: Weeks, state: Tell
) -> None:
    weeks.publish(MONDAY, TUESDAY)  # B3 has everything
    assert state(weeks, at(TUESDAY, 11, 29)) == OK
    for instant in half_hours(at(TUESDAY, 12), at(WEDNESDAY, 11)):
        assert state(weeks, instant) == ALARM, instant
    weeks.morning(WEDNESDAY)
    assert state(weeks, at(WEDNESDAY, 11, 30)) == OK


def test_before_the_first_run_of_a_new_stack_there_is_an_alarm(weeks: Weeks, state: Tell) -> None:
    weeks.values.clear()
    assert state(weeks, at(MONDAY, 15)) == ALARM
    weeks.run(at(MONDAY, 15))
    assert state(weeks, at(MONDAY, 15, 15)) == OK


def test_a_last_run_that_is_lost_does_not_hide_a_session_that_is_missing(weeks: Weeks, state: Tell) -> None:
    weeks.morning(TUESDAY, (7, 9))
    assert state(weeks, at(TUESDAY, 11, 29)) == OK
    assert state(weeks, at(TUESDAY, 11, 30)) == ALARM


@pytest.mark.parametrize("answer", [Answer(status=400), Answer(body=b"no ZIP")], ids=["no B3", "no ZIP"])
def test_a_session_that_cannot_be_had_or_read_is_missing(
    weeks: Weeks, state: Tell, b3: B3Server, answer: Answer
) -> None:
    b3.script("/InstDados/SerHist/COTAHIST_D04112024.ZIP", [answer] * 3)
    weeks.morning(TUESDAY)
    assert state(weeks, at(TUESDAY, 11, 29)) == OK
    assert state(weeks, at(TUESDAY, 11, 30)) == ALARM


def test_without_fill_a_scraper_that_does_not_run_would_be_told_days_later(
    weeks: Weeks, template: dict[str, Any]
) -> None:
    """Why the alarm is on an expression: CloudWatch goes back to the last value that it finds."""
    plain = replace(DailyAlarm.of_template(template, further_days=2), fill=None)
    assert plain.state(weeks.values, at(TUESDAY, 12)) == OK
    assert plain.state(weeks.values, at(WEDNESDAY, 12)) == OK
    assert plain.state(weeks.values, at(THURSDAY, 12)) == ALARM
