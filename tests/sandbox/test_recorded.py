"""B3's own files through the deployed pipeline: the figures are those of the files, added up without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest

from sandbox.b3.sources import RecordedFolder
from sandbox.pipeline import ScraperFailedError
from tests.leading import lead_to
from tests.sandbox.deployed import Deployed, morning_after, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.real, pytest.mark.xdist_group("sandbox")]

# Session: quotes, refined tickers, sum of VOLTOT [BRL]; those between: tests/spark/test_refine_real.py
FIGURES = {
    date(2003, 2, 12): (551, 216, Decimal("777444601.48")),
    date(2024, 11, 8): (12_226, 1_383, Decimal("30013494912.34")),
}
PORTFOLIO = date(2024, 7, 16)


@pytest.fixture(scope="module")
def recorded(deployed: Deployed, b3_files: Path) -> Iterator[Deployed]:
    """The sandbox, after the recorded sessions have gone through it."""
    pipeline = deployed.pipeline
    before = pipeline.job_runs()
    with deployed.b3.serving(RecordedFolder(b3_files, date(2024, 11, 8))):
        for session in FIGURES:
            with pytest.raises(ScraperFailedError) as failed:  # of these years there is no level
                pipeline.fire(pipeline.schedule(), morning_after(session))
            assert {file["source"] for file in failed.value.errors} == {"index_level"}
    pipeline.watch_job_runs(list(FIGURES), before)
    yield deployed
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        remove_sessions(deployed, [*FIGURES, PORTFOLIO])


@pytest.mark.parametrize("session", FIGURES)
def test_a_recorded_session_reconciles_to_the_cent(recorded: Deployed, session: date) -> None:
    totals = recorded.pipeline.totals(session)
    quotes, tickers, volume = FIGURES[session]
    assert (totals.quotes, totals.raw_volume) == (quotes, volume)
    assert (totals.tickers, totals.lines, totals.volume) == (tickers, quotes, volume)


def test_the_partitions_of_recorded_sessions_are_their_folders(recorded: Deployed) -> None:
    assert recorded.pipeline.registered_partitions() == recorded.pipeline.refined_folders()


def test_petr4_of_2024_11_08_has_the_figures_of_its_643_lines(
    recorded: Deployed, in_sandbox: Deployed
) -> None:
    file = boto3.client("s3").get_object(
        Bucket=recorded.sandbox.deployment.refined_bucket,
        Key="refined/trade_date=2024-11-08/ticker=PETR4/part-00000.parquet",
    )
    (row,) = pq.read_table(BytesIO(file["Body"].read())).to_pylist()
    assert row["lines"] == 643
    assert row["trades"] == 160_639
    assert row["volume"] == Decimal("1961907532.37")
    assert row["close"] == Decimal("36.18")
    assert row["days_to_expiry"] == 0
    assert row["portfolio_date"] == PORTFOLIO
    assert row["portfolio_age_days"] == 115
