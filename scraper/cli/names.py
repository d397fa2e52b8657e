"""The names of what is deployed: from a command's arguments, the stack's outputs, or the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import boto3
from botocore.exceptions import ClientError

from scraper.errors import ScraperError


class UsageError(ScraperError):
    """The command cannot begin as it was asked; the message says what to ask instead."""


def add_stack_arguments(where: argparse._ActionsContainer) -> None:
    """Declare the arguments by which a command finds the raw bucket."""
    where.add_argument("--stack", metavar="NAME", help="the stack, whose outputs name the rest (STACK_NAME)")
    where.add_argument("--bucket", metavar="NAME", help="the raw bucket (RAW_BUCKET)")


@dataclass(frozen=True, slots=True)
class Names:
    """What a command works with; None for what it was not told."""

    bucket: str | None
    job: str | None
    function: str | None

    @classmethod
    def find(cls, asked: argparse.Namespace, environment: Mapping[str, str]) -> Names:
        """Take each name from its own argument, else from the stack's outputs, else from the environment.

        Raises:
            UsageError: There is no such stack.
        """
        stack = asked.stack or environment.get("STACK_NAME")
        outputs = stack_outputs(stack) if stack else {}

        def find(argument: str | None, output: str, variable: str) -> str | None:
            return argument or outputs.get(output) or environment.get(variable) or None

        return cls(
            bucket=find(asked.bucket, "RawBucket", "RAW_BUCKET"),
            job=find(getattr(asked, "job", None), "GlueJobName", "GLUE_JOB_NAME"),
            function=find(getattr(asked, "function", None), "BackfillFunction", "BACKFILL_FUNCTION"),
        )


def stack_outputs(stack: str) -> dict[str, str]:
    """The outputs of a stack in the account and region of the environment.

    Raises:
        UsageError: There is no such stack.
    """
    try:
        described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise UsageError(
            f"There is no stack {stack} in this account and region; name it by --stack"
        ) from error
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
