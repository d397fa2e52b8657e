"""Runs on what people have: folders of quotes alone or with a bad file, and what a killed run has left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.arguments import SIMULATED
from sandbox.b3.formats import daily_member_name, daily_zip_name, encode_session, zip_file
from sandbox.b3.sources import RecordedFolder, SimulatedSource
from sandbox.console import Show
from sandbox.pipeline import Pipeline, StageError
from sandbox.request import Request
from sandbox.run import run
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

ALONE, BAD = date(2002, 2, 27), date(2002, 2, 26)  # before every portfolio that any test has stored


@pytest.fixture
def folder(in_sandbox: Deployed, tmp_path: Path) -> Iterator[Path]:
    """A folder for files of one's own, of which nothing stays in the lake."""
    yield tmp_path
    remove_sessions(in_sandbox, [ALONE, BAD])
    in_sandbox.sandbox.refresh_lake()


def daily_zip(session: date) -> bytes:
    return zip_file(encode_session(session, quotes_of(session)), daily_member_name(session))


def run_on(deployed: Deployed, folder: Path, session: date, show: Show) -> None:
    with deployed.b3.serving(RecordedFolder(folder, session)):
        run(deployed.sandbox, Request(b3=str(folder), sessions=(session,)), show)


def test_a_folder_with_nothing_but_a_session_s_quotes_goes_through_without_weights(
    in_sandbox: Deployed, folder: Path
) -> None:
    (folder / daily_zip_name(ALONE)).write_bytes(daily_zip(ALONE))
    shown = StringIO()
    run_on(in_sandbox, folder, ALONE, Show(shown))
    lines = [line.strip() for line in shown.getvalue().splitlines()]
    lacking = "GetPortfolioDay_IBOV_segment2_DD-MM-YY.json"
    assert f"no portfolio of the IBOV: {folder} has no {lacking}" in lines
    levels = f"GetPortfolioDay_IBOV_{ALONE.year}.json"
    assert f"no levels of the IBOV: {folder} has no {levels}" in lines
    assert any(
        line.endswith(f"later than session {ALONE}: its index weights and sectors stay null")
        for line in lines
    )
    names = in_sandbox.sandbox.deployment
    found = in_sandbox.pipeline.query(
        f"SELECT sum(lines), count(index_weight), count(sector) FROM {names.refined_compact_table} "  # noqa: S608
        f"WHERE trade_date = DATE '{ALONE}'"
    ).rows
    assert found == [[str(len(quotes_of(ALONE))), "0", "0"]]
    assert (in_sandbox.sandbox.lake / "refined_compact" / f"trade_date={ALONE}").is_dir()


def test_a_file_that_is_cut_is_named_and_what_to_do_with_it(in_sandbox: Deployed, folder: Path) -> None:
    body = daily_zip(BAD)
    (folder / daily_zip_name(BAD)).write_bytes(body[: len(body) // 2])
    with pytest.raises(StageError) as failure:
        run_on(in_sandbox, folder, BAD, Show(StringIO()))
    message = str(failure.value)
    assert message.startswith("the scraper did not take cotahist 2002-02-26: invalid: ")
    assert daily_zip_name(BAD) in message
    assert message.endswith("Put a sound file in its place, or ask for another session by DATE=YYYY-MM-DD")
    assert "\n" not in message
    assert "index_portfolio" not in message  # that the folder lacks it is no failure
    assert '"level":"ERROR"' in failure.value.details.replace('": ', '":')
    names, s3 = in_sandbox.sandbox.deployment, boto3.client("s3")
    for item in s3.list_objects_v2(Bucket=names.raw_bucket, Prefix="quarantine/").get("Contents", []):
        if str(BAD) in item["Key"]:
            s3.delete_object(Bucket=names.raw_bucket, Key=item["Key"])


def test_what_an_interrupted_run_has_left_is_taken_up_by_the_next(
    in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the first session's compact file was there, and before any of the second's was."""
    monkeypatch.setattr(in_sandbox.b3, "now", SimulatedSource(SESSIONS, MARKET))
    pipeline = in_sandbox.pipeline
    before = _files(pipeline)
    _forget(pipeline, SESSIONS[0], "refined_compact")
    _forget(pipeline, SESSIONS[1], "refined_compact")
    _forget(pipeline, SESSIONS[1], "refined")
    assert pipeline.unrefined(SESSIONS) == ({*SESSIONS}, set())
    shown = StringIO()
    run(in_sandbox.sandbox, Request(b3=SIMULATED, sessions=SESSIONS), Show(shown))
    said = "an earlier run has left 2 sessions, 2025-03-12 to 2025-03-13 in the raw bucket alone"
    assert said in shown.getvalue()
    assert _files(pipeline) == before
    assert pipeline.registered_partitions() == pipeline.refined_folders()
    assert pipeline.unrefined(SESSIONS) == (set(), set())


def test_the_lake_is_laid_out_when_a_late_stage_fails(
    in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StageError("a query failed")

    monkeypatch.setattr("sandbox.run.ask", fail)
    laid = in_sandbox.sandbox.lake / "refined_compact"
    laid.unlink()
    with pytest.raises(StageError, match="a query failed"):
        run(in_sandbox.sandbox, Request(b3=SIMULATED, sessions=SESSIONS), Show(StringIO()))
    assert {f"trade_date={session}" for session in SESSIONS} <= {path.name for path in laid.iterdir()}


def _files(pipeline: Pipeline) -> dict[str, str]:
    """The files of both tables for `SESSIONS`, with their ETags."""
    pages = (
        boto3.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=pipeline.deployment.refined_bucket)
    )
    items = [item for page in pages for item in page.get("Contents", [])]
    return {
        item["Key"]: item["ETag"]
        for item in items
        if any(f"trade_date={session}/" in item["Key"] for session in SESSIONS)
    }


def _forget(pipeline: Pipeline, session: date, folder: str) -> None:
    """Take a session's files out of a folder of the refined bucket, and its partitions out of the catalog."""
    names, s3, glue = pipeline.deployment, boto3.client("s3"), boto3.client("glue")
    for key in [key for key in _files(pipeline) if key.startswith(f"{folder}/trade_date={session}/")]:
        s3.delete_object(Bucket=names.refined_bucket, Key=key)
    table: dict[str, Any] = {
        "DatabaseName": names.refined_database,
        "TableName": names.refined_table if folder == "refined" else names.refined_compact_table,
    }
    for page in glue.get_paginator("get_partitions").paginate(**table):
        for partition in page["Partitions"]:
            if partition["Values"][0] == str(session):
                glue.delete_partition(**table, PartitionValues=partition["Values"])
