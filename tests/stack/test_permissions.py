"""Least privilege: each role of the template, and each action that it may do, on what, under which condition.

The table of roles is `tests/stack/roles.py`. That each role can do its job with it, the deployed pipeline
shows (`tests/sandbox/test_permissions_at_work.py`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from stacks.config import REPOSITORY
from tests.stack.roles import ROLES, ExpectedRole
from tests.stack.synthesis import (
    as_list,
    conditional_permissions,
    permissions,
    policy_statements,
    resources,
    synthesise,
    text_of,
    without_hash,
)

ROLE = "AWS::IAM::Role"

BELOW_A_PREFIX_OF_OURS = re.compile(
    r"<Storage(Raw|Refined)Bucket\w+\.Arn>/"
    r"(raw|raw/cotahist|raw/cotahist_revisions|backfill|quarantine"
    r"|refined|refined_compact|refined_index_members|refined_events|refined_factors|refined_runs)/\*"
)


@dataclass(frozen=True)
class Stack:
    """A synthesised template, and the roles that it is to have."""

    template: dict[str, Any]
    roles: Mapping[str, ExpectedRole]
    has_key: bool


@pytest.fixture(scope="module", params=["script", "visual", "script, own key", "visual, own key"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """The stack in each mode of the job, with S3's keys and with a KMS key of its own."""
    mode, _, key = str(request.param).partition(", ")
    template = synthesise(glue_job_mode=mode, kms_key="create" if key else "")
    return Stack(template, ROLES[mode], has_key=bool(key))


def test_no_statement_has_a_wildcard_action(stack: Stack) -> None:
    statements = list(policy_statements(stack.template))

    assert len(statements) > 10
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in as_list(statement["Action"])), statement


def test_a_wildcard_resource_lies_below_a_prefix_of_our_own_buckets(stack: Stack) -> None:
    for statement in policy_statements(stack.template):
        for resource in map(text_of, as_list(statement["Resource"])):
            assert "*" not in resource or BELOW_A_PREFIX_OF_OURS.fullmatch(resource), statement


def test_the_roles_are_those_of_the_table_and_no_other(stack: Stack) -> None:
    found = {without_hash(f"<{logical_id}>")[1:-1] for logical_id, _ in resources(stack.template, ROLE)}

    assert found == set(stack.roles)


def test_every_role_may_do_what_the_table_says_and_nothing_else(stack: Stack) -> None:
    for name, role in stack.roles.items():
        found = conditional_permissions(stack.template, name)
        assert found == role.permissions(with_key=stack.has_key), name


def test_no_role_has_a_managed_or_an_inline_policy_beside_these(stack: Stack) -> None:
    for logical_id, role in resources(stack.template, ROLE):
        assert not {"ManagedPolicyArns", "Policies"} & role["Properties"].keys(), logical_id


def test_there_are_no_users_groups_keys_or_managed_policies(stack: Stack) -> None:
    kinds = {resource["Type"] for resource in stack.template["Resources"].values()}

    assert {kind for kind in kinds if kind.startswith("AWS::IAM::")} == {ROLE, "AWS::IAM::Policy"}


def test_every_role_is_assumed_by_one_service(stack: Stack) -> None:
    for logical_id, role in resources(stack.template, ROLE):
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        expected = stack.roles[without_hash(f"<{logical_id}>")[1:-1]]
        assert statement["Action"] == "sts:AssumeRole"
        assert statement["Principal"] == {"Service": expected.assumed_by}


def test_a_permission_that_the_table_does_not_have_is_found() -> None:
    template = synthesise()
    (policy,) = (
        each["Properties"]["PolicyDocument"]
        for name, each in resources(template, "AWS::IAM::Policy")
        if name.startswith("StarterRole")
    )
    policy["Statement"].append(
        {"Effect": "Allow", "Action": "glue:StopTrigger", "Resource": "arn:aws:glue:::x"}
    )

    more = conditional_permissions(template, "StarterRole") - ROLES["script"]["StarterRole"].permissions()
    assert more == {("glue:StopTrigger", "arn:aws:glue:::x", "")}


def test_the_starter_may_start_the_job_and_nothing_else(document: dict[str, Any]) -> None:
    """In full, as the requirement has it; the other two are its logs and its dead letters."""
    assert permissions(document, "StarterRole") == {
        "glue:StartJobRun": {
            "arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/<RefineJob>",
        },
        "logs:CreateLogStream": {"<StarterLogs>"},
        "logs:PutLogEvents": {"<StarterLogs>"},
        "sqs:SendMessage": {"<StarterDeadLetters>"},
    }


def test_to_bound_the_wide_table_the_job_needs_no_further_permission(
    created: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert permissions(changed, "RefineRole") == permissions(created, "RefineRole")


@pytest.mark.parametrize(
    ("mode", "role", "file"),
    [
        ("script", "RefineRole", "refinement/catalog.py"),
        ("visual", "RefineVisualRole", "lambda_src/visual_job/index.py"),
    ],
)
def test_a_role_may_call_of_glue_what_its_code_calls(mode: str, role: str, file: str) -> None:
    """Read off the code: a call without its permission does not wait for the first deployment."""
    called = set()
    for node in ast.walk(ast.parse((REPOSITORY / file).read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_glue"), attr="get_paginator")):
                (operation,) = (
                    argument.value for argument in node.args if isinstance(argument, ast.Constant)
                )
                called.add(str(operation))
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_glue"), attr=operation)):
                called.add(operation)
    actions = {"glue:" + "".join(word.capitalize() for word in operation.split("_")) for operation in called}
    allowed = permissions(synthesise(glue_job_mode=mode), role)

    assert len(actions) > 5
    assert actions == {action for action in allowed if action.startswith("glue:")}


def test_a_function_is_invoked_by_the_raw_bucket_of_this_account_alone(document: dict[str, Any]) -> None:
    ((_, permission),) = resources(document, "AWS::Lambda::Permission")
    properties = permission["Properties"]

    assert properties["Action"] == "lambda:InvokeFunction"
    assert properties["Principal"] == "s3.amazonaws.com"
    assert properties["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert text_of(properties["SourceArn"]).startswith("<StorageRawBucket")
