"""The roles of a deployed stack: what each may do, and what the sandbox's AWS has decided on its calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from sandbox.environment import Sandbox
from tests.stack.synthesis import as_list, without_hash


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """One action on one pattern of resources, as a role's policy has it."""

    action: str
    resource: str
    condition: str

    def statement(self) -> dict[str, Any]:
        """As a statement of a policy."""
        condition = {"Condition": json.loads(self.condition)} if self.condition else {}
        return {"Effect": "Allow", "Action": self.action, "Resource": self.resource, **condition}

    def covers(self, call: dict[str, Any]) -> bool:
        """Whether it allows a call by itself."""
        return is_allowed(call, [self])


@dataclass(frozen=True, kw_only=True)
class RoleAtWork:
    """A role as it is deployed, and what was decided on its calls."""

    allowed: list[Allowed]
    calls: list[dict[str, Any]]


def is_allowed(call: dict[str, Any], allowed: list[Allowed]) -> bool:
    """Whether a role with these permissions may make a recorded call."""
    context = EvalContext(
        principal_arn=call["principal"],
        principal_type="AssumedRole",
        principal_account=call["principal"].split(":")[4],
        action=call["action"],
        resource_arn=call["resource"],
        region="us-east-1",
        secure_transport=True,
        service_context=call["context"],
    )
    statements = parse_policy_document({"Statement": [each.statement() for each in allowed]})
    return evaluate(context, [statements]).decision == "Allow"


def roles_at_work(sandbox: Sandbox) -> dict[str, RoleAtWork]:
    """The roles of a deployed stack, by their logical id; the environment has to lead to it."""
    stack = sandbox.deployment.work_group
    found = boto3.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    calls = sandbox.aws.decisions
    return {
        without_hash(f"<{each['LogicalResourceId']}>")[1:-1]: RoleAtWork(
            allowed=_allowed(each["PhysicalResourceId"]),
            calls=[call for call in calls if call["principal"].split("/")[1] == each["PhysicalResourceId"]],
        )
        for each in found
        if each["ResourceType"] == "AWS::IAM::Role"
    }


def _allowed(role: str) -> list[Allowed]:
    """All that the policies of a deployed role allow."""
    iam = boto3.client("iam")
    documents: Any = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [
        Allowed(
            action=action,
            resource=resource,
            condition=json.dumps(statement["Condition"]) if "Condition" in statement else "",
        )
        for document in documents
        for statement in document["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]


def unused(role: RoleAtWork) -> set[tuple[str, str]]:
    """Actions that no call has used, with the last part of their resource.

    A call of Glue's catalog is one on a table, its database and the catalog at once: there an action counts
    as used on all of them.
    """
    used = {
        (each.action, "" if each.action.startswith("glue:") else each.resource)
        for each in role.allowed
        if any(each.covers(call) for call in role.calls)
    }
    pairs = {(each.action, "" if each.action.startswith("glue:") else each.resource) for each in role.allowed}
    return {(action, resource.rpartition(":")[2].partition("/")[2]) for action, resource in pairs - used}
