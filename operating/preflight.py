"""What a deployment will meet in an account, asked before it: `make preflight`; `make deploy` begins so, too.

Reading only. Each finding is a line: what was found, what it means, what to do. What would stop the
deployment, or have it overwrite something else, is told apart from what deserves a look. What the caller may
not see is a finding, too: neither a pass nor a failure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from operating.aws_prices import CATALOG_FREE_OBJECTS
from operating.estimate import CATALOG_OBJECTS_A_TICKER, TICKERS_A_SESSION
from operating.stack import BOOTSTRAP_QUALIFIER, asset_bucket, outputs_of
from operating.tables import bucket_of, owner

CDK_REGION = "us-east-1"
"""Where the CDK's command line deploys to when nothing names a region."""

BOOTSTRAP_NEEDED = 6
"""The bootstrap version that the template asks for (aws-cdk-lib, DefaultStackSynthesizer)."""

_TICKERS = max(TICKERS_A_SESSION.values())
"""Partitions of a session, where there is none to count."""

_FEW_SESSIONS = 60
"""So few sessions left in the free million are told as a warning: three months."""

_FUNCTIONS = 3
"""Scraper, starter and backfill: what runs at once at the least."""

_REFUSALS = {
    *("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"),
    *("UnauthorizedOperation", "Forbidden", "403"),
}
_NO_BUCKET = {"NoSuchBucket", "404"}

_MENDS = {
    "UPDATE_ROLLBACK_FAILED": "`cdk rollback`, which takes up the rollback, then again",
    "DELETE_FAILED": "delete it again: its events say what held it",
}
"""Of each state from which CloudFormation updates nothing, the way out."""

_DELETED_BY_CDK = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}


class Level(StrEnum):
    """How much a finding matters."""

    FINE = "ok"
    WARNING = "warning"
    STOP = "stop"
    UNSEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject.

    Attributes:
        level: How much it matters.
        subject: What was looked at.
        found: What was found.
        means: What it means for the deployment; nothing if that is plain.
        do: What to do; nothing if there is nothing.
    """

    level: Level
    subject: str
    found: str
    means: str = ""
    do: str = ""

    def line(self) -> str:
        """The finding as one line."""
        said = "; ".join(part for part in (self.found, self.means) if part)
        return f"{self.level:<8}  {self.subject}: {said}" + (f". {self._sentence()}" if self.do else "")

    def _sentence(self) -> str:
        return f"{self.do[0].upper()}{self.do[1:]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be deployed, as far as an account may stand in its way.

    Attributes:
        stack: Name of the stack.
        raw_database: Database that the stack makes.
        refined_database: Database in which the job makes its tables.
        refined_tables: These, the wide one first.
        wide_sessions: Sessions that the wide table is bound to; 0 for all.
        workers: Workers of a job run, of a DPU each (G.1X).
        runs: Job runs that go at a time.
        layer: ARN of the functions' layer; None if AWS publishes none in the region.
        kms_key: ARN of a key that the pipeline's roles may use; None without one.
        qualifier: What tells the resources of one bootstrap from another's.
    """

    stack: str
    raw_database: str
    refined_database: str
    refined_tables: tuple[str, ...]
    wide_sessions: int
    workers: int
    runs: int
    layer: str | None
    kms_key: str | None = None
    qualifier: str = BOOTSTRAP_QUALIFIER


class Account:
    """The account of some credentials, in one region.

    Attributes:
        region: The region.
        number: The account's number, once `identity` has been asked.
    """

    def __init__(self, session: boto3.Session, region: str) -> None:
        self._session = session
        self.region = region
        self.number = ""

    def client(self, service: str) -> Any:
        """A client of a service in the region; typed by none of the stubs, as the services are many."""
        make: Callable[..., Any] = self._session.client
        return make(service, region_name=self.region)

    def stack(self, name: str) -> Mapping[str, Any] | None:
        """A stack as CloudFormation describes it; None if there is none.

        Raises:
            ClientError: It does not say.
        """
        try:
            described: Mapping[str, Any] = self.client("cloudformation").describe_stacks(StackName=name)
        except ClientError as error:
            if _code(error) == "ValidationError":
                return None
            raise
        found: Mapping[str, Any] = described["Stacks"][0]
        return found

    def outputs(self, stack: str) -> dict[str, str]:
        """A stack's outputs; none if there is no such stack.

        Raises:
            ClientError: CloudFormation does not say.
        """
        return outputs_of(self.stack(stack) or {})

    def asset_bucket(self, qualifier: str) -> str:
        """The bucket of a bootstrap, to which the CDK uploads."""
        return asset_bucket(self.number, self.region, qualifier)


Check = Callable[[Account, Plan], Iterator[Finding]]

Subject = tuple[str, Check, tuple[str, ...]]
"""What is asked: its name, how, and the permissions that it takes beyond those of the checks before it."""


def find_region(environment: Mapping[str, str], configured: str | None) -> tuple[str, Finding]:
    """The region that the CDK deploys to, and what there is to say of it.

    Args:
        environment: The process's environment.
        configured: The region that boto3 finds, in `AWS_DEFAULT_REGION` or the profile.
    """
    named = environment.get("AWS_REGION") or configured
    if named is None:
        return CDK_REGION, Finding(
            Level.WARNING,
            "region",
            "none is set",
            f"the CDK deploys to {CDK_REGION}, and the other commands find no region",
            "export AWS_REGION and AWS_DEFAULT_REGION, or set the profile's",
        )
    if configured != named:
        return named, Finding(
            Level.WARNING,
            "region",
            f"AWS_REGION is {named}, AWS_DEFAULT_REGION or the profile's is {configured or 'not set'}",
            f"the CDK deploys to {named}, where the commands of operation do not look",
            f"export AWS_DEFAULT_REGION={named}",
        )
    return named, Finding(Level.FINE, "region", named)


def find_identity(account: Account) -> Finding:
    """Whose credentials these are; sets the account's number."""
    try:
        caller = account.client("sts").get_caller_identity()
    except (NoCredentialsError, ProfileNotFound, TokenRetrievalError, ClientError) as error:
        return Finding(
            Level.STOP,
            "identity",
            f"AWS does not know the caller: {error}".rstrip("."),
            do="renew your credentials until `aws sts get-caller-identity` answers",
        )
    account.number = caller["Account"]
    if caller["Arn"].endswith(":root"):
        return Finding(
            Level.WARNING,
            "identity",
            f"the root user of account {account.number}",
            "nothing limits it, and CloudFormation's resources are made all the same",
            "deploy as an IAM role, or a user of IAM Identity Center",
        )
    return Finding(Level.FINE, "identity", f"{caller['Arn']}, account {account.number}")


def find_stack(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether there is a stack of that name, and whether it can be updated."""
    subject = f"stack {plan.stack}"
    found = account.stack(plan.stack)
    if found is None:
        yield Finding(Level.FINE, subject, "not there, a new one is made")
        return
    status = found["StackStatus"]
    if status in _DELETED_BY_CDK:
        yield Finding(
            Level.WARNING,
            subject,
            f"its first deployment failed ({status})",
            "the CDK deletes it and begins anew; buckets that were retained stay",
        )
    elif status in _MENDS:
        yield Finding(Level.STOP, subject, f"it is {status}", "it takes no update", _MENDS[status])
    elif status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        yield Finding(Level.STOP, subject, f"it is {status}", "somebody is at work on it", "wait for its end")
    elif status.endswith("_COMPLETE") and "RawBucket" not in outputs_of(found):
        yield Finding(
            Level.STOP,
            subject,
            "there is one that is not this pipeline's",
            "the deployment would replace its resources",
            "choose another name, -c stack_name=...",
        )
    else:
        yield Finding(Level.FINE, subject, f"there ({status}), it is updated")


def find_bootstrap(account: Account, plan: Plan) -> Iterator[Finding]:
    """The CDK's own resources: their version, and whether the job can read what is in their bucket."""
    version = _bootstrap_version(account, plan.qualifier)
    if version is None:
        yield Finding(
            Level.WARNING,
            "bootstrap",
            "the account is not bootstrapped in this region",
            "`make deploy` does it; `cdk deploy` alone, as in GitHub Actions, would stop",
        )
        return
    if version < BOOTSTRAP_NEEDED:
        yield Finding(
            Level.WARNING,
            "bootstrap",
            f"version {version}, at least {BOOTSTRAP_NEEDED} is needed",
            "`make deploy` brings it up to date; `cdk deploy` alone would stop",
        )
    else:
        yield Finding(Level.FINE, "bootstrap", f"version {version}")
    yield from _bootstrap_bucket(account, plan)


def _bootstrap_version(account: Account, qualifier: str) -> int | None:
    systems = account.client("ssm")
    try:
        parameter = systems.get_parameter(Name=f"/cdk-bootstrap/{qualifier}/version")["Parameter"]
    except ClientError as error:
        if _code(error) == "ParameterNotFound":
            return None
        raise
    return int(parameter["Value"])


def _bootstrap_bucket(account: Account, plan: Plan) -> Iterator[Finding]:
    bucket = account.asset_bucket(plan.qualifier)
    try:
        answer = account.client("s3").get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=account.number)
    except ClientError as error:
        if _code(error) not in _NO_BUCKET:
            raise
        yield Finding(
            Level.STOP,
            "bootstrap bucket",
            f"{bucket} is not there, although the account is bootstrapped",
            "nothing can be published, and `cdk bootstrap` does not make it again",
            "delete the stack CDKToolkit, then `cdk bootstrap`",
        )
        return
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    key = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    if key is None or key.endswith("alias/aws/s3"):
        yield Finding(Level.FINE, "bootstrap bucket", "encrypted by AWS's own key")
    elif key == plan.kms_key:
        yield Finding(Level.FINE, "bootstrap bucket", "encrypted by the key that the pipeline may use")
    elif _is_open_to(account.number, account.client("kms").get_key_policy(KeyId=key)["Policy"]):
        yield Finding(
            Level.FINE, "bootstrap bucket", "encrypted by a key of its own, which lets the whole account read"
        )
    else:
        yield Finding(
            Level.WARNING,
            "bootstrap bucket",
            f"encrypted by {key}, whose policy lets not everybody of the account read through S3",
            "the job may not read its script, and every run of it fails",
            'let the job\'s role decrypt with it: docs/deploy.md, "A bootstrap bucket with its own key"',
        )


def _is_open_to(number: str, policy: str) -> bool:
    """Whether a key's policy lets a whole account decrypt, as that of a key of the bootstrap's does."""
    for statement in _listed(json.loads(policy)["Statement"]):
        conditions = {
            key: _listed(values)
            for keys in statement.get("Condition", {}).values()
            for key, values in keys.items()
        }
        callers = conditions.get("kms:CallerAccount", conditions.get("aws:PrincipalAccount", []))
        if (
            statement["Effect"] == "Allow"
            and statement["Principal"] in ("*", {"AWS": "*"})
            and {"kms:Decrypt", "kms:*", "*"} & set(_listed(statement["Action"]))
            and number in callers
        ):
            return True
    return False


def find_layer(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether the functions' layer is published in the region."""
    if plan.layer is None:
        yield Finding(
            Level.STOP,
            "layer",
            f"AWS publishes no AWSSDKPandas layer in {account.region}",
            "the deployment would stop at the mapping AWSSDKPandasLayerOfRegion",
            "deploy to another region, or name a layer of your own, -c pandas_layer_arn=...",
        )
    elif plan.layer.split(":")[3] != account.region:
        yield Finding(
            Level.STOP,
            "layer",
            f"{plan.layer} is not of {account.region}",
            "a function takes layers of its own region alone",
            "name one of this region, -c pandas_layer_arn=...",
        )
    else:
        yield Finding(Level.FINE, "layer", plan.layer)


def find_lake_formation(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether IAM alone decides on new databases and tables of the Data Catalog."""
    settings = account.client("lakeformation").get_data_lake_settings()["DataLakeSettings"]
    governed = [
        kind
        for kind in ("Database", "Table")
        if not any(
            each["Principal"]["DataLakePrincipalIdentifier"] == "IAM_ALLOWED_PRINCIPALS"
            and "ALL" in each["Permissions"]
            for each in settings.get(f"Create{kind}DefaultPermissions", [])
        )
    ]
    if governed:
        kinds = " and ".join(f"{kind.lower()}s" for kind in governed)
        yield Finding(
            Level.WARNING,
            "Lake Formation",
            f"new {kinds} are not left to IAM (no IAMAllowedPrincipals in the defaults)",
            f"CloudFormation may not make database {plan.raw_database}, the job not its tables in "
            f"{plan.refined_database}, and people who query see nothing, whatever IAM allows",
            'grant what docs/deploy.md says under "Lake Formation"',
        )
    else:
        yield Finding(Level.FINE, "Lake Formation", "IAM decides on new databases and tables")


def find_raw_database(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether the database that the stack makes is there, and whose it is."""
    subject = f"database {plan.raw_database}"
    glue = account.client("glue")
    try:
        glue.get_database(Name=plan.raw_database)
    except ClientError as error:
        if _code(error) != "EntityNotFoundException":
            raise
        yield Finding(Level.FINE, subject, "not there, the stack makes it")
        return
    if account.outputs(plan.stack).get("RawDatabase") == plan.raw_database:
        yield Finding(Level.FINE, subject, "the stack's own")
        return
    tables = glue.get_tables(DatabaseName=plan.raw_database, MaxResults=1)["TableList"]
    buckets = {bucket_of(table) for table in tables} - {""}
    yield Finding(
        Level.STOP,
        subject,
        "there, and not this stack's" + "".join(f" (its tables lie in bucket {name})" for name in buckets),
        "CloudFormation refuses to make it again",
        "choose another name, -c raw_database=...",
    )


def find_refined_tables(account: Account, plan: Plan) -> Iterator[Finding]:
    """Whether the job's tables are there, and whose they are."""
    for name in plan.refined_tables:
        subject = f"table {plan.refined_database}.{name}"
        table = _table(account, plan.refined_database, name)
        if table is None:
            yield Finding(Level.FINE, subject, "not there, the job makes it")
            continue
        bucket = bucket_of(table)
        if bucket and bucket == account.outputs(plan.stack).get("RefinedBucket"):
            yield Finding(Level.FINE, subject, "the stack's own")
            continue
        whose = owner(bucket, account.client("cloudformation")) if bucket else ""
        do = "choose another name, -c refined_table=... or stack_name=..."
        yield Finding(
            Level.WARNING,
            subject,
            f"lies in bucket {bucket or '(none)'}, which {f'stack {whose}' if whose else 'no stack'} has",
            "every run of the job will refuse it, and write nothing",
            do if whose else f"after the deployment, `python -m stacks.tables` says what to do; or {do}",
        )


def find_lambda(account: Account, plan: Plan) -> Iterator[Finding]:
    """How many functions the account runs at once."""
    limit = account.client("lambda").get_account_settings()["AccountLimit"]
    at_once, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    if free < _FUNCTIONS:
        yield Finding(
            Level.WARNING,
            "Lambda",
            f"{at_once:,} executions at once, {free:,} of them not reserved by other functions",
            f"{plan.stack} has {_FUNCTIONS} functions, and events that find none wait",
            'ask for more: Service Quotas, Lambda, "Concurrent executions"',
        )
    else:
        yield Finding(Level.FINE, "Lambda", f"{at_once:,} executions at once, {free:,} not reserved")


def find_glue(account: Account, plan: Plan) -> Iterator[Finding]:
    """How much of Glue the account runs at once."""
    pages = account.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="glue")
    quotas = {quota["QuotaName"].lower(): quota["Value"] for page in pages for quota in page["Quotas"]}
    wanted = (("concurrent job runs per account", plan.runs), ("task dpus", plan.runs * plan.workers))
    for name, needed in wanted:
        found = [(full, value) for full, value in quotas.items() if name in full]
        if not found:
            yield Finding(Level.UNSEEN, "Glue", f"Service Quotas lists no quota of {name}")
        for full, value in found:
            if value < needed:
                yield Finding(
                    Level.WARNING,
                    "Glue",
                    f"{full}: {value:,.0f}, of {needed} that {plan.runs} runs of the job take at a time",
                    "some wait or fail",
                    "ask for more in Service Quotas, or set glue_concurrent_runs or glue_worker_count lower",
                )
            else:
                yield Finding(Level.FINE, "Glue", f"{full}: {value:,.0f}")


def find_partitions(account: Account, plan: Plan) -> Iterator[Finding]:
    """How many sessions of the wide table the Data Catalog's free objects leave room for."""
    table = _table(account, plan.refined_database, plan.refined_tables[0])
    sessions, a_session = 0, _TICKERS * CATALOG_OBJECTS_A_TICKER
    if table is not None:
        sessions, a_session = _measured(account, plan, table)
    used = sessions * a_session
    found = (
        f"{sessions:,} sessions in the wide table, about {used:,} of {CATALOG_FREE_OBJECTS:,} free objects"
    )
    cost = "the Data Catalog charges for what is beyond (docs/cost.md)"
    enough = CATALOG_FREE_OBJECTS // a_session
    bound = f"bind it to its newest sessions, -c wide_sessions={enough // 10 * 10 or enough}"
    if plan.wide_sessions:
        most = plan.wide_sessions * a_session
        level = Level.FINE if most <= CATALOG_FREE_OBJECTS else Level.WARNING
        means = f"bound to {plan.wide_sessions:,} sessions, it takes about {most:,}"
        yield Finding(level, "partitions", found, means, "" if level is Level.FINE else bound)
        return
    left = (CATALOG_FREE_OBJECTS - used) // a_session
    if left < 0:
        yield Finding(Level.WARNING, "partitions", found, cost, bound)
    elif left < _FEW_SESSIONS:
        yield Finding(Level.WARNING, "partitions", found, f"room for about {left:,} sessions; {cost}", bound)
    else:
        yield Finding(Level.FINE, "partitions", found, f"room for about {left:,} sessions")


def _measured(account: Account, plan: Plan, table: Mapping[str, Any]) -> tuple[int, int]:
    """Sessions of the wide table, and objects that the newest takes: partitions, and entries of each index.

    Counting a million partitions takes a thousand calls; sessions are folders, of which a call lists as many.
    """
    bucket, _, folder = table["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
    pages = (
        account.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=bucket, Prefix=f"{folder.rstrip('/')}/", Delimiter="/")
    )
    folders = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    sessions = [path.rstrip("/").rpartition("=")[2] for path in folders if "trade_date=" in path]
    where = {"DatabaseName": plan.refined_database, "TableName": plan.refined_tables[0]}
    glue = account.client("glue")
    index_pages = glue.get_paginator("get_partition_indexes").paginate(**where)
    indexes = sum(len(page["PartitionIndexDescriptorList"]) for page in index_pages)
    if not sessions:
        return 0, _TICKERS * (1 + indexes)
    newest = glue.get_paginator("get_partitions").paginate(
        **where, Expression=f"trade_date = '{max(sessions)}'", ExcludeColumnSchema=True
    )
    partitions = sum(len(page["Partitions"]) for page in newest)
    return len(sessions), (partitions or _TICKERS) * (1 + indexes)


CHECKS: tuple[Subject, ...] = (
    ("stack", find_stack, ("cloudformation:DescribeStacks",)),
    ("bootstrap", find_bootstrap, ("ssm:GetParameter", "s3:GetEncryptionConfiguration", "kms:GetKeyPolicy")),
    ("layer", find_layer, ()),
    ("Lake Formation", find_lake_formation, ("lakeformation:GetDataLakeSettings",)),
    ("raw database", find_raw_database, ("glue:GetDatabase", "glue:GetTables")),
    ("refined tables", find_refined_tables, ("glue:GetTable", "cloudformation:DescribeStackResources")),
    ("Lambda", find_lambda, ("lambda:GetAccountSettings",)),
    ("Glue", find_glue, ("servicequotas:ListServiceQuotas",)),
    ("partitions", find_partitions, ("s3:ListBucket", "glue:GetPartitionIndexes", "glue:GetPartitions")),
)
"""What an account of one's own is asked."""


def examine(account: Account, plan: Plan, checks: Sequence[Subject]) -> Iterator[Finding]:
    """Ask an account, one check after the other.

    Args:
        account: The account, whose identity is known.
        plan: What is to be deployed.
        checks: What to ask.
    """
    for subject, check, permissions in checks:
        try:
            yield from check(account, plan)
        except ClientError as error:
            said = error.response["Error"].get("Message") or _code(error)
            do = f"it takes {', '.join(permissions)}" if _code(error) in _REFUSALS else "ask again"
            yield _unseen(subject, f"{error.operation_name}: {said}", do)
        except BotoCoreError as error:
            yield _unseen(subject, str(error), "ask again")


def _unseen(subject: str, why: str, do: str) -> Finding:
    return Finding(Level.UNSEEN, subject, f"could not look: {why.rstrip('.')}", do=do)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _table(account: Account, database: str, name: str) -> Mapping[str, Any] | None:
    try:
        table: Mapping[str, Any] = account.client("glue").get_table(DatabaseName=database, Name=name)["Table"]
    except ClientError as error:
        if _code(error) == "EntityNotFoundException":
            return None
        raise
    return table
