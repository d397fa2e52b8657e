"""An account in which IAM refuses what a Learner Lab refuses (`sandbox.learner_lab`).

What comes to the emulator as a request, MiniStack itself holds to the policies of whoever calls. What
CloudFormation makes it does not: on AWS that goes by the credentials of who deploys, so here it is held to
the permissions of the people, in IAM and where a role is passed to a service. A role that a service gets has
to trust it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import glue as glue_service
from ministack.services import iam as iam_service
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

from sandbox.learner_lab import PEOPLE, PERSON, permissions, trust
from sandbox.ministack import ACCOUNT, REGION
from sandbox.shims import authorization

# MiniStack has no types that hold
evaluator: Any = iam_evaluator
glue: Any = glue_service
iam: Any = iam_service

_CREATED_BY = {
    "AWS::IAM::Policy": "iam:PutRolePolicy",
    "AWS::IAM::RolePolicy": "iam:PutRolePolicy",
    "AWS::IAM::UserPolicy": "iam:PutUserPolicy",
    "AWS::IAM::GroupPolicy": "iam:PutGroupPolicy",
    "AWS::IAM::ManagedPolicy": "iam:CreatePolicy",
    "AWS::IAM::UserToGroupAddition": "iam:AddUserToGroup",
    "AWS::IAM::OIDCProvider": "iam:CreateOpenIDConnectProvider",
}
"""The call by which CloudFormation makes a resource of a type; of any other type, Create and its name."""

_PASSED = {
    "AWS::Lambda::Function": ("lambda.amazonaws.com", lambda properties: properties.get("Role")),
    "AWS::Glue::Job": ("glue.amazonaws.com", lambda properties: properties.get("Role")),
    "AWS::Scheduler::Schedule": (
        "scheduler.amazonaws.com",
        lambda properties: properties.get("Target", {}).get("RoleArn"),
    ),
}
"""The service that a resource's role is passed to, and where the resource names the role."""


class RefusedError(ValueError):
    """IAM does not allow what CloudFormation was to do; the message is IAM's."""


def install(role_name: str) -> None:
    """Have there be the one role, the people's, and a session of it; and refuse the rest.

    Args:
        role_name: The name of the role that services may assume.
    """
    _make_role(role_name, trust())
    _make_role(PEOPLE, {"Version": "2012-10-17", "Statement": []})
    authorization.role_session(PEOPLE, name=PERSON)
    handlers: dict[str, Any] = dict(_RESOURCE_HANDLERS)
    for kind, handler in handlers.items():
        for action, place in (("create", 1), ("update", 2)):
            if action not in handler:
                continue
            if kind.startswith("AWS::IAM::"):
                handler[action] = _refusing(handler[action], kind)
            elif kind in _PASSED:
                handler[action] = _passing(handler[action], place, *_PASSED[kind])
    glue._create_job = _passing_to_glue(glue._create_job, lambda request: request.get("Role"))
    glue._update_job = _passing_to_glue(glue._update_job, lambda request: request["JobUpdate"].get("Role"))


def refusal(action: str, resource: str, caller: str = "", **context: str) -> str | None:
    """Why IAM refuses an action to a role's session, in its own words; None if it does not.

    Args:
        action: Such as `iam:CreateRole`.
        resource: Its ARN.
        caller: ARN of the session; by default one of the people's.
        context: Condition keys.
    """
    caller = caller or f"arn:aws:sts::{ACCOUNT}:assumed-role/{PEOPLE}/{PERSON}"
    question = evaluator.EvalContext(
        principal_arn=caller,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={key.lower(): value for key, value in context.items()},
    )
    policies = evaluator._gather_role_policies(evaluator._role_name_from_assumed_arn(caller), ACCOUNT)
    if evaluator.evaluate(question, policies).decision == "Allow":
        return None
    return (
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action"
    )


def _make_role(name: str, trust_policy: Mapping[str, Any]) -> None:
    _status, _headers, body = iam._create_role(
        {"RoleName": [name], "AssumeRolePolicyDocument": [json.dumps(trust_policy)]}
    )
    if name not in iam._roles:
        raise RuntimeError(f"the emulator has not made the role {name}: {body!r}")
    iam._roles[name]["AssumeRolePolicyDocument"] = json.dumps(trust_policy)
    iam._roles[name]["InlinePolicies"]["Lab"] = json.dumps(permissions(ACCOUNT))


def _refusing(provision: Callable[..., Any], kind: str) -> Callable[..., Any]:
    name = kind.rpartition("::")[2]
    action = _CREATED_BY.get(kind, f"iam:Create{name}")

    def provision_if_allowed(*arguments: Any) -> Any:
        said = refusal(action, f"arn:aws:iam::{ACCOUNT}:{name.lower()}/{arguments[0]}")
        if said:
            raise RefusedError(said)
        return provision(*arguments)

    return provision_if_allowed


def _passing(
    provision: Callable[..., Any], place: int, service: str, role_of: Callable[[Any], Any]
) -> Callable[..., Any]:
    def provision_if_passed(*arguments: Any) -> Any:
        said = _refused_to_pass(role_of(arguments[place]), service)
        if said:
            raise RefusedError(said)
        return provision(*arguments)

    return provision_if_passed


def _passing_to_glue(call: Callable[[Any], Any], role_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call_if_passed(request: Any) -> Any:
        said = _refused_to_pass(role_of(request), "glue.amazonaws.com", evaluator.caller_arn())
        if said:
            answer = {"__type": "AccessDeniedException", "Message": said}
            return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
        return call(request)

    return call_if_passed


def _refused_to_pass(role: object, service: str, caller: str = "") -> str | None:
    """Why a role cannot be given to a service: who gives it may not, or it does not trust the service."""
    if not isinstance(role, str):
        return None
    name = role.rpartition("/")[2]
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{role}"
    # CloudFormation calls for whoever deploys
    caller = caller if ":assumed-role/" in caller else ""
    said = refusal("iam:PassRole", arn, caller, **{"iam:PassedToService": service})
    if said:
        return said
    record = iam._roles.get(name)
    trusted = json.loads(record["AssumeRolePolicyDocument"])["Statement"] if record else []
    if not any(service in statement["Principal"].get("Service", []) for statement in trusted):
        return f"the role {arn} cannot be assumed by {service}"
    return None
