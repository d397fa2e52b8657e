"""A deployment with a KMS key of its own and Athena for Apache Spark: a session goes through all the same.

The emulator's CloudFormation leaves the encryption of buckets out, and its S3 asks KMS for nothing: of both
the template says what there is (`tests/stack/test_encryption.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline
from tests.sandbox.at_work import roles_at_work
from tests.sandbox.deployed import MARKET, morning_after, started

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("options sandbox")]

SESSION = date(2025, 3, 12)


@pytest.fixture(scope="module")
def deployed_so(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, list[JobRun]]]:
    """The sandbox after a session, and its job run."""
    folder, settings = tmp_path_factory.mktemp("options"), {"kms_key": "create", "athena_notebook": "true"}
    with (
        B3Server(SimulatedSource([SESSION], MARKET)) as b3,
        pytest.MonkeyPatch.context() as variables,
        started(folder, b3, variables, lookback=1, settings=settings) as sandbox,
    ):
        pipeline = Pipeline(sandbox.deployment)
        pipeline.fire(pipeline.schedule(), morning_after(SESSION))
        yield sandbox, pipeline.watch_job_runs([SESSION], [])


@pytest.fixture
def key(deployed_so: tuple[Sandbox, list[JobRun]]) -> str:
    """The ARN of the stack's one key."""
    kms = boto3.client("kms")
    found: str
    (found,) = (
        each["KeyArn"]
        for each in kms.list_keys()["Keys"]
        if "BovespaPipeline" in kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"].get("Description", "")
    )
    assert kms.get_key_rotation_status(KeyId=found)["KeyRotationEnabled"]
    return found


def test_a_session_goes_through_with_the_roles_of_the_stack(
    deployed_so: tuple[Sandbox, list[JobRun]],
) -> None:
    sandbox, job_runs = deployed_so
    assert [(run.trade_date, run.state, run.message) for run in job_runs] == [(str(SESSION), "SUCCEEDED", "")]
    refused = [call for role in roles_at_work(sandbox).values() for call in role.calls if not call["allowed"]]
    assert refused == []


def test_queue_logs_and_query_results_are_encrypted_by_the_key(
    deployed_so: tuple[Sandbox, list[JobRun]], key: str
) -> None:
    names = deployed_so[0].deployment
    queue = boto3.client("sqs").get_queue_attributes(
        QueueUrl=names.dead_letter_queue, AttributeNames=["KmsMasterKeyId"]
    )
    assert queue["Attributes"]["KmsMasterKeyId"] == key
    groups = boto3.client("logs").describe_log_groups()["logGroups"]
    of_the_stack = [each for each in groups if "BovespaPipeline" in each["logGroupName"]]
    own = [each for each in of_the_stack if not each["logGroupName"].startswith("/aws/lambda/")]
    assert own
    assert {each["kmsKeyId"] for each in own} == {key}
    workgroup: Any = boto3.client("athena").get_work_group(WorkGroup=names.work_group)["WorkGroup"]
    results = workgroup["Configuration"]["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": key}


@pytest.fixture
def outputs(deployed_so: tuple[Sandbox, list[JobRun]]) -> dict[str, str]:
    """The stack's outputs."""
    (stack,) = json.loads((deployed_so[0].folder / "outputs.json").read_text()).values()
    return dict(stack)


def test_the_workgroup_runs_spark_as_the_role_and_keeps_its_results_in_our_bucket(
    outputs: dict[str, str],
) -> None:
    found = boto3.client("athena").get_work_group(WorkGroup=outputs["SparkWorkGroup"])["WorkGroup"]
    configuration: dict[str, Any] = dict(found["Configuration"])
    assert found["Name"] == "BovespaPipeline-spark"
    assert configuration["EngineVersion"]["SelectedEngineVersion"] == "PySpark engine version 3"
    location = configuration["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{outputs['QueryResultsBucket']}/results/spark"
    role = boto3.client("iam").get_role(RoleName=configuration["ExecutionRole"].rpartition("/")[2])
    (statement,) = role["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "athena.amazonaws.com"}


def test_the_charts_of_the_output_are_a_zip_that_python_imports(
    outputs: dict[str, str], tmp_path: Path
) -> None:
    where = urlsplit(outputs["SparkCharts"])
    archive = tmp_path / "charts.zip"
    boto3.client("s3").download_file(where.netloc, where.path.lstrip("/"), str(archive))
    done = subprocess.run(
        [sys.executable, "-c", "from analysis import charts; print(charts.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(archive / "analysis" / "charts.py")
