"""What a dry run says: figures worked out by hand from those that the model names."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from operating.estimate import between, load_of, refinement_of, total
from operating.range_run import RangeRun, Size, size_of
from scraper.history.backfill import Task
from scraper.history.span import Span

YEAR_2024 = Span(date(2024, 1, 1), date(2024, 12, 31))


@pytest.mark.parametrize(
    ("year", "figure"),
    [(1986, 100), (2000, 100), (2005, 150), (2010, 200), (2012, 240), (2015, 300), (2026, 300)],
)
def test_a_figure_lies_in_proportion_between_those_that_are_known(year: int, figure: int) -> None:
    assert between({2000: 100, 2010: 200, 2015: 300}, year) == figure


def test_a_year_s_load_is_its_sessions_times_what_a_session_has() -> None:
    load = load_of(Task(2024, YEAR_2024))
    # 251 sessions of 12,226 quotes
    assert (load.sessions, load.quotes) == (251, 3_068_726)
    assert (load.download_bytes, load.raw_bytes) == (95_130_506, 128_886_492)
    # A PUT a session, two sweeps of the listing, three more listings, the manifest
    assert load.puts == 251 + 2 + 3 + 1
    assert load.request_cost == Decimal("0.001285")
    # 95.1 MB at 2 MB/s, 3.07 million quotes at 2.5 s, 251 sessions at 0.02 s
    assert load.seconds == pytest.approx(47.57 + 7.67 + 5.02, abs=0.01)
    # 0.128886 GB at 0.023
    assert load.storage_cost == pytest.approx(Decimal("0.002964"), abs=Decimal("0.000001"))
    # 60.26 s of 2 GB, and of 1.5 GB of disk beyond what comes with it
    assert load.function_cost == pytest.approx(Decimal("0.0020118"), abs=Decimal("0.000001"))


def test_for_some_days_of_a_year_its_whole_file_is_downloaded() -> None:
    week = load_of(Task(2024, Span(date(2024, 11, 4), date(2024, 11, 8))))
    assert (week.sessions, week.quotes) == (5, 61_130)
    assert week.download_bytes == load_of(Task(2024, YEAR_2024)).download_bytes


def test_loads_add_up() -> None:
    year = load_of(Task(2024, YEAR_2024))
    both = total([year, year])
    assert (both.sessions, both.puts, both.request_cost) == (502, 514, Decimal("0.002570"))
    assert total([]).quotes == 0


def test_a_year_of_wide_partitions_and_their_indexes_is_little_more_than_the_catalog_holds_for_free() -> None:
    wide = refinement_of(YEAR_2024, compact_only=False)
    # 251 sessions of 1,383 tickers, and the compact table's 251 partitions
    assert wide.partitions == 251 * 1_383 + 251
    assert wide.puts == wide.partitions
    assert wide.put_cost == pytest.approx(Decimal("1.737"), abs=Decimal("0.001"))
    # A partition, and its entries in two indexes, are three objects; a compact one is in none
    assert wide.catalog_month_cost == Decimal(3 * 251 * 1_383 + 251 - 1_000_000) / 100_000
    compact = refinement_of(YEAR_2024, compact_only=True)
    assert (compact.partitions, compact.puts) == (251, 251)


def test_forty_years_of_wide_partitions_are_what_the_catalog_charges_for() -> None:
    days = Span(date(1986, 1, 1), date(2025, 12, 31))
    wide = refinement_of(days, compact_only=False)
    # One US dollar a month for each 100,000 objects beyond the first million: each wide partition is in
    # both indexes as well, each compact one in none
    objects = 3 * (wide.partitions - wide.sessions) + wide.sessions
    assert wide.catalog_month_cost == Decimal(objects - 1_000_000) / 100_000
    assert wide.catalog_month_cost > 120
    assert refinement_of(days, compact_only=True).month_cost < 1


def test_a_range_s_workers_grow_with_its_work_and_its_time_out_with_its_time() -> None:
    # A week: 2.5 s of work, and a minute to start
    assert size_of(sessions=5, partitions=6_000, compact_only=True) == Size(2, 62.5 / 60, 30)
    # 2,500 sessions, compact: 1,250 s of work, which is one more worker; 60 + 1,250 / 2 s
    assert size_of(sessions=2_500, partitions=10**6, compact_only=True) == Size(3, 685 / 60, 35)
    # With a million files besides: 10,000 s of the driver's, in which one worker has made the rows
    wide = size_of(sessions=2_500, partitions=10**6, compact_only=False)
    assert wide == Size(2, 10_060 / 60, 503)
    # Of forty years of few papers the rows take longer: 5,000 s, less 2,000, are three workers more
    assert size_of(sessions=10_000, partitions=200_000, compact_only=False) == Size(5, 2_060 / 60, 103)
    assert size_of(sessions=100_000, partitions=0, compact_only=True).workers == 10


def test_a_run_as_a_command_is_what_a_shell_takes() -> None:
    run = RangeRun(Span(date(2024, 1, 2), date(2024, 12, 30)), Size(3, 10.0, 35), compact_only=True)
    assert run.command("refine") == (
        "aws glue start-job-run --job-name refine --arguments "
        '\'{"--start_date":"2024-01-02","--end_date":"2024-12-30","--compact_only":"true"}\' '
        "--worker-type G.1X --number-of-workers 3 --timeout 35 "
        "--notification-property NotifyDelayAfter=17 --job-run-queuing-enabled"
    )
