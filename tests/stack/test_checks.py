"""The checks of the template: cdk-nag at synth, cfn-lint after it, and the CDK CLI itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import Code, Function, Runtime
from aws_cdk.aws_s3 import Bucket

from app import build
from stacks.bovespa_stack import BovespaStack
from stacks.config import REPOSITORY
from tests.linting import cfn_lint
from tests.stack.synthesis import CONTEXT, synthesise

KEY = "arn:aws:kms:sa-east-1:111122223333:key/0a1b2c3d-0123-4567-89ab-0123456789ab"


def _add_bucket(stack: Stack) -> None:
    Bucket(stack, "Intruder")


def _add_reader_of_raw(stack: Stack) -> None:
    # What is acknowledged for two roles of the stack is not for a third
    role = Role(stack, "Intruder", assumed_by=ServicePrincipal("lambda.amazonaws.com"))
    raw = stack.node.find_child("Storage").node.find_child("RawBucket")
    assert isinstance(raw, Bucket)
    role.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[raw.arn_for_objects("raw/*")]))


def _widen_the_scraper(stack: Stack) -> None:
    # Another finding of the same rule, on a role with an acknowledgement
    role = stack.node.find_child("Ingestion").node.find_child("ScraperRole")
    raw = stack.node.find_child("Storage").node.find_child("RawBucket")
    assert isinstance(role, Role)
    assert isinstance(raw, Bucket)
    role.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[raw.arn_for_objects("*")]))


def _add_old_function(stack: Stack) -> None:
    Function(
        stack,
        "Intruder",
        runtime=Runtime.PYTHON_3_9,
        handler="index.handler",
        code=Code.from_inline("def handler(event, context): pass"),
        role=Role(stack, "IntruderRole", assumed_by=ServicePrincipal("lambda.amazonaws.com")),
    )


@pytest.mark.parametrize(
    ("intrude", "findings"),
    [
        (_add_bucket, {"AwsSolutions-S1", "AwsSolutions-S10"}),
        (_add_reader_of_raw, {"AwsSolutions-IAM5[Resource::<RawBucket.Arn>/raw/*]"}),
        (_widen_the_scraper, {"AwsSolutions-IAM5[Resource::<RawBucket.Arn>/*]"}),
        (_add_old_function, {"AwsSolutions-L1"}),
    ],
)
def test_an_acknowledgement_holds_for_its_construct_and_finding_alone(
    intrude: Callable[[Stack], None], findings: set[str]
) -> None:
    app = build(CONTEXT)
    intrude(_stack(app))

    with pytest.raises(RuntimeError, match=r"^ValidationFailed") as refused:
        app.synth()

    reported = set(re.findall(r"AwsSolutions-\w+(?:\[[^\]]+\])?", str(refused.value)))
    assert {re.sub(r"<Storage(\w+?)[0-9A-F]{8}", r"<\1", finding) for finding in reported} == findings


@pytest.mark.parametrize("key", ["", "create", KEY])
@pytest.mark.parametrize("mode", ["script", "visual"])
def test_every_acknowledgement_has_a_reason_and_a_narrow_place(mode: str, key: str) -> None:
    stack = _stack(build({**CONTEXT, "glue_job_mode": mode, "kms_key": key}))
    acknowledged = {
        (construct.node.path, finding): reason
        for construct in stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == "aws:cdk:acknowledged-rules"
        for finding, reason in entry.data.items()
    }

    assert acknowledged
    for (path, finding), reason in acknowledged.items():
        assert len(reason.split()) > 3, finding
        assert path.count("/") >= 2, f"{finding} is acknowledged for all of {path}"
        assert "IAM5" not in finding or "[" in finding, f"{finding} on {path} says nothing of which"


@pytest.mark.parametrize("key", ["", "create", KEY])
@pytest.mark.parametrize("mode", ["script", "visual"])
def test_cfn_lint_has_nothing_to_say(mode: str, key: str) -> None:
    document = synthesise(glue_job_mode=mode, kms_key=key)  # which cdk-nag lets pass
    assert cfn_lint(document) == []


def test_cdk_synth_needs_no_account_and_no_docker(tmp_path: Path) -> None:
    """The CLI, as a person calls it, with a setting on the command line and without any credentials."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(Path.home()),  # the CDK's library is unpacked there once, which takes long
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "1",
        "CDK_DOCKER": "false",
    }
    cdk = REPOSITORY / "node_modules" / ".bin" / "cdk"
    output = tmp_path / "cdk.out"
    synthesised = subprocess.run(
        [cdk, "synth", "--quiet", "--output", output, "--context", "glue_worker_count=5"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert synthesised.returncode == 0, synthesised.stderr
    document = json.loads((output / "BovespaPipeline.template.json").read_text())
    (job,) = (each for each in document["Resources"].values() if each["Type"] == "AWS::Glue::Job")
    assert job["Properties"]["NumberOfWorkers"] == 5
    stacks = json.loads((output / "manifest.json").read_text())["artifacts"]
    assert stacks["BovespaPipeline"]["environment"] == "aws://unknown-account/unknown-region"


def _stack(app: App) -> BovespaStack:
    stack = app.node.find_child(str(CONTEXT["stack_name"]))
    assert isinstance(stack, BovespaStack)
    return stack
