"""The three buckets, raw, refined and query results: private, TLS only, encrypted, versioned.

What the pipeline has written nobody else overwrites or deletes, whatever their own permissions are: see
`Storage.reserve_raw` and `Storage.reserve_refined`.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk.aws_iam import AnyPrincipal, Effect, IRole, PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_s3 import BlockPublicAccess, Bucket, BucketEncryption, LifecycleRule, ObjectOwnership
from constructs import Construct

from lake import keys
from lake.names import RESERVED
from stacks.nag import acknowledge, acknowledge_prefix

VISUAL_FOLDER = "visual"
RESULTS_PREFIX = "results/"

_QUARANTINE_DAYS = 90
_REPLACED_VERSION_DAYS = 30

_WRITES = [
    "s3:PutObject*",
    "s3:DeleteObject*",
    "s3:AbortMultipartUpload",
    "s3:RestoreObject",
    "s3:Replicate*",
    "s3:BypassGovernanceRetention",
]


_RAW_PREFIXES = (keys.RAW, keys.BACKFILLS, keys.QUARANTINE, keys.CANARY, keys.ACTIONS_STATE)
"""All that the pipeline keeps in the raw bucket."""


class Storage(Construct):
    """The buckets of the lake.

    With `RemovalPolicy.DESTROY` CloudFormation deletes the buckets, provided that they are empty by then:
    emptying them is left to the person who destroys the stack.

    Attributes:
        raw_bucket: `raw/`, B3's data as Parquet, `quarantine/`, what the readers refused, `backfill/`, what
            was loaded of each year, `canary/`, what the canary has seen, and `corporate_actions/`, of which
            issuers B3 was asked when.
        refined_bucket: `refined/`, the refined table, `refined_compact/`, the same rows with a file for each
            session, `refined_events/` and `refined_factors/`, what corporate actions do to prices,
            `refined_runs/`, what that is made of, and `visual/`, the script that Glue makes of the visual
            job's graph.
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
            lifecycle_rules=[_expire(keys.QUARANTINE, days=_QUARANTINE_DAYS)],
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

    def reserve_raw(self, *, roles: Sequence[IRole], operators: Sequence[str]) -> None:
        """Refuse writes to the raw bucket to all but the roles that ingest, and those who operate them.

        Args:
            roles: The roles.
            operators: People who load sessions from a terminal, as `Config.operators` names them.
        """
        _reserve(
            self.raw_bucket,
            what="Raw",
            keys=[f"{prefix}*" for prefix in _RAW_PREFIXES],
            principals=[*(role.role_arn for role in roles), *map(_principal, operators)],
        )

    def reserve_refined(self, *, job_role: IRole, visual_owner: IRole | None) -> None:
        """Refuse writes to the refined tables to all but the job, and to its generated script likewise.

        Args:
            job_role: The role of the job.
            visual_owner: The role that creates and updates the job in visual mode, None in script mode.
        """
        _reserve(
            self.refined_bucket,
            what="Refined",
            keys=[f"{folder}/*" for folder in keys.REFINED_FOLDERS],
            principals=[job_role.role_arn],
        )
        if visual_owner is not None:
            # The job runs this script with its permissions. AWS does not say who stores it: the caller of
            # CreateJob, the job's role, or the service itself
            _reserve(
                self.refined_bucket,
                what="Script",
                keys=[f"{VISUAL_FOLDER}/*"],
                principals=[job_role.role_arn, visual_owner.role_arn],
                aws_services=True,
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
        if bucket.policy is not None:  # without it what stays would be open to whoever may write any bucket
            bucket.policy.apply_removal_policy(removal_policy)
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


def grant_objects(
    role: Role, bucket: Bucket, prefixes: Sequence[str], actions: Sequence[str], *, reason: str
) -> None:
    """Let a role act on all objects below prefixes of a bucket.

    Args:
        role: The role.
        bucket: The bucket.
        prefixes: The prefixes.
        actions: What it may do.
        reason: Why it needs all of them.
    """
    role.add_to_policy(
        PolicyStatement(
            actions=list(actions), resources=[bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        )
    )
    for prefix in prefixes:
        acknowledge_prefix(role, bucket=bucket, prefix=prefix, reason=reason)


def _reserve(
    bucket: Bucket, *, what: str, keys: Sequence[str], principals: Sequence[str], aws_services: bool = False
) -> None:
    """Refuse writes of a bucket's keys to all but some principals.

    The account's root user is always among these: nobody else could undo a mistake in the list. It says
    nothing of CloudFormation, which deletes buckets but no objects, nor of lifecycle rules, which no policy
    stops.

    Args:
        bucket: The bucket.
        what: Names the statement.
        keys: Patterns of keys.
        principals: ARNs, or patterns of ARNs, of those who may.
        aws_services: Whether AWS's services may write, too, on their own behalf.
    """
    root = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root"
    # A caller without an ARN, such as an anonymous one, is like none of these
    conditions: dict[str, dict[str, object]] = {"ArnNotLike": {"aws:PrincipalArn": [root, *principals]}}
    if aws_services:
        conditions["BoolIfExists"] = {"aws:PrincipalIsAWSService": "false"}
    bucket.add_to_resource_policy(
        PolicyStatement(
            sid=f"{RESERVED}{what}",
            effect=Effect.DENY,
            principals=[AnyPrincipal()],
            actions=_WRITES,
            resources=[bucket.arn_for_objects(key) for key in keys],
            conditions=conditions,
        )
    )


def _principal(operator: str) -> str:
    if operator.startswith("arn:"):
        return operator
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:{operator}"


def _expire(prefix: str, *, days: int) -> LifecycleRule:
    return LifecycleRule(
        prefix=prefix,
        expiration=Duration.days(days),
        noncurrent_version_expiration=Duration.days(1),
    )
