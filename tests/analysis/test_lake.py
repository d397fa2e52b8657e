"""The way from a notebook to the lake, and what it says where there is none."""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import Any

import boto3
import pandas as pd
import pytest

from analysis import report
from analysis.athena import Lake, LakeError, source_line
from sandbox.ministack import MiniStack
from tests.analysis.frames import weekdays

NAMES = {
    "WorkGroup": "Group",
    "RefinedDatabase": "refined",
    "RefinedTable": "bovespa_daily",
    "RefinedCompactTable": "daily_compact",
    "JoinedIndex": "SMLL",
    "RawDatabase": "raw",
}


def stack_with(outputs: dict[str, str]) -> str:
    """Create a stack that has these outputs; return its name."""
    name = f"Pipeline{uuid.uuid4().hex}"
    template: dict[str, Any] = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    return name


def lake_of(sessions: list[date]) -> Lake:
    lake = Lake(
        stack="Pipeline",
        work_group="Group",
        database="refined",
        table="daily",
        quotes="raw.cotahist",
        events="events",
        factors="factors",
        levels="raw.index_level",
        index="IBOV",
    )
    lake.__dict__["sessions"] = tuple(sessions)  # what it would have asked the catalog for
    return lake


def test_names_come_from_the_outputs_of_the_stack_that_the_environment_names(aws: MiniStack) -> None:
    name = stack_with(NAMES)
    lake = Lake.find({"STACK_NAME": name})
    assert lake == Lake(
        stack=name,
        work_group="Group",
        database="refined",
        table="daily_compact",
        quotes="raw.cotahist",
        events="bovespa_events",
        factors="bovespa_factors",
        levels="raw.index_level",
        index="SMLL",
    )


def test_prices_that_nobody_knows_of_are_refused() -> None:
    with pytest.raises(LakeError, match="found prices 'adjust', expected total_return, adjusted or traded"):
        lake_of([]).priced("adjust")


def test_a_stack_that_there_is_not_is_named_and_so_is_what_to_set(aws: MiniStack) -> None:
    with pytest.raises(LakeError, match=r"no stack NoSuchStack in this account and region. STACK_NAME"):
        Lake.find({"STACK_NAME": "NoSuchStack"})


def test_without_a_name_it_is_the_stack_that_the_project_deploys(aws: MiniStack) -> None:
    with pytest.raises(LakeError, match="no stack BovespaPipeline"):
        Lake.find({})


def test_another_project_s_stack_is_told_by_what_it_lacks(aws: MiniStack) -> None:
    name = stack_with({"WorkGroup": "Group"})
    with pytest.raises(LakeError, match=f"Stack {name} has no output 'RefinedTable'"):
        Lake.find({"STACK_NAME": name})


def test_a_lake_without_a_session_says_how_to_get_some(aws: MiniStack) -> None:
    with pytest.raises(LakeError, match=r"refined\.daily_compact has no session yet.*backfill"):
        _ = Lake.find({"STACK_NAME": stack_with(NAMES)}).sessions


def test_without_credentials_it_says_where_to_get_some(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(LakeError, match="No AWS credentials were found"):
        Lake.find({})


def test_without_a_region_it_says_so(aws: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(LakeError, match="No AWS region is set"):
        Lake.find({})


def test_a_dead_server_is_named_and_the_report_ends_with_its_reason(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert report.main([]) == 1
    said = capsys.readouterr().err
    assert "No report: Could not connect to the endpoint URL" in said
    assert "Is the sandbox running" in said


def test_a_window_has_the_sessions_up_to_one_and_the_one_before_them() -> None:
    days = weekdays(10)
    window = lake_of(days).window(3, str(days[7]))
    assert window.sessions == tuple(days[5:8])
    assert (window.first, window.last, window.before, window.changes) == (days[5], days[7], days[4], 3)
    assert str(window) == f"3 sessions, {days[5]} to {days[7]}"


def test_a_window_on_a_young_lake_is_what_there_is_and_says_so() -> None:
    days = weekdays(2)
    window = lake_of(days).window(60)
    assert (window.sessions, window.before, window.changes) == (tuple(days), days[0], 1)
    assert str(window) == f"2 sessions, {days[0]} to {days[1]}, of 60 wanted: the lake has no more"


def test_a_session_that_is_not_there_is_told_with_those_near_it() -> None:
    days = weekdays(30)
    near = f"{days[2]}, {days[3]}, {days[4]}, {days[5]}, {days[6]}, {days[7]}"
    with pytest.raises(LakeError, match=f"2031-01-12 is not in .*30 sessions, .*; near it: {near}"):
        lake_of(days).window(1, date(2031, 1, 12))  # a Sunday
    with pytest.raises(LakeError, match=f"It has one session, {days[0]}"):
        lake_of(days[:1]).window(1, days[1])


@pytest.mark.parametrize(
    ("count", "last", "reason"),
    [(0, None, "0 sessions were asked for"), (1, "19/11/2026", "expected a day as YYYY-MM-DD")],
)
def test_a_window_that_makes_no_sense_is_refused(count: int, last: str | None, reason: str) -> None:
    with pytest.raises(LakeError, match=reason):
        lake_of(weekdays(3)).window(count, last)


@pytest.mark.parametrize(
    ("language", "simulated", "first", "line"),
    [
        ("en", False, date(2031, 1, 7), "Source: B3, COTAHIST; session of 7 Jan 2031"),
        ("pt", False, date(2030, 12, 2), "Fonte: B3, COTAHIST; 2 dez 2030 a 7 jan 2031"),
        (
            "en",
            True,
            date(2031, 1, 7),
            "Simulated data: no company or price is anybody's; session of 7 Jan 2031",
        ),
        (
            "pt",
            True,
            date(2031, 1, 7),
            "Dados simulados: nenhuma empresa ou preço é real; pregão de 7 jan 2031",
        ),
    ],
)
def test_what_stands_below_a_chart_tells_source_and_days(
    language: str, simulated: bool, first: date, line: str
) -> None:
    shown = source_line(language, first, date(2031, 1, 7), simulated=simulated)
    assert shown.replace("\u00a0", " ") == line


def test_a_window_knows_which_sessions_of_the_exchange_it_lacks() -> None:
    # Friday the 29th was a holiday
    days = [date(2024, 3, day) for day in (21, 22, 25, 28)] + [date(2024, 4, 1)]
    window = lake_of(days).window(3)
    assert window.sessions == (date(2024, 3, 25), date(2024, 3, 28), date(2024, 4, 1))
    assert list(window.missing_before.values()) == [0, 2, 0]
    assert (window.missing, window.changes, window.previous) == (2, 2, date(2024, 3, 28))
    assert window.numbers == (
        "(DATE '2024-03-22', 0, 0), (DATE '2024-03-25', 1, 0), "
        "(DATE '2024-03-28', 4, 2), (DATE '2024-04-01', 5, 2)"
    )
    assert str(window).endswith("; between them the lake lacks 2 of the exchange's")
    marked = window.marked(pd.DataFrame({"trade_date": [days[-1], days[-2]]}))
    assert list(marked["missing_before"]) == [0, 2]


def test_the_exchange_s_previous_session_is_known_where_the_lake_lacks_it() -> None:
    window = lake_of([date(2021, 3, 26), date(2023, 1, 17)]).window(60)
    assert window.previous == date(2023, 1, 16)
    assert window.missing_before[window.last] == window.missing > 400
    alone = lake_of([date(2023, 1, 17)]).window(60)
    assert (alone.previous, alone.missing_before) == (None, {date(2023, 1, 17): None})


def test_before_the_calendar_no_session_is_missing() -> None:
    window = lake_of([date(1999, 3, 26), date(2001, 1, 17)]).window(60)
    assert (window.missing, window.previous) == (0, date(1999, 3, 26))


def test_a_window_does_not_reach_back_to_another_currency() -> None:
    days = [date(1994, 6, 30), date(1994, 7, 1), date(1994, 7, 4), date(1994, 7, 5)]
    window = lake_of(days).window(60)
    assert (window.sessions, window.before, window.changes) == ((days[2], days[3]), days[2], 1)
    assert lake_of(days).window(1, days[2]).missing_before == {days[2]: None}
    assert lake_of(days).window(60, days[1]).sessions == (days[0], days[1])
