"""A stack that finds the tables of a pipeline that is gone: told, dropped, and made anew by the job."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from operating import tables
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

    def refine(state: str) -> str:
        runs = [in_sandbox.pipeline.start_job(session) for session in SESSIONS]
        ended = [in_sandbox.pipeline.watch(run, lambda _: None) for run in runs]
        assert {one.state for one in ended} == {state}
        return ended[0].message

    assert "python -m stacks.tables --drop" in refine("FAILED")
    assert run() == 1
    assert "lies in a-pipeline-that-is-gone, which no stack has" in capsys.readouterr().out
    assert run("--drop") == 0
    refine("SUCCEEDED")
    assert run() == 0
    assert glue.get_table(**table)["Table"]["StorageDescriptor"]["Location"].startswith(
        f"s3://{names.refined_bucket}/"
    )
    assert {session for session, _ in in_sandbox.pipeline.registered_partitions()} >= {*SESSIONS}
