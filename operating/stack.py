"""What a deployed stack says of itself."""

from __future__ import annotations

import boto3


def outputs(stack: str) -> dict[str, str]:
    """The outputs of a stack in the account and region of the environment.

    Raises:
        botocore.exceptions.ClientError: There is no such stack, or no permission to look.
    """
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
