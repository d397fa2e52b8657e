"""Every role of the stack and all that it may do: the one place that says so beside the stack itself.

A role that is not here, or a permission that is not in it, fails `tests/stack/test_permissions.py`. One that
no call of the deployed pipeline has used fails `tests/sandbox/test_permissions_at_work.py`, unless `unseen`
says why it is needed all the same. That is so of the job as a script: as a graph Glue itself makes the calls,
which the sandbox only imitates. There it is shown that none is refused (`tests/sandbox/test_visual.py`).

Ids are logical ids without their hash; `<X>` is the ARN, or the name, of resource X.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

RAW, REFINED = "<StorageRawBucket>", "<StorageRefinedBucket>"
GLUE = "arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:"
ASSETS = "arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
KEY = "<EncryptionKey>"

Permission = tuple[str, str, str]
"""An action, a resource, and the condition, as `synthesis.condition_text` writes it, empty without one."""

_BY_LAMBDA = "Lambda calls it with the role, outside of the function's process."
_SLOW_UPLOAD = "To give up an upload in parts, which begins at 5 MB; sessions in the sandbox are smaller."


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Actions that are allowed on resources."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str = ""

    def permissions(self) -> Iterator[Permission]:
        for action in self.actions:
            for resource in self.resources:
                yield action, resource, self.condition


@dataclass(frozen=True, kw_only=True)
class ExpectedRole:
    """A role.

    Attributes:
        assumed_by: The one service that assumes it.
        grants: All that it may do.
        through: The service through which it may use the KMS key, if there is one; empty if it may not.
        unseen: Actions that no call in the sandbox has used, the job being a script, with the reason why each
            is needed.
    """

    assumed_by: str
    grants: tuple[Grant, ...]
    through: str = ""
    unseen: Mapping[str, str] = field(default_factory=dict)

    def permissions(self, *, with_key: bool = False) -> set[Permission]:
        """All that it may do, in a stack with or without a KMS key."""
        grants = [*self.grants]
        if with_key and self.through:
            condition = f"StringEquals kms:ViaService {self.through}.<AWS::Region>.<AWS::URLSuffix>"
            grants.append(
                Grant(actions=("kms:Decrypt", "kms:GenerateDataKey"), resources=(KEY,), condition=condition)
            )
        return {permission for grant in grants for permission in grant.permissions()}


def _logs(*groups: str) -> Grant:
    return Grant(actions=("logs:CreateLogStream", "logs:PutLogEvents"), resources=groups)


def _list(bucket: str, *prefixes: str) -> Grant:
    return Grant(
        actions=("s3:ListBucket",),
        resources=(bucket,),
        condition=f"StringLikeIfExists s3:prefix {' '.join(sorted(prefixes))}",
    )


_LOGGED = {
    "logs:CreateLogStream": _BY_LAMBDA,
    "logs:PutLogEvents": _BY_LAMBDA,
}

_JOB_CATALOG = Grant(
    actions=(
        "glue:GetDatabase",
        "glue:CreateDatabase",
        "glue:GetTable",
        "glue:CreateTable",
        "glue:UpdateTable",
        "glue:GetPartitionIndexes",
        "glue:CreatePartitionIndex",
        "glue:GetPartitions",
        "glue:BatchCreatePartition",
        "glue:BatchUpdatePartition",
        "glue:DeletePartition",
    ),
    resources=(
        f"{GLUE}catalog",
        f"{GLUE}database/default",
        f"{GLUE}table/default/bovespa_daily",
        f"{GLUE}table/default/bovespa_daily_compact",
        f"{GLUE}table/default/bovespa_index_members",
        f"{GLUE}table/default/bovespa_events",
        f"{GLUE}table/default/bovespa_factors",
        f"{GLUE}table/default/bovespa_daily_adjusted",
    ),
)

# AWS documents what Glue's target that updates the catalog does, and not by which calls
_TARGET_CATALOG = Grant(
    actions=("glue:GetPartition", "glue:BatchGetPartition", "glue:CreatePartition", "glue:UpdatePartition"),
    resources=_JOB_CATALOG.resources,
)

_MEMBERS = "refined_index_members"
_FOLDERS = ("refined", "refined_compact", "refined_events", "refined_factors", "refined_runs")

_JOB = (
    _list(RAW, "raw/*"),
    Grant(actions=("s3:GetObject",), resources=(f"{RAW}/raw/*",)),
    _list(REFINED, *(f"{folder}/*" for folder in sorted((*_FOLDERS, _MEMBERS)))),
    Grant(actions=("s3:PutObject", "s3:DeleteObject"), resources=(f"{REFINED}/{_MEMBERS}/*",)),
    Grant(
        actions=("s3:GetObject",),
        resources=tuple(f"{REFINED}/{folder}/*" for folder in _FOLDERS if folder != "refined"),
    ),
    Grant(actions=("s3:PutObject",), resources=tuple(f"{REFINED}/{folder}/*" for folder in _FOLDERS[2:])),
    Grant(actions=("s3:GetObject",), resources=(f"{ASSETS}/<hash>.zip",)),
    _JOB_CATALOG,
    _logs("<RefineOutputLogs>", "<RefineErrorLogs>"),
)

_REFINED_KEYS = tuple(f"{REFINED}/{folder}/*" for folder in _FOLDERS[:2])
_OWN_SCRIPT = f"{REFINED}/visual/BovespaPipeline-refine-visual.py"

_EITHER_MODE = {
    "IngestionScraperRole": ExpectedRole(
        assumed_by="lambda.amazonaws.com",
        grants=(
            _list(RAW, "raw/*", "quarantine/*", "canary/*", "corporate_actions/*"),
            Grant(
                actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
                resources=(f"{RAW}/raw/*",),
            ),
            Grant(actions=("s3:PutObject",), resources=(f"{RAW}/quarantine/*",)),
            Grant(
                actions=("s3:GetObject", "s3:PutObject"),
                resources=(f"{RAW}/canary/cotahist.json", f"{RAW}/corporate_actions/memory.json"),
            ),
            _list(REFINED, "refined_compact/*"),  # whether a session was refined
            _logs("<IngestionLogs>"),
        ),
        through="s3",
        unseen={**_LOGGED, "s3:AbortMultipartUpload": _SLOW_UPLOAD},
    ),
    "IngestionBackfillRole": ExpectedRole(
        assumed_by="lambda.amazonaws.com",
        grants=(
            _list(RAW, "raw/cotahist/*", "raw/cotahist_revisions/*", "backfill/*", "quarantine/*"),
            Grant(
                actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
                resources=(f"{RAW}/raw/cotahist/*",),
            ),
            Grant(
                actions=("s3:PutObject", "s3:DeleteObject"), resources=(f"{RAW}/raw/cotahist_revisions/*",)
            ),
            Grant(
                actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), resources=(f"{RAW}/backfill/*",)
            ),
            Grant(actions=("s3:PutObject", "s3:AbortMultipartUpload"), resources=(f"{RAW}/quarantine/*",)),
            _logs("<IngestionBackfillLogs>"),
        ),
        through="s3",
        unseen={**_LOGGED, "s3:AbortMultipartUpload": _SLOW_UPLOAD},
    ),
    "IngestionScheduleRole": ExpectedRole(
        assumed_by="scheduler.amazonaws.com",
        grants=(Grant(actions=("lambda:InvokeFunction",), resources=("<IngestionScraper>",)),),
        unseen={"lambda:InvokeFunction": "The sandbox fires the schedule itself; its target is compared."},
    ),
    "StorageNotificationsRole": ExpectedRole(
        assumed_by="lambda.amazonaws.com",
        grants=(
            Grant(actions=("s3:PutBucketNotification",), resources=(RAW,)),
            _logs("<StarterNotificationLogs>"),
        ),
        unseen=_LOGGED,
    ),
}

_STARTER = {
    job: ExpectedRole(
        assumed_by="lambda.amazonaws.com",
        grants=(
            Grant(actions=("glue:StartJobRun",), resources=(f"{GLUE}job/<{job}>",)),
            Grant(actions=("sqs:SendMessage",), resources=("<StarterDeadLetters>",)),
            _logs("<StarterLogs>"),
        ),
        through="sqs",
        unseen={**_LOGGED, "sqs:SendMessage": _BY_LAMBDA},
    )
    for job in ("RefineJob", "RefineVisual")
}

ROLES: Mapping[str, Mapping[str, ExpectedRole]] = {
    "script": {
        **_EITHER_MODE,
        "StarterRole": _STARTER["RefineJob"],
        "RefineRole": ExpectedRole(
            assumed_by="glue.amazonaws.com",
            grants=(
                *_JOB,
                Grant(actions=("s3:GetObject",), resources=(f"{ASSETS}/<hash>.py",)),
                Grant(actions=("s3:PutObject", "s3:DeleteObject"), resources=_REFINED_KEYS),
            ),
            through="s3",
            unseen=_LOGGED,
        ),
    },
    "visual": {
        **_EITHER_MODE,
        "StarterRole": _STARTER["RefineVisual"],
        "RefineRole": ExpectedRole(
            assumed_by="glue.amazonaws.com",
            grants=(
                *_JOB,
                _TARGET_CATALOG,
                Grant(actions=("s3:GetObject",), resources=(_OWN_SCRIPT,)),
                Grant(
                    actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
                    resources=(*_REFINED_KEYS, f"{REFINED}/refined", f"{REFINED}/refined_compact"),
                ),
            ),
            through="s3",
        ),
        "RefineVisualRole": ExpectedRole(
            assumed_by="lambda.amazonaws.com",
            grants=(
                Grant(
                    actions=(
                        "glue:CreateJob",
                        "glue:GetJob",
                        "glue:UpdateJob",
                        "glue:DeleteJob",
                        "glue:GetTags",
                        "glue:TagResource",
                        "glue:UntagResource",
                    ),
                    resources=(f"{GLUE}job/BovespaPipeline-refine-visual",),
                ),
                Grant(
                    actions=("iam:PassRole",),
                    resources=("<RefineRole>",),
                    condition="StringEquals iam:PassedToService glue.amazonaws.com",
                ),
                Grant(actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), resources=(_OWN_SCRIPT,)),
                _logs("<RefineVisualLogs>"),
            ),
            through="s3",
        ),
    },
}
"""By the job's mode and the role's id."""
