"""The checks of the template: cdk-nag at synth, cfn-lint after it, and the CDK CLI itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import pytest
from aws_cdk import Stack
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import Code, Function, Runtime
from aws_cdk.aws_s3 import Bucket
from constructs import IConstruct

from app import build
from stacks.config import REPOSITORY
from tests.linting import cfn_lint
from tests.stack.synthesis import CONTEXT, KEY, assemble, synthesise

T = TypeVar("T")

SETTINGS = [{"athena_notebook": "true"}, {"glue_job_mode": "visual", "kms_key": "create"}, {"kms_key": KEY}]
"""Each mode of the job, and each kind of key. The first template is that of cdk.json and what is Spark's, as
`test_spark_notebooks.py` has it."""


def _intrude(stack: Stack) -> None:
    """Whatever is acknowledged, beside where it is: another construct, another finding of the same rule."""
    raw = _child(stack, Bucket, "Storage", "RawBucket")
    Bucket(stack, "Intruder")
    reader = Role(stack, "Reader", assumed_by=ServicePrincipal("lambda.amazonaws.com"))
    reader.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[raw.arn_for_objects("raw/*")]))
    scraper = _child(stack, Role, "Ingestion", "ScraperRole")
    scraper.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[raw.arn_for_objects("*")]))
    owner = _child(stack, Role, "Refine", "Visual", "Role")
    owner.add_to_policy(PolicyStatement(actions=["glue:DeleteJob"], resources=["*"]))
    Function(
        stack,
        "Old",
        runtime=Runtime.PYTHON_3_9,
        handler="index.handler",
        code=Code.from_inline("def handler(event, context): pass"),
        role=Role(stack, "OldRole", assumed_by=ServicePrincipal("lambda.amazonaws.com")),
    )


def _child(stack: Stack, kind: type[T], *path: str) -> T:
    node: IConstruct = stack
    for name in path:
        node = node.node.find_child(name)
    assert isinstance(node, kind)
    return node


def test_an_acknowledgement_holds_for_its_construct_and_finding_alone() -> None:
    app = build({**CONTEXT, "glue_job_mode": "visual"})
    stack = app.node.find_child(str(CONTEXT["stack_name"]))
    assert isinstance(stack, Stack)
    _intrude(stack)

    with pytest.raises(RuntimeError, match=r"^ValidationFailed"):
        app.synth()

    found = {
        (re.sub(r"<Storage(\w+?)[0-9A-F]{8}", r"<\1", violation["ruleName"]), each["constructPath"])
        for report in json.loads(Path(app.outdir, "validation-report.json").read_text())["pluginReports"]
        if report["pluginName"] == "AwsSolutions"
        for violation in report["violations"]
        for each in violation["violatingConstructs"]
    }
    assert found == {
        ("AwsSolutions-S1", "BovespaPipeline/Intruder/Resource"),
        ("AwsSolutions-S10", "BovespaPipeline/Intruder/Resource"),
        (
            "AwsSolutions-IAM5[Resource::<RawBucket.Arn>/raw/*]",
            "BovespaPipeline/Reader/DefaultPolicy/Resource",
        ),
        (
            "AwsSolutions-IAM5[Resource::<RawBucket.Arn>/*]",
            "BovespaPipeline/Ingestion/ScraperRole/DefaultPolicy/Resource",
        ),
        ("AwsSolutions-IAM5[Resource::*]", "BovespaPipeline/Refine/Visual/Role/DefaultPolicy/Resource"),
        ("AwsSolutions-L1", "BovespaPipeline/Old/Resource"),
    }


@pytest.mark.parametrize("settings", SETTINGS, ids=", ".join)
def test_every_acknowledgement_has_a_reason_and_a_narrow_place(settings: dict[str, str]) -> None:
    acknowledged = list(assemble(**settings).metadata("aws:cdk:acknowledged-rules"))

    assert acknowledged
    for path, findings in acknowledged:
        assert "/" in path, f"{list(findings)} is acknowledged for all of {path}"
        for finding, reason in findings.items():
            assert len(reason.split()) > 3, finding
            assert "IAM5" not in finding or "[" in finding, f"{finding} on {path} says nothing of which"


@pytest.mark.parametrize("settings", SETTINGS, ids=", ".join)
def test_cfn_lint_has_nothing_to_say(settings: dict[str, str]) -> None:
    document = synthesise(**settings)  # which cdk-nag lets pass
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
    # Neither cdk-nag nor the CDK's own look at CloudFormation's rules, which other tests leave out
    assert json.loads((output / "validation-report.json").read_text())["pluginReports"] == []
    stacks = json.loads((output / "manifest.json").read_text())["artifacts"]
    assert stacks["BovespaPipeline"]["environment"] == "aws://unknown-account/unknown-region"
