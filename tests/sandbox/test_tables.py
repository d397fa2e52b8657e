"""A stack that finds the tables of a pipeline that is gone: told, dropped, and made anew by the job."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from operating import tables
from sandbox.pipeline import JobRun
from tests.sandbox.deployed import SESSIONS, Deployed

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]


def test_a_table_of_a_pipeline_that_is_gone_is_told_dropped_and_made_anew(
    in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names, glue = in_sandbox.sandbox.deployment, boto3.client("glue")
    table: Any = {"DatabaseName": names.refined_database, "Name": names.refined_table}
    before: Any = glue.get_table(**table)["Table"]
    old = {**before["StorageDescriptor"], "Location": "s3://a-pipeline-that-is-gone/refined/"}
    fields = ("Name", "PartitionKeys", "TableType", "Parameters")
    changed: Any = {**{field: before[field] for field in fields}, "StorageDescriptor": old}
    glue.update_table(DatabaseName=names.refined_database, TableInput=changed)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["tables", "--stack", names.work_group, *arguments])
        return tables.main()

    def refine() -> JobRun:
        days = {"--start_date": str(SESSIONS[0]), "--end_date": str(SESSIONS[-1])}
        run = glue.start_job_run(JobName=names.glue_job_name, Arguments=days)["JobRunId"]
        return in_sandbox.pipeline.watch(run)

    failed = refine()
    assert failed.state == "FAILED"
    assert "python -m stacks.tables --drop" in failed.message
    assert run() == 1
    assert "lies in a-pipeline-that-is-gone, which no stack has" in capsys.readouterr().out
    assert run("--drop") == 0
    assert refine().state == "SUCCEEDED"
    assert run() == 0
    assert glue.get_table(**table)["Table"]["StorageDescriptor"]["Location"].startswith(
        f"s3://{names.refined_bucket}/"
    )
    assert {session for session, _ in in_sandbox.pipeline.registered_partitions()} >= {*SESSIONS}
