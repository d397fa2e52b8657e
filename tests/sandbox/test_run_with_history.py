"""A run of the sandbox that is asked for history: what it loads, what it checks, and what it does not repeat.

Expectations come from the quotes that the market generated and from AWS's APIs. What is loaded is taken out
of the lake at the end: other tests ask for all of its sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO

import boto3
import pytest

from sandbox.arguments import SIMULATED
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.pipeline import Partition, StageError
from sandbox.request import Request
from sandbox.run import run
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of, remove_sessions
from tests.sandbox.history import levels_put_back

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = tuple(date(2024, 12, day) for day in (20, 23, 26, 27, 30))
"""Of the year before the one of whose levels the morning asks."""
REQUEST = Request(b3=SIMULATED, sessions=SESSIONS, history=HISTORY)


@dataclass(frozen=True, kw_only=True)
class WithHistory:
    """The sandbox after the run, what the run has shown, and how many job runs it has started.

    Other tests may have left sessions of their own: `before` has those of the compact table, `wide_before`
    the partitions of the wide one, as they were before the run.
    """

    deployed: Deployed
    shown: list[str]
    job_runs: int
    before: list[date]
    wide_before: set[Partition]

    def run_again(self) -> list[str]:
        """Run the same once more; return what is shown."""
        shown = StringIO()
        run(self.deployed.sandbox, REQUEST, Show(shown), b3=self.deployed.server)
        return shown.getvalue().splitlines()

    def ask(self, columns: str, session: date) -> tuple[str | None, ...]:
        """One row of the compact table's session."""
        names = self.deployed.sandbox.deployment
        of_session = f"FROM {names.refined_compact_table} WHERE trade_date = DATE '{session}'"
        return tuple(self.deployed.pipeline.query(f"SELECT {columns} {of_session}").rows[0])


@pytest.fixture(scope="module")
def with_history(deployed: Deployed) -> Iterator[WithHistory]:
    source = SimulatedSource([*HISTORY, *SESSIONS], MARKET)
    with (
        deployed.b3.serving(source),
        pytest.MonkeyPatch.context() as environment,
        ExitStack() as stack,
    ):
        lead_to(deployed.sandbox.aws, environment)
        stack.enter_context(levels_put_back(deployed, empty=True))
        pipeline, shown = deployed.pipeline, StringIO()
        job_runs, before = len(pipeline.job_runs()), pipeline.registered_sessions()
        wide_before = pipeline.registered_partitions()
        run(deployed.sandbox, REQUEST, Show(shown), b3=deployed.server)
        yield WithHistory(
            deployed=deployed,
            shown=shown.getvalue().splitlines(),
            job_runs=len(pipeline.job_runs()) - job_runs,
            before=before,
            wide_before=wide_before,
        )
        remove_sessions(deployed, HISTORY)
        deployed.sandbox.refresh_lake()


def test_history_is_loaded_by_one_range_run_into_the_compact_table_alone(with_history: WithHistory) -> None:
    pipeline = with_history.deployed.pipeline
    assert with_history.job_runs == 1
    assert not {*HISTORY} & {*with_history.before}
    assert pipeline.registered_sessions() == sorted([*HISTORY, *with_history.before])
    assert pipeline.registered_partitions() == with_history.wide_before


@pytest.mark.parametrize("session", HISTORY)
def test_a_session_of_history_has_the_sums_of_its_quotes_and_the_weights_of_the_index(
    with_history: WithHistory, session: date
) -> None:
    lines, volume, weight = with_history.ask("sum(lines), sum(volume), sum(index_weight)", session)
    quotes = quotes_of(session)
    assert (int(lines or 0), Decimal(volume or 0)) == (len(quotes), sum(quote.voltot for quote in quotes))
    # Every constituent of the simulated index trades every session
    assert Decimal(weight or 0) == 100


def test_the_levels_of_a_former_year_come_with_its_sessions(with_history: WithHistory) -> None:
    names = with_history.deployed.sandbox.deployment
    levels = f"FROM {names.raw_database}.index_level WHERE trade_date < DATE '2025-01-01' ORDER BY trade_date"
    rows = with_history.deployed.pipeline.query(f"SELECT trade_date, level {levels}").rows
    assert rows == [[str(day), str(MARKET.level(day))] for day in HISTORY]


def test_the_run_shows_the_command_and_that_both_tables_agree(with_history: WithHistory) -> None:
    shown = with_history.shown
    stage = shown[shown.index("History, 2024-12-20 to 2024-12-30") :]
    assert stage[1:4] == [
        "  python -m scraper backfill --corporate-actions",
        "  python -m scraper backfill --index-levels --from 2024 --to 2024",
        "  python -m scraper backfill --from 2024-12-20 --to 2024-12-30 --compact-only",
    ]
    # How many depends on what was asked of this sandbox before
    assert any(re.fullmatch(r"  [\d,]+ issuers asked by [\d,]+ calls  .*  0 failed", line) for line in stage)
    quotes = [quote for session in HISTORY for quote in quotes_of(session)]
    volume = sum(quote.voltot for quote in quotes)
    sums = f"5 sessions, {len(quotes):,} quotes, volume {volume:,} BRL in both"
    agreed = f"  history in raw and compact table: {sums}"
    assert any(line.startswith(agreed) for line in stage)


def test_a_lake_that_has_the_history_loads_nothing_anew(with_history: WithHistory) -> None:
    names, s3 = with_history.deployed.sandbox.deployment, boto3.client("s3")

    def versions() -> list[str]:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=names.raw_bucket)
        return sorted(version["VersionId"] for page in pages for version in page.get("Versions", []))

    before = versions(), len(with_history.deployed.pipeline.job_runs())
    assert "  the lake has all of it: nothing to load" in with_history.run_again()
    assert (versions(), len(with_history.deployed.pipeline.job_runs())) == before


def compact_file(session: date) -> tuple[str, str, bytes]:
    """The bucket, key and bytes of a session's file in the compact table."""
    s3 = boto3.client("s3")
    (bucket,) = (name for each in s3.list_buckets()["Buckets"] if "refined" in (name := each["Name"]))
    where = f"refined_compact/trade_date={session}/"
    (item,) = s3.list_objects_v2(Bucket=bucket, Prefix=where)["Contents"]
    return bucket, item["Key"], s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()


def test_history_that_raw_and_compact_table_disagree_on_fails_the_run(with_history: WithHistory) -> None:
    s3 = boto3.client("s3")
    bucket, key, body = compact_file(HISTORY[2])
    s3.put_object(Bucket=bucket, Key=key, Body=compact_file(HISTORY[3])[2])
    try:
        with pytest.raises(StageError, match=r"1 sessions do not add up .* first is 2024-12-26"):
            with_history.run_again()
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def test_history_that_an_earlier_run_has_loaded_and_not_refined_is_taken_up(
    with_history: WithHistory,
) -> None:
    names, s3 = with_history.deployed.sandbox.deployment, boto3.client("s3")
    bucket, key, body = compact_file(HISTORY[2])
    s3.delete_object(Bucket=bucket, Key=key)
    boto3.client("glue").delete_partition(
        DatabaseName=names.refined_database,
        TableName=names.refined_compact_table,
        PartitionValues=[str(HISTORY[2])],
    )
    shown = "\n".join(with_history.run_again())
    assert "an earlier run has left history, 2024-12-26, in the raw bucket alone: the job is started" in shown
    assert "--start_date 2024-12-26 --end_date 2024-12-26 --compact_only true  SUCCEEDED" in shown
    assert compact_file(HISTORY[2]) == (bucket, key, body)
    assert HISTORY[2] in with_history.deployed.pipeline.registered_sessions()
