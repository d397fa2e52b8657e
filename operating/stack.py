"""What a deployed stack says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

BOOTSTRAP_QUALIFIER = "hnb659fds"
"""What tells the resources of the CDK's usual bootstrap from another's."""


def outputs(stack: str) -> dict[str, str]:
    """The outputs of a stack in the account and region of the environment.

    Raises:
        botocore.exceptions.ClientError: There is no such stack, or no permission to look.
    """
    return outputs_of(boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0])


def outputs_of(described: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a stack as CloudFormation describes it."""
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def asset_bucket(account: str, region: str, qualifier: str = BOOTSTRAP_QUALIFIER) -> str:
    """Name of the bucket to which the CDK uploads, templates among the rest (DefaultStackSynthesizer)."""
    return f"cdk-{qualifier}-assets-{account}-{region}"
