"""The function that owns the visual job, as CloudFormation itself calls it, in the emulator."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import WaiterError

from sandbox.ministack import ACCOUNT, MiniStack
from tests.lambda_functions import source

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import WaiterConfigTypeDef
    from mypy_boto3_glue import GlueClient

QUICKLY: WaiterConfigTypeDef = {"Delay": 1, "MaxAttempts": 60}


@pytest.fixture
def glue(aws: MiniStack) -> GlueClient:
    return boto3.client("glue")


@pytest.fixture
def cloudformation(aws: MiniStack) -> CloudFormationClient:
    return boto3.client("cloudformation")


@pytest.fixture
def bucket(aws: MiniStack) -> str:
    """A bucket with the function's code."""
    s3, name = boto3.client("s3"), f"assets-{uuid4()}"
    s3.create_bucket(Bucket=name)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.write(source("visual_job"), "index.py")
    s3.put_object(Bucket=name, Key="owner.zip", Body=code.getvalue())
    return name


def template(bucket: str, job: str, **changes: Any) -> str:
    function = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/owner",
        "Code": {"S3Bucket": bucket, "S3Key": "owner.zip"},
        "Timeout": 60,
    }
    quotes = {"S3ParquetSource": {"Name": "Quotes", "Paths": ["s3://raw/"], "Recurse": True}}
    resource = {
        "ServiceToken": {"Fn::GetAtt": ["Owner", "Arn"]},
        "ServiceTimeout": "60",
        "Name": job,
        "JobMode": "VISUAL",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/refine",
        "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/visual/{job}.py"},
        "Timeout": 20,
        "CodeGenConfigurationNodes": {"node-1": quotes},
        **changes,
    }
    return json.dumps(
        {
            "Resources": {
                "Owner": {"Type": "AWS::Lambda::Function", "Properties": function},
                "Job": {"Type": "Custom::VisualGlueJob", "Properties": resource},
            },
            "Outputs": {"Name": {"Value": {"Ref": "Job"}}},
        }
    )


def job_names(glue: GlueClient) -> set[str]:
    return {job["Name"] for job in glue.get_jobs()["Jobs"]}


def test_a_stack_makes_changes_renames_and_removes_its_job(
    glue: GlueClient, cloudformation: CloudFormationClient, bucket: str
) -> None:
    stack, first, second = (f"visual-{uuid4().hex[:8]}" for _ in range(3))
    cloudformation.create_stack(StackName=stack, TemplateBody=template(bucket, first))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICKLY)
    job = glue.get_job(JobName=first)["Job"]
    assert (job["JobMode"], job["Timeout"]) == ("VISUAL", 20)
    assert job["CodeGenConfigurationNodes"]["node-1"]["S3ParquetSource"]["Recurse"] is True

    for name, timeout, gone in ((first, 25, second), (second, 25, first)):
        changed = template(bucket, name, Timeout=timeout)
        cloudformation.update_stack(StackName=stack, TemplateBody=changed)
        cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICKLY)
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        assert described["Outputs"][0]["OutputValue"] == name
        assert glue.get_job(JobName=name)["Job"]["Timeout"] == timeout
        assert gone not in job_names(glue)

    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICKLY)
    assert not {first, second} & job_names(glue)


def test_an_update_that_is_refused_tells_why_and_leaves_the_job_as_it_was(
    glue: GlueClient, cloudformation: CloudFormationClient, bucket: str
) -> None:
    stack, job = (f"visual-{uuid4().hex[:8]}" for _ in range(2))
    cloudformation.create_stack(StackName=stack, TemplateBody=template(bucket, job))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICKLY)

    cloudformation.update_stack(StackName=stack, TemplateBody=template(bucket, job, Timeout="soon"))
    cloudformation.get_waiter("stack_rollback_complete").wait(StackName=stack, WaiterConfig=QUICKLY)

    assert any(
        "parameter JobUpdate.Timeout, value: soon" in reason for reason in _reasons(cloudformation, stack)
    )
    assert glue.get_job(JobName=job)["Job"]["Timeout"] == 20


def test_a_stack_whose_job_s_name_is_taken_fails_and_leaves_that_job_alone(
    glue: GlueClient, cloudformation: CloudFormationClient, bucket: str
) -> None:
    stack, job = (f"visual-{uuid4().hex[:8]}" for _ in range(2))
    glue.create_job(
        Name=job, Role="theirs", Command={"Name": "glueetl", "ScriptLocation": "s3://theirs/x.py"}
    )

    cloudformation.create_stack(StackName=stack, TemplateBody=template(bucket, job))
    with pytest.raises(WaiterError, match="ROLLBACK"):
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICKLY)

    assert any(
        "exists that this stack did not create" in reason for reason in _reasons(cloudformation, stack)
    )
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICKLY)
    assert glue.get_job(JobName=job)["Job"]["Role"] == "theirs"


def _reasons(cloudformation: CloudFormationClient, stack: str) -> list[str]:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return [event.get("ResourceStatusReason", "") for event in events]
