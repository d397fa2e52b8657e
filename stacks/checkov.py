"""Findings of checkov that may stand, each on named resources with the reason, as metadata that it reads.

`make audit` runs checkov over the template and fails on a finding that is not here, and on an entry here that
suppresses none. What is acknowledged of cdk-nag stands beside the construct (`stacks.nag`).
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import CfnResource, Stack

_SCRAPER, _BACKFILL, _STARTER, _VISUAL = (
    f"{function}/Resource"
    for function in ("Ingestion/Scraper", "Ingestion/Backfill", "Starter/Function", "Refine/Visual/Function")
)
_NOTIFICATIONS = "BucketNotificationsHandler050a0587b7544547bf325f094a3db834/Resource"
_FUNCTIONS = (_SCRAPER, _BACKFILL, _STARTER, _VISUAL, _NOTIFICATIONS)


@dataclass(frozen=True, kw_only=True)
class Skip:
    """One of checkov's checks, on the resources on which its finding may stand.

    Attributes:
        check: Its id.
        paths: The resources, by their path below the stack. One that a stack does not have is passed over.
        reason: Why it may stand.
        without_key: Whether it finds nothing in a stack with a KMS key (the setting `kms_key`).
    """

    check: str
    paths: tuple[str, ...]
    reason: str
    without_key: bool = False


SKIPS = (
    Skip(
        check="CKV_AWS_18",  # access logs of buckets
        paths=(
            "Storage/RawBucket/Resource",
            "Storage/RefinedBucket/Resource",
            "Storage/QueryResultsBucket/Resource",
        ),
        reason="Public market data: access logs would be more objects than data. An account that audits "
        "access does it with CloudTrail data events.",
    ),
    Skip(
        check="CKV_AWS_115",  # reserved concurrency
        paths=_FUNCTIONS,
        reason="Invoked a few times a day by the schedule, S3 and CloudFormation alone; a reserve would be "
        "taken from the account's other functions.",
    ),
    Skip(
        check="CKV_AWS_116",  # dead-letter queue
        paths=(_SCRAPER, _BACKFILL, _VISUAL, _NOTIFICATIONS),
        reason="Nothing is lost with an event: what a run of the scraper misses the next one takes, a "
        "backfill is repeated by its command, and CloudFormation waits for its answer.",
    ),
    Skip(
        check="CKV_AWS_117",  # inside a VPC
        paths=_FUNCTIONS,
        reason="They talk to B3 and to public AWS endpoints alone; a VPC would add a NAT gateway, at more "
        "than the whole pipeline costs, and protect nothing in it.",
    ),
    Skip(
        check="CKV_AWS_173",  # environment encrypted by a KMS key
        paths=(_SCRAPER, _BACKFILL, _STARTER),
        reason="The variables are names and public addresses, no secret; Lambda's own key encrypts them.",
    ),
    Skip(
        check="CKV_AWS_195",  # Glue security configuration
        paths=("Refine/Job/Resource",),
        reason="The buckets and log groups that the job writes encrypt by themselves, by the setting's key "
        "if there is one; it keeps no bookmark.",
    ),
    Skip(
        check="CKV_AWS_158",  # log group encrypted by a KMS key
        paths=tuple(
            f"{group}/Resource"
            for group in (
                "Ingestion/Logs",
                "Ingestion/BackfillLogs",
                "Refine/OutputLogs",
                "Refine/ErrorLogs",
                "Refine/Visual/Logs",
                "Starter/Logs",
                "Starter/NotificationLogs",
            )
        ),
        reason="CloudWatch encrypts by its own key, and no log holds a secret; kms_key asks for another key.",
        without_key=True,
    ),
    Skip(
        check="CKV_AWS_27",  # queue encrypted by a KMS key
        paths=("Starter/DeadLetters/Resource",),
        reason="SQS encrypts by its own key; the events name public data. kms_key asks for another key.",
        without_key=True,
    ),
)


def acknowledge_checkov(stack: Stack, *, with_key: bool) -> None:
    """Write the skips into the metadata of the stack's resources.

    Args:
        stack: The stack, complete.
        with_key: Whether it has a KMS key.
    """
    skips = [skip for skip in SKIPS if not (skip.without_key and with_key)]
    for resource in stack.node.find_all():
        if not isinstance(resource, CfnResource):
            continue
        path = resource.node.path.removeprefix(f"{stack.node.path}/")
        entries = [{"id": skip.check, "comment": skip.reason} for skip in skips if path in skip.paths]
        if entries:
            resource.add_metadata("checkov", {"skip": entries})
