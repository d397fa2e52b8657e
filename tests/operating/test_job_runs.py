"""The runs of the job, as Glue lists them: what each was asked for, and which is the newest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest

from operating.range_run import RefineJob
from scraper.history.span import Span

DAY = date(2024, 11, 8)


class Glue:
    """Glue's pages of runs, the newest first; the emulator has them otherwise."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.taken = 0

    def get_paginator(self, operation: str) -> Glue:
        assert operation == "get_job_runs"
        return self

    def paginate(self, **_: object) -> Iterator[dict[str, Any]]:
        for page in self.pages:
            self.taken += 1
            yield {"JobRuns": page}


def run(name: str, hour: int | None = 1, **arguments: str) -> dict[str, Any]:
    started = {} if hour is None else {"StartedOn": datetime(2024, 11, 9, hour, tzinfo=UTC)}
    given = {f"--{key}": value for key, value in arguments.items()}
    return {"Id": name, "JobRunState": "RUNNING", "Arguments": given, **started}


def job(*pages: list[dict[str, Any]]) -> RefineJob:
    return RefineJob(cast(Any, Glue(*pages)), "refine")


def test_runs_come_oldest_first_and_one_that_waits_is_the_newest() -> None:
    found = job([run("waiting", None), run("second", 2), run("first", 1)]).runs()
    assert [each.id for each in found] == ["first", "second", "waiting"]


def test_only_so_many_pages_are_asked_for() -> None:
    glue = Glue([run("a")], [run("b")], [run("c")])
    assert len(RefineJob(cast(Any, glue), "refine").runs(2)) == 2
    assert glue.taken == 2


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ({"trade_date": "2024-11-08"}, Span(DAY, DAY)),
        ({"start_date": "2024-11-07", "end_date": "2024-11-08"}, Span(date(2024, 11, 7), DAY)),
        ({}, None),
        ({"start_date": "2024-11-07"}, None),
        ({"trade_date": "yesterday"}, None),
    ],
)
def test_a_run_knows_the_days_that_it_was_asked_for(arguments: dict[str, str], days: Span | None) -> None:
    (found,) = job([run("a", 1, **arguments)]).runs()
    assert (found.days, found.covers(DAY)) == (days, days is not None)
