"""What `make preflight LAB=1` asks of a Learner Lab beside the rest (`operating.preflight`).

People of a lab are `assumed-role/voclabs/...`, in us-east-1 or us-west-2, and may make no role: the stack
takes one that is there, LabRole. When a session has ended, an explicit deny falls on its keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from operating.learner_lab import ROLE
from operating.preflight import CHECKS, Account, Check, Finding, Level, Plan, Subject

REGIONS = ("us-east-1", "us-west-2")

_USERS = ":assumed-role/voclabs/"
_NEEDED = ("lambda", "glue", "scheduler")
"""Services that assume the role in any deployment."""
_USUAL = ("events", "athena", "s3", "sqs", "sns", "logs")
"""Further services that a lab's role lets assume it."""


def find_lab_identity(account: Account, _plan: Plan) -> Iterator[Finding]:
    """Whether the caller is one of a lab's users."""
    arn = account.client("sts").get_caller_identity()["Arn"]
    if _USERS in arn:
        yield Finding(Level.FINE, "lab", "the credentials of a Learner Lab")
    else:
        yield Finding(
            Level.WARNING,
            "lab",
            f"{arn} is no user of a Learner Lab (assumed-role/voclabs/...)",
            "the deployment may go to another account than the lab's",
            'copy the credentials of "AWS Details", or leave out LAB=1',
        )


def find_lab_region(account: Account, _plan: Plan) -> Iterator[Finding]:
    """Whether a lab may use the region."""
    if account.region in REGIONS:
        yield Finding(Level.FINE, "lab region", account.region)
    else:
        yield Finding(
            Level.STOP,
            "lab region",
            f"{account.region}, where a lab may do nothing",
            do=f"export AWS_REGION and AWS_DEFAULT_REGION as {' or '.join(REGIONS)}",
        )


def find_lab_session(account: Account, _plan: Plan) -> Iterator[Finding]:
    """Whether the lab runs: who asks for their buckets is refused explicitly when its session has ended."""
    try:
        account.client("s3").list_buckets()
    except ClientError as error:
        if "explicit deny" not in error.response["Error"].get("Message", ""):
            raise
        yield Finding(
            Level.STOP,
            "lab session",
            "ended: an explicit deny lies on the credentials",
            do='"Start Lab", and copy the credentials anew from "AWS Details"',
        )
        return
    yield Finding(Level.FINE, "lab session", "runs")


def role_check(role: str) -> Check:
    """The check of the role that the stack takes in the place of its own.

    Args:
        role: Its name or ARN.
    """

    def find_role(account: Account, _plan: Plan) -> Iterator[Finding]:
        name = role.rpartition("/")[2]
        subject = f"role {name}"
        try:
            document = account.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            yield Finding(
                Level.STOP,
                subject,
                "there is none",
                "the stack would have no role to give its functions and its job",
                "name the one that there is, -c existing_role=...",
            )
            return
        trusted = _trusted_services(document)
        if lacking := [service for service in _NEEDED if service not in trusted]:
            yield Finding(
                Level.STOP,
                subject,
                f"{', '.join(lacking)} may not assume it",
                "functions, job or schedule cannot be made",
                "name a role that lets them, -c existing_role=...",
            )
        elif lacking := [service for service in _USUAL if service not in trusted]:
            yield Finding(
                Level.WARNING,
                subject,
                f"{', '.join(lacking)} may not assume it",
                f"it is not as {ROLE} usually is; the pipeline takes {', '.join(_NEEDED)} alone",
            )
        else:
            yield Finding(Level.FINE, subject, "there, with the services that assume it")

    return find_role


def find_asset_bucket(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether the bucket is there from which CloudFormation takes template and code."""
    bucket = account.asset_bucket(plan.qualifier)
    try:
        account.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
        yield Finding(Level.FINE, "asset bucket", f"{bucket} is not there, `make deploy LAB=1` makes it")
        return
    yield Finding(Level.FINE, "asset bucket", bucket)


def checks(role: str) -> tuple[Subject, ...]:
    """What is asked of a lab, in the place of the bootstrap that it cannot have.

    Args:
        role: The role that the stack takes, by name or ARN.
    """
    return (
        ("lab", find_lab_identity, ()),
        ("lab region", find_lab_region, ()),
        ("lab session", find_lab_session, ("s3:ListAllMyBuckets",)),
        (f"role {role.rpartition('/')[2]}", role_check(role), ("iam:GetRole",)),
        ("asset bucket", find_asset_bucket, ("s3:ListBucket",)),
        *(each for each in CHECKS if each[0] != "bootstrap"),
    )


def _trusted_services(document: object) -> set[str]:
    """The services that may assume a role, such as `lambda` for lambda.amazonaws.com."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow":
            names = [services] if isinstance(services, str) else services
            found |= {name.partition(".")[0] for name in names}
    return found
