"""Deployment without one IAM resource, where the setting `existing_role` names a role that is there.

Some accounts let nobody create a role, such as those of an AWS Academy Learner Lab: there is one, which
whatever runs has to share, and CloudFormation works with the credentials of whoever deploys. What each role
of the stack would be allowed stands in the cloud assembly all the same, in `iam-policy-report.txt`.
CDK, "Customizing role creation"; `CliCredentialsStackSynthesizer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import jsii
from aws_cdk import CfnResource, CliCredentialsStackSynthesizer, Environment, Stack
from aws_cdk.aws_iam import Role
from aws_cdk.aws_lambda import CfnPermission
from constructs import IConstruct, IValidation

from stacks.nag import acknowledge

PATHS = (
    "Storage/NotificationsRole",
    "Ingestion/ScraperRole",
    "Ingestion/BackfillRole",
    "Ingestion/ScheduleRole",
    "Refine/Role",
    "Refine/Visual/Role",
    "Starter/Role",
)
"""The roles of the stack in either mode of the job, by their paths below it. A new one has to be added."""

_IAM = "AWS::IAM::"
_ACCOUNT_MISSING = "W3663"  # cfn-lint's, which the CDK has, too
_ARN_ALONE = "In a lab S3 was seen not to invoke by a permission with both; the bucket is this stack's own."


def synthesizer(existing_role: str | None) -> CliCredentialsStackSynthesizer | None:
    """What deploys by the caller's credentials and needs of `cdk bootstrap` nothing but a bucket for assets.

    Returns:
        None without an existing role: then the CDK's default, by the roles of `cdk bootstrap`.
    """
    return None if existing_role is None else CliCredentialsStackSynthesizer()


def environment(existing_role: str | None) -> Environment | None:
    """The account that the role's ARN names: the CDK then deploys into no other. None for a mere name."""
    if existing_role is None or not existing_role.startswith("arn:"):
        return None
    return Environment(account=existing_role.split(":")[4])


def use(stack: Stack, existing_role: str) -> None:
    """Have one role be every role of a stack, and make synthesis fail if an IAM resource is left.

    To be called before the stack has constructs.

    Args:
        stack: The stack.
        existing_role: Name of the role, with its path if it has one, or its ARN.
    """
    name = existing_role.partition(":role/")[2] or existing_role
    roles = {f"{stack.node.path}/{path}": name for path in PATHS}
    Role.customize_roles(stack, use_precreated_roles=roles)
    stack.node.add_validation(cast(IValidation, _NoIamResource(stack, set(roles))))


def let_s3_invoke_by_source_arn(stack: Stack) -> None:
    """Have functions' permissions name the bucket that invokes, and not also its account.

    In a lab, S3 was seen never to invoke a function whose permission has both, and to do with the ARN alone.
    A bucket's name is in one account's hands while the bucket exists, which is as long as the permission.
    """
    for permission in stack.node.find_all():
        if isinstance(permission, CfnPermission) and permission.source_arn is not None:
            permission.add_property_deletion_override("SourceAccount")
            acknowledge(permission, finding=f"CloudFormation-Validate::{_ACCOUNT_MISSING}", reason=_ARN_ALONE)
            lint = {"config": {"ignore_checks": [_ACCOUNT_MISSING]}}
            permission.add_metadata("cfn-lint", {**lint, "reason": _ARN_ALONE})


@jsii.implements(IValidation)
class _NoIamResource:
    """Tells what of a stack would be an IAM resource, or a role that is none that is there."""

    def __init__(self, stack: Stack, roles: set[str]) -> None:
        self._stack = stack
        self._roles = roles

    def validate(self) -> list[str]:
        return [
            f"{path} would be made in IAM, which existing_role is to do without: {what}"
            for construct in self._stack.node.find_all()
            for path, what in self._left(construct)
        ]

    def _left(self, construct: IConstruct) -> Iterator[tuple[str, str]]:
        path = construct.node.path
        if isinstance(construct, Role) and path not in self._roles:
            yield path, "add its path to stacks.existing_role.PATHS"
        elif (
            isinstance(construct, CfnResource)
            and construct.cfn_resource_type.startswith(_IAM)
            and construct._should_synthesize()  # a policy of customised roles is a construct, and no resource
        ):
            yield path, f"it is an {construct.cfn_resource_type}"
