"""A deployment with a KMS key of its own: it is deployed, and a session goes through all the same.

The emulator's CloudFormation leaves the encryption of buckets out, and its S3 asks KMS for nothing: of both
the template says what there is (`tests/stack/test_encryption.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import boto3
import pytest

from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.environment import Sandbox, start
from sandbox.pipeline import JobRun, Pipeline
from tests.leading import lead_to
from tests.sandbox.at_work import roles_at_work
from tests.sandbox.deployed import MARKET

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("own key sandbox")]

SESSION, MORNING = date(2025, 3, 12), datetime(2025, 3, 13, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, list[JobRun]]]:
    """The sandbox after a session, and its job run."""
    with (
        B3Server(SimulatedSource([SESSION], MARKET)) as b3,
        start(
            tmp_path_factory.mktemp("key"),
            b3=b3,
            lookback=1,
            show=Show(StringIO()),
            settings={"kms_key": "create"},
        ) as sandbox,
        pytest.MonkeyPatch.context() as variables,
    ):
        lead_to(sandbox.aws, variables)
        pipeline = Pipeline(sandbox.deployment)
        pipeline.fire(pipeline.schedule(), MORNING)
        yield sandbox, pipeline.watch_job_runs([SESSION], [], seen=lambda _run: None)


@pytest.fixture
def key(own_key: tuple[Sandbox, list[JobRun]]) -> str:
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


def test_a_session_goes_through_with_the_roles_of_the_stack(own_key: tuple[Sandbox, list[JobRun]]) -> None:
    sandbox, job_runs = own_key
    assert [(run.trade_date, run.state, run.message) for run in job_runs] == [(str(SESSION), "SUCCEEDED", "")]
    refused = [call for role in roles_at_work(sandbox).values() for call in role.calls if not call["allowed"]]
    assert refused == []


def test_queue_logs_and_query_results_are_encrypted_by_the_key(
    own_key: tuple[Sandbox, list[JobRun]], key: str
) -> None:
    names = own_key[0].deployment
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
