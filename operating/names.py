"""The names of what is deployed: from a command's arguments, the stack's outputs, or the environment.

And the types of arguments that several commands take.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import boto3
from botocore.exceptions import ClientError

from operating.range_run import RefineJob
from operating.stack import outputs
from scraper.b3.errors import ScraperError


class UsageError(ScraperError):
    """The command cannot begin as it was asked; the message says what to ask instead."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a command works with; None for what it was not told."""

    bucket: str | None
    job: str | None
    function: str | None
    refined_bucket: str | None
    refined_database: str | None
    refined_table: str | None
    compact_table: str | None
    starter: str | None
    dead_letters: str | None

    @classmethod
    def find(cls, asked: argparse.Namespace, environment: Mapping[str, str]) -> Names:
        """Take each name from its own argument, else from the stack's outputs, else from the environment.

        Raises:
            UsageError: There is no such stack.
        """
        stack = asked.stack or environment.get("STACK_NAME")
        outputs = stack_outputs(stack) if stack else {}
        return cls(
            **{
                name: getattr(asked, name, None) or outputs.get(output) or environment.get(variable) or None
                for name, (output, variable) in _SOURCES.items()
            }
        )

    def require(self, name: str) -> str:
        """One of the names.

        Raises:
            UsageError: It was not told.
        """
        found: str | None = getattr(self, name)
        if found is None:
            output, variable = _SOURCES[name]
            raise UsageError(
                f"{variable} is not set. Name the stack, of which it is the output {output}, by --stack or "
                "STACK_NAME; or set the variable"
            )
        return found


def job_of(names: Names) -> RefineJob:
    """The Glue job.

    Raises:
        UsageError: It has no name, or there is none of that name.
    """
    job = RefineJob(boto3.client("glue"), names.require("job"))
    if not job.exists():
        raise UsageError(f"There is no Glue job {job.name}. Name the one of the stack's output GlueJobName")
    return job


_SOURCES = {
    "bucket": ("RawBucket", "RAW_BUCKET"),
    "job": ("GlueJobName", "GLUE_JOB_NAME"),
    "function": ("BackfillFunction", "BACKFILL_FUNCTION"),
    "refined_bucket": ("RefinedBucket", "REFINED_BUCKET"),
    "refined_database": ("RefinedDatabase", "REFINED_DATABASE"),
    "refined_table": ("RefinedTable", "REFINED_TABLE"),
    "compact_table": ("RefinedCompactTable", "REFINED_COMPACT_TABLE"),
    "starter": ("StarterFunction", "STARTER_FUNCTION"),
    "dead_letters": ("DeadLetterQueue", "DEAD_LETTER_QUEUE"),
}
"""Of each name, the stack's output and the variable of the environment."""


def stack_outputs(stack: str) -> dict[str, str]:
    """The outputs of a stack in the account and region of the environment.

    Raises:
        UsageError: There is no such stack.
    """
    try:
        return outputs(stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise UsageError(
            f"There is no stack {stack} in this account and region; name it by --stack"
        ) from error
