"""A second opinion on every policy of the stack: parliament's, whose tables of actions are not cfn-lint's.

cfn-lint knows the actions and, where they are written out, the resources (`test_checks.py`). Here every
function of CloudFormation is made the ARN that it stands for, so that each action is held against the
resource that it is allowed on, and each condition against the action. parliament is of `make audit`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.synthesis import RENAMED, synthesise

ACCOUNT, REGION = "111122223333", "sa-east-1"
_HERE = f"{REGION}:{ACCOUNT}"
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
_ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{_HERE}:alarm:",
    "AWS::Events::Rule": f"arn:aws:events:{_HERE}:rule/",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:",
    "AWS::S3::Bucket": "arn:aws:s3:::",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:",
}

ACKNOWLEDGED = {
    # An identity's trust has no resource, which parliament asks of any policy
    ("MALFORMED", "Statement contains neither Resource nor NotResource"): "trust",
    # In a key's policy the one resource is the key, written as a star
    ("RESOURCE_STAR", "kms:"): "key",
    # CloudWatch Logs gives this condition with every use of a key, as its guide's own policy has it
    ("MISMATCHED_TYPE", "ArnLike requires a value of type Arn but given String"): "key",
    ("UNKNOWN_CONDITION_FOR_ACTION", "kms:EncryptionContext:aws:logs:arn for action kms:DescribeKey"): "key",
    # The CDK's statement is about s3:*, and a few of its actions know no TLS
    ("UNKNOWN_CONDITION_FOR_ACTION", "s3:TlsVersion for action s3:"): "bucket",
    # Athena's own example of the role of a Spark workgroup grants them so
    ("RESOURCE_MISMATCH", "athena:ListExecutors"): "SparkNotebooks",
    ("RESOURCE_MISMATCH", "logs:DescribeLogGroups"): "SparkNotebooks",
}
"""Findings that are none: of each the issue, what its detail has in it, and the policies that it is about."""

STACKS = [
    {"athena_notebook": "true"},
    {"glue_job_mode": "visual"},
    RENAMED,  # of Spark's role, too, what it may do with a key
    {"glue_job_mode": "visual", "kms_key": "create"},
]
"""Each role of each mode, without a key and with one: that of a given one differs in nothing but the key
(`test_encryption.py`)."""


def policies(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy of a template, by what it is of, with its functions resolved."""
    resources = template["Resources"]
    kinds = {
        "AWS::IAM::Policy": ("PolicyDocument", ""),
        "AWS::IAM::Role": ("AssumeRolePolicyDocument", "trust-"),
        "AWS::KMS::Key": ("KeyPolicy", "key-"),
        "AWS::S3::BucketPolicy": ("PolicyDocument", "bucket-"),
        "AWS::SNS::TopicPolicy": ("PolicyDocument", "topic-"),
        "AWS::SQS::QueuePolicy": ("PolicyDocument", "queue-"),
    }
    for name, resource in resources.items():
        place, prefix = kinds.get(resource["Type"], ("", ""))
        if place:
            yield f"{prefix}{name}", resolve(resource["Properties"][place], resources)


def resolve(value: Any, resources: dict[str, Any]) -> Any:
    """A value of a template with its functions made what they stand for, names made up."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), "Arn"]}:
            return _PSEUDO.get(name) or _name(name, resources[name]["Type"], is_arn="Ref" not in value)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(resolve(part, resources) for part in parts)
        case {"Fn::Sub": str(pattern)}:
            return re.sub(r"\$\{(.+?)\}", lambda name: _PSEUDO[name[1]], pattern)
        case dict():
            return {key: resolve(each, resources) for key, each in value.items()}
        case list():
            return [resolve(each, resources) for each in value]
    return str(round(value)) if isinstance(value, float) else value  # parliament knows whole numbers alone


def _name(logical_id: str, kind: str, *, is_arn: bool) -> str:
    """A name or an ARN made of a logical id; what a topic's Ref gives is its ARN."""
    name = logical_id.lower()
    if not is_arn and kind != "AWS::SNS::Topic":
        return name
    return f"{_ARNS[kind]}{name}" + (":*" if kind == "AWS::Logs::LogGroup" else "")


@pytest.fixture(scope="module")
def parliament() -> str:
    """The command."""
    command = os.environ.get("PARLIAMENT") or shutil.which("parliament")
    if command is None:
        pytest.skip("no parliament on PATH (nor named by PARLIAMENT); `make audit` installs and runs it")
    return command


@pytest.mark.parametrize("settings", STACKS, ids=", ".join)
def test_every_policy_is_resolved_to_arns(settings: dict[str, Any]) -> None:
    template = synthesise(**settings)
    found = dict(policies(template))
    kinds = {each["Type"] for each in template["Resources"].values()}
    assert {kind for kind in kinds if kind.endswith("Policy")} <= {
        *("AWS::IAM::Policy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy")
    }
    assert len(found) > 15
    assert "Fn::" not in json.dumps(found)
    named = {
        resource
        for policy in found.values()
        for statement in policy["Statement"]
        for resource in _listed(statement.get("Resource", []))
    }
    assert named
    assert {
        resource for resource in named if resource != "*" and not resource.startswith("arn:aws:")
    } == set()


@pytest.mark.parametrize("settings", STACKS, ids=", ".join)
def test_parliament_finds_nothing_that_is_not_acknowledged(
    parliament: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    for name, policy in policies(synthesise(**settings)):
        (tmp_path / f"{name}.json").write_text(json.dumps(policy))
    assert findings(parliament, tmp_path) == []


def test_parliament_would_find_an_action_on_a_resource_that_it_is_not_about(
    parliament: str, tmp_path: Path
) -> None:
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::raw"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    (tmp_path / "Intruder.json").write_text(json.dumps(document))
    ((issue, detail),) = findings(parliament, tmp_path)
    assert issue == "RESOURCE_MISMATCH"
    assert "s3:PutObject" in detail


def findings(command: str, folder: Path) -> list[tuple[str, str]]:
    """What parliament finds in a folder of policies that is not acknowledged: issue and detail."""
    done = subprocess.run(
        [command, "--directory", folder, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        (each["issue"], str(each["detail"]))
        for each in found
        if not any(
            each["issue"] == issue
            and part in str(each["detail"])
            and Path(each["location"]["filepath"]).name.startswith(where)
            for (issue, part), where in ACKNOWLEDGED.items()
        )
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
