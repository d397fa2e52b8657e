"""The stack by a role that is there: no IAM resource, of a bootstrap a bucket alone, in both modes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import CfnResource, Stack
from aws_cdk.aws_iam import Role, ServicePrincipal

from app import build
from operating.learner_lab import ROLE, SETTINGS
from stacks import existing_role
from stacks.config import ConfigError
from tests.linting import cfn_lint
from tests.stack.synthesis import CONTEXT, KEY, Assembly, assemble, resources, text_of, without_hash

STACK = str(CONTEXT["stack_name"])
ARN = "arn:<AWS::Partition>:iam::<AWS::AccountId>:role/LabRole"


@pytest.fixture(scope="module", params=["script", "visual"])
def lab(request: pytest.FixtureRequest) -> Assembly:
    """A lab's stack in each mode of the job, as cdk-nag lets it pass."""
    return assemble(**SETTINGS, glue_job_mode=request.param)


def test_there_is_no_iam_resource_and_no_role_that_is_missing(lab: Assembly) -> None:
    kinds = [resource["Type"] for resource in lab.template["Resources"].values()]
    assert len(kinds) > 75
    assert [kind for kind in kinds if kind.startswith("AWS::IAM::")] == []
    text = json.dumps(lab.template)
    assert "missing role" not in text
    assert "role/undefined" not in text


def test_whatever_has_a_role_has_the_one(lab: Assembly) -> None:
    functions = [each["Properties"]["Role"] for _, each in resources(lab.template, "AWS::Lambda::Function")]
    schedules = [
        each["Properties"]["Target"]["RoleArn"]
        for _, each in resources(lab.template, "AWS::Scheduler::Schedule")
    ]
    jobs = [
        each["Properties"]["Role"]
        for kind in ("AWS::Glue::Job", "Custom::VisualGlueJob")
        for _, each in resources(lab.template, kind)
    ]
    # Scraper, backfill, starter, the CDK's for notifications, and in visual mode the job's owner
    assert len(functions) in (4, 5)
    assert (len(schedules), len(jobs)) == (1, 1)
    assert {text_of(role) for role in (*functions, *schedules, *jobs)} == {ARN}


def test_the_roles_that_are_replaced_are_those_of_the_stack(
    document: dict[str, Any], visual: dict[str, Any]
) -> None:
    """And no path is among them that nothing has any more."""
    made = {
        without_hash(f"<{logical_id}>")[1:-1]
        for template in (document, visual)
        for logical_id, _ in resources(template, "AWS::IAM::Role")
    }
    assert {path.replace("/", "") for path in existing_role.PATHS} == made


def test_cfn_lint_has_nothing_to_say(lab: Assembly) -> None:
    assert cfn_lint(lab.template) == []


def test_it_is_deployed_by_the_caller_s_credentials_and_a_bucket(lab: Assembly) -> None:
    properties = lab.artifact["properties"]
    bucket = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    # Too large to be passed inline, of which CloudFormation takes 51,200 bytes
    assert len(json.dumps(lab.template)) > 51_200
    assert properties["stackTemplateAssetObjectUrl"].startswith(f"s3://{bucket}/")
    assert not {key for key in properties if "role" in key.lower()}
    assert "requiresBootstrapStackVersion" not in properties
    assert "Parameters" not in lab.template  # the default's asks for the version of the bootstrap
    destinations = [place for asset in lab.assets.values() for place in asset["destinations"].values()]
    assert len(destinations) > 2
    assert {place["bucketName"] for place in destinations} == {bucket}
    assert not [place for place in destinations if "assumeRoleArn" in place]


def test_by_default_it_is_deployed_by_the_bootstrap_s_roles() -> None:
    """So the comparison above can fail."""
    properties = assemble().artifact["properties"]
    assert {key for key in properties if "role" in key.lower()}
    assert properties["requiresBootstrapStackVersion"]


def test_s3_invokes_by_the_bucket_s_arn_alone(lab: Assembly, document: dict[str, Any]) -> None:
    def of_s3(template: dict[str, Any]) -> list[dict[str, Any]]:
        permissions = [each["Properties"] for _, each in resources(template, "AWS::Lambda::Permission")]
        return [each for each in permissions if each["Principal"] == "s3.amazonaws.com"]

    (permission,) = of_s3(lab.template)
    assert text_of(permission["SourceArn"]).startswith("<StorageRawBucket")
    assert "SourceAccount" not in permission
    assert "SourceAccount" in of_s3(document)[0]


def test_people_of_a_lab_may_write_the_raw_bucket_and_buckets_go_with_the_stack(lab: Assembly) -> None:
    buckets = dict(resources(lab.template, "AWS::S3::Bucket"))
    assert {bucket["DeletionPolicy"] for bucket in buckets.values()} == {"Delete"}
    statements = [
        statement
        for _, policy in resources(lab.template, "AWS::S3::BucketPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "ReservedRaw"
    ]
    (reserved,) = statements
    may = {text_of(each) for each in reserved["Condition"]["ArnNotLike"]["aws:PrincipalArn"]}
    assert may == {
        "arn:<AWS::Partition>:iam::<AWS::AccountId>:root",
        ARN,
        "arn:<AWS::Partition>:iam::<AWS::AccountId>:role/voclabs",
    }


def test_an_iam_resource_and_a_role_without_its_path_stop_the_synthesis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(existing_role, "PATHS", existing_role.PATHS[1:])
    app = build({**CONTEXT, **SETTINGS})
    stack = app.node.find_child(STACK)
    assert isinstance(stack, Stack)
    Role(stack, "Intruder", assumed_by=ServicePrincipal("lambda.amazonaws.com"))
    CfnResource(stack, "Policy", type="AWS::IAM::ManagedPolicy", properties={})
    with pytest.raises(RuntimeError) as refused:
        app.synth()
    for path in ("Intruder", "Policy", "Storage/NotificationsRole"):
        assert f"{STACK}/{path} would be made in IAM" in str(refused.value)


def test_an_arn_names_the_account_too() -> None:
    arn = f"arn:aws:iam::111122223333:role/team/{ROLE}"
    found = assemble(**{**SETTINGS, "existing_role": arn})
    assert found.artifact["environment"] == "aws://111122223333/unknown-region"
    roles = {
        text_of(each["Properties"]["Role"]) for _, each in resources(found.template, "AWS::Lambda::Function")
    }
    assert {role.rpartition(":role/")[2] for role in roles} == {f"team/{ROLE}"}


@pytest.mark.parametrize(
    ("key", "value"), [("kms_key", "create"), ("kms_key", KEY), ("athena_notebook", "true")]
)
def test_what_has_not_been_shown_to_work_by_such_a_role_is_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key} is set, and existing_role is 'LabRole'"):
        build({**CONTEXT, **SETTINGS, key: value})
