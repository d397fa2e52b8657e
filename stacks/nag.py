"""Acknowledgements of cdk-nag findings: one finding on one construct, with the reason why it may stand."""

from typing import cast

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk.aws_s3 import Bucket, CfnBucket
from constructs import Construct


def acknowledge(construct: Construct, *, finding: str, reason: str) -> None:
    """Let one finding stand, on this construct and what lies below it.

    Args:
        construct: The narrowest construct that the finding is reported on.
        finding: Its id, such as `AwsSolutions-S1`; one of several findings of a rule in brackets after it.
        reason: Why it may stand.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def acknowledge_prefix(role: Construct, *, bucket: Bucket, prefix: str, reason: str) -> None:
    """Let a role's policy name all objects below a prefix of one of our buckets (`AwsSolutions-IAM5`).

    Args:
        role: The role whose policy it is.
        bucket: The bucket.
        prefix: The prefix, without the `*` that follows it.
        reason: Why the role needs all of it.
    """
    bucket_id = Stack.of(bucket).get_logical_id(cast(CfnBucket, bucket.node.default_child))
    acknowledge(role, finding=f"AwsSolutions-IAM5[Resource::<{bucket_id}.Arn>/{prefix}*]", reason=reason)
