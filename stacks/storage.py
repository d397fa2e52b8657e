"""The three buckets, raw, refined and query results: private, TLS only, encrypted, versioned."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk.aws_iam import IRole, PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_s3 import BlockPublicAccess, Bucket, BucketEncryption, LifecycleRule, ObjectOwnership
from constructs import Construct

from stacks.nag import acknowledge

RAW_PREFIX = "raw/"
SESSION_PREFIX = f"{RAW_PREFIX}cotahist/"
INDEX_PREFIX = f"{RAW_PREFIX}index_portfolio/"
QUARANTINE_PREFIX = "quarantine/"
BACKFILL_PREFIX = "backfill/"
REFINED_FOLDER = "refined"
COMPACT_FOLDER = "refined_compact"
VISUAL_FOLDER = "visual"
RESULTS_PREFIX = "results/"

_QUARANTINE_DAYS = 90
_REPLACED_VERSION_DAYS = 30


class Storage(Construct):
    """The buckets of the lake.

    With `RemovalPolicy.DESTROY` CloudFormation deletes the buckets, provided that they are empty by then:
    emptying them is left to the person who destroys the stack.

    Attributes:
        raw_bucket: `raw/`, B3's data as Parquet, `quarantine/`, what the readers refused, and `backfill/`,
            what was loaded of each year.
        refined_bucket: `refined/`, the refined table, `refined_compact/`, the same rows with a file for each
            session, and `visual/`, the script that Glue makes of the visual job's graph.
        results_bucket: `results/`, what Athena's queries of the workgroup returned.
        notifications_role: The role of the CDK's function that sets the raw bucket's notification.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, removal_policy: RemovalPolicy, query_result_days: int
    ) -> None:
        super().__init__(scope, construct_id)
        self.notifications_role = Role(
            self,
            "NotificationsRole",
            assumed_by=ServicePrincipal("lambda.amazonaws.com"),
            description="Sets the notification of the raw bucket at deployment",
        )
        self.raw_bucket = self._build_bucket(
            "RawBucket",
            removal_policy=removal_policy,
            lifecycle_rules=[_expire(QUARANTINE_PREFIX, days=_QUARANTINE_DAYS)],
            # The CDK would give its function the managed policy for logs, on every log group of the account
            notifications_handler_role=self.notifications_role.without_policy_updates(),
        )
        self.refined_bucket = self._build_bucket(
            "RefinedBucket",
            removal_policy=removal_policy,
            lifecycle_rules=[],
        )
        self.results_bucket = self._build_bucket(
            "QueryResultsBucket",
            removal_policy=removal_policy,
            lifecycle_rules=[_expire(RESULTS_PREFIX, days=query_result_days)],
        )
        self.notifications_role.add_to_policy(
            PolicyStatement(actions=["s3:PutBucketNotification"], resources=[self.raw_bucket.bucket_arn])
        )

    def _build_bucket(
        self,
        construct_id: str,
        *,
        removal_policy: RemovalPolicy,
        lifecycle_rules: Sequence[LifecycleRule],
        notifications_handler_role: IRole | None = None,
    ) -> Bucket:
        bucket = Bucket(
            self,
            construct_id,
            block_public_access=BlockPublicAccess.BLOCK_ALL,
            encryption=BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            removal_policy=removal_policy,
            lifecycle_rules=[
                LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                    noncurrent_version_expiration=Duration.days(_REPLACED_VERSION_DAYS),
                    # A deletion leaves a marker, which outlives the versions that it hides
                    expired_object_delete_marker=True,
                ),
                *lifecycle_rules,
            ],
            notifications_handler_role=notifications_handler_role,
        )
        acknowledge(
            bucket,
            finding="AwsSolutions-S1",
            reason="Public market data, written by two roles of this stack alone: access logs would be more "
            "objects than data. An account that audits access does it with CloudTrail data events.",
        )
        return bucket


def list_objects(bucket: Bucket, *prefixes: str) -> PolicyStatement:
    """Permission to list what lies below prefixes of a bucket.

    The condition holds also for calls that name no prefix. S3 makes such a check when an object that is asked
    for does not exist: without it the answer is 403 instead of 404.
    """
    return PolicyStatement(
        actions=["s3:ListBucket"],
        resources=[bucket.bucket_arn],
        conditions={"StringLikeIfExists": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
    )


def _expire(prefix: str, *, days: int) -> LifecycleRule:
    return LifecycleRule(
        prefix=prefix,
        expiration=Duration.days(days),
        noncurrent_version_expiration=Duration.days(1),
    )
