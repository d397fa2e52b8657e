"""Months of two simulated years by one command that is killed twice, and what lies in the lake then.

`python -m benchmarks decade` does the same with ten whole years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from benchmarks.decade import COMPACT, RAW, TABLE, Attempt, CountingMarket, Figures, Lake, load
from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.b3.years import annual_zip_name
from sandbox.ministack import MiniStack
from scraper.b3.calendar import sessions_between
from tests.leading import lead_to

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("history")]

SESSIONS = sessions_between(date(2023, 11, 1), date(2024, 2, 29))


@dataclass(frozen=True, kw_only=True)
class History:
    """The lake after the load, how the load went, and what the market had made."""

    lake: Lake
    attempts: list[Attempt]
    made: dict[date, Figures]


@pytest.fixture(scope="module")
def history(emulator: MiniStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    market = CountingMarket(tickers=31, quotes=100)
    source = SimulatedSource(SESSIONS, market)
    for year in (2023, 2024):
        assert source.quotes(annual_zip_name(year))
    with B3Server(source) as b3, pytest.MonkeyPatch.context() as environment:
        lead_to(emulator, environment)
        lake = Lake.make("history")
        attempts = load(
            lake,
            b3,
            SESSIONS,
            killed_at=(0.1, 0.4),
            scratch=tmp_path_factory.mktemp("scratch"),
            seen=lambda _: None,
        )
        yield History(lake=lake, attempts=attempts, made=market.figures)


def test_every_session_is_in_raw_once_and_adds_up_to_what_the_market_made(history: History) -> None:
    assert sorted(history.made) == SESSIONS
    assert history.lake.figures(RAW) == history.made


def test_every_session_is_in_the_compact_table_once_with_all_its_lines_and_volume(history: History) -> None:
    assert history.lake.figures(COMPACT) == history.made
    assert history.lake.registered(f"{TABLE}_compact") == dict.fromkeys(SESSIONS, 1)


def test_the_load_was_killed_twice_in_its_midst(history: History) -> None:
    first, second, last = history.attempts
    assert (first.killed, second.killed, last.killed) == (True, True, False)
    assert 0 < first.sessions < second.sessions < last.sessions == len(SESSIONS)


def test_nothing_that_was_uploaded_is_uploaded_again_and_no_finished_year_is_asked_for_again(
    history: History,
) -> None:
    assert history.lake.written_twice() == 0
    first, second, last = history.attempts
    assert not {*first.finished} & {*second.downloads, *last.downloads}
    assert not {*second.finished} & {*last.downloads}
    assert last.finished == (2023, 2024)


def test_one_job_run_refines_the_whole_range(history: History) -> None:
    assert [state for state, _ in history.lake.job_runs()] == ["SUCCEEDED"]
