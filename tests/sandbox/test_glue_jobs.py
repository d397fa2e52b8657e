"""Definitions of Glue jobs in the emulator: kept whole, replaced whole, as on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest

from sandbox.ministack import ACCOUNT, REGION, MiniStack

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import JobCommandTypeDef

COMMAND: JobCommandTypeDef = {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": "s3://bucket/job.py"}


def nodes(source: str) -> dict[str, Any]:
    return {"node-1": {"S3ParquetSource": {"Name": "Quotes", "Paths": [source], "Recurse": True}}}


@pytest.fixture
def glue(aws: MiniStack) -> GlueClient:
    return boto3.client("glue")


@pytest.fixture
def job(glue: GlueClient) -> Iterator[str]:
    name = f"refine-{uuid4()}"
    glue.create_job(
        Name=name,
        Role="refine",
        Command=COMMAND,
        Description="The first one",
        JobMode="VISUAL",
        JobRunQueuingEnabled=True,
        ExecutionProperty={"MaxConcurrentRuns": 1},
        CodeGenConfigurationNodes=nodes("s3://raw/"),
        Tags={"project": "bovespa"},
    )
    yield name
    glue.delete_job(JobName=name)


def tags_of(glue: GlueClient, job: str) -> dict[str, str]:
    return glue.get_tags(ResourceArn=f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job}")["Tags"]


def test_a_job_keeps_its_graph_mode_and_queue(glue: GlueClient, job: str) -> None:
    made = glue.get_job(JobName=job)["Job"]
    assert made["JobMode"] == "VISUAL"
    assert made["JobRunQueuingEnabled"] is True
    assert made["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert made["CodeGenConfigurationNodes"] == nodes("s3://raw/")
    assert tags_of(glue, job) == {"project": "bovespa"}


def test_an_update_replaces_all_but_a_graph_that_it_does_not_mention(glue: GlueClient, job: str) -> None:
    before = glue.get_job(JobName=job)["Job"]
    glue.start_job_run(JobName=job)
    glue.update_job(JobName=job, JobUpdate={"Role": "other", "Command": COMMAND})
    after = glue.get_job(JobName=job)["Job"]
    assert (after["Role"], after["CreatedOn"]) == ("other", before["CreatedOn"])
    assert not after.get("Description")
    assert "JobMode" not in after
    assert after["CodeGenConfigurationNodes"] == nodes("s3://raw/")
    assert tags_of(glue, job) == {"project": "bovespa"}
    assert len(glue.get_job_runs(JobName=job)["JobRuns"]) == 1


@pytest.mark.parametrize("graph", [nodes("s3://other/"), {}])
def test_an_update_with_a_graph_replaces_it_and_with_an_empty_one_removes_it(
    glue: GlueClient, job: str, graph: dict[str, Any]
) -> None:
    glue.update_job(
        JobName=job, JobUpdate={"Role": "refine", "Command": COMMAND, "CodeGenConfigurationNodes": graph}
    )
    assert glue.get_job(JobName=job)["Job"].get("CodeGenConfigurationNodes", {}) == graph


def test_an_update_of_a_job_that_does_not_exist_is_refused(glue: GlueClient) -> None:
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.update_job(JobName="none", JobUpdate={"Role": "refine", "Command": COMMAND})
