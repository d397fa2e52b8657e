"""What the preflight says of each answer that AWS can give; the answers are botocore's stubs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from operating import preflight, preflight_lab
from operating.preflight import Account, Check, Finding, Level, Plan

REGION = "sa-east-1"
NUMBER = "111122223333"
BUCKET = f"cdk-hnb659fds-assets-{NUMBER}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{NUMBER}:key/0a1b2c3d"
LAYER = f"arn:aws:lambda:{REGION}:336392948345:layer:AWSSDKPandas-Python313:12"
PLAN = Plan(
    stack="Bovespa",
    raw_database="bovespa",
    refined_database="default",
    refined_tables=("wide", "wide_compact"),
    wide_sessions=0,
    workers=2,
    runs=3,
    layer=LAYER,
)

FINE, WARNING, STOP, UNSEEN = Level.FINE, Level.WARNING, Level.STOP, Level.UNSEEN


class Stubbed(Account):
    """An account that gives the answers that a test has written down, in their order."""

    def __init__(self, region: str = REGION) -> None:
        super().__init__(boto3.Session(), region)
        self.number = NUMBER
        self._clients: dict[str, Any] = {}
        self._stubs: dict[str, Stubber] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            make: Any = boto3.client
            client = make(service, region_name=REGION, aws_access_key_id="none", aws_secret_access_key="none")
            self._clients[service] = client
            self._stubs[service] = Stubber(client)
            self._stubs[service].activate()
        return self._clients[service]

    def answers(self, service: str, operation: str, answer: dict[str, Any], **asked: Any) -> None:
        self.client(service)
        self._stubs[service].add_response(operation, answer, asked or None)

    def refuses(self, service: str, operation: str, code: str, message: str = "no") -> None:
        self.client(service)
        self._stubs[service].add_client_error(operation, code, message)

    def assert_all_was_asked(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubbed]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    stubbed = Stubbed()
    yield stubbed
    stubbed.assert_all_was_asked()


def ask(account: Account, check: Check, plan: Plan = PLAN) -> list[Finding]:
    """What a check finds, as `examine` tells it."""
    (subject,) = [each for each in (*preflight.CHECKS, ("", check, ("a:B",))) if each[1] is check][:1]
    return list(preflight.examine(account, plan, [subject]))


def only(account: Account, check: Check, plan: Plan = PLAN) -> Finding:
    (finding,) = ask(account, check, plan)
    return finding


def describe(account: Stubbed, status: str = "UPDATE_COMPLETE", **outputs: str) -> None:
    """Have CloudFormation describe a stack; one of the pipeline's has outputs."""
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stack: dict[str, Any] = {"StackName": PLAN.stack, "CreationTime": "2026-11-27T00:00:00Z"}
    answer = {"Stacks": [{**stack, "StackStatus": status, "Outputs": listed}]}
    account.answers("cloudformation", "describe_stacks", answer, StackName=PLAN.stack)


def describe_none(account: Stubbed) -> None:
    account.refuses("cloudformation", "describe_stacks", "ValidationError", "Stack does not exist")


def table(name: str, location: str) -> dict[str, Any]:
    return {"Name": name, "StorageDescriptor": {"Location": location}}


# The line itself


def test_a_finding_is_one_line_of_what_was_found_what_it_means_and_what_to_do() -> None:
    finding = Finding(STOP, "layer", "there is none", "nothing runs", "name one")
    assert finding.line() == "stop      layer: there is none; nothing runs. Name one"
    assert Finding(FINE, "region", "sa-east-1").line() == "ok        region: sa-east-1"


# Region and identity


@pytest.mark.parametrize(
    ("environment", "configured", "region", "level"),
    [
        ({"AWS_REGION": "sa-east-1"}, "sa-east-1", "sa-east-1", FINE),
        ({}, "us-west-2", "us-west-2", FINE),
        ({"AWS_REGION": "sa-east-1"}, "us-east-1", "sa-east-1", WARNING),  # of the CDK's two it is the first
        ({"AWS_REGION": "sa-east-1"}, None, "sa-east-1", WARNING),
        ({}, None, "us-east-1", WARNING),
    ],
)
def test_the_region_is_the_one_that_the_cdk_takes(
    environment: dict[str, str], configured: str | None, region: str, level: Level
) -> None:
    found, finding = preflight.find_region(environment, configured)
    assert (found, finding.level) == (region, level)
    assert region in finding.line()


@pytest.mark.parametrize(
    ("arn", "level", "says"),
    [
        (f"arn:aws:iam::{NUMBER}:user/ana", FINE, f"user/ana, account {NUMBER}"),
        (f"arn:aws:iam::{NUMBER}:root", WARNING, f"the root user of account {NUMBER}"),
    ],
)
def test_the_caller_is_named_and_the_root_user_warned(
    account: Stubbed, arn: str, level: Level, says: str
) -> None:
    account.number = ""
    account.answers("sts", "get_caller_identity", {"Arn": arn, "Account": NUMBER, "UserId": "AIDA"})
    finding = preflight.find_identity(account)
    assert (finding.level, account.number) == (level, NUMBER)
    assert says in finding.found


def test_credentials_that_have_expired_stop_it(account: Stubbed) -> None:
    account.refuses("sts", "get_caller_identity", "ExpiredToken", "The security token has expired")
    finding = preflight.find_identity(account)
    assert finding.level is STOP
    assert "The security token has expired" in finding.found


def test_no_credentials_stop_it(account: Stubbed, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_service: str) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(account, "client", none)
    assert preflight.find_identity(account).level is STOP


# The stack


def test_a_stack_that_is_not_there_is_made(account: Stubbed) -> None:
    describe_none(account)
    assert only(account, preflight.find_stack) == Finding(
        FINE, "stack Bovespa", "not there, a new one is made"
    )


@pytest.mark.parametrize(
    ("status", "level", "says"),
    [
        ("CREATE_COMPLETE", FINE, "it is updated"),
        ("UPDATE_ROLLBACK_COMPLETE", FINE, "it is updated"),
        ("UPDATE_FAILED", FINE, "it is updated"),
        ("ROLLBACK_COMPLETE", WARNING, "the CDK deletes it and begins anew"),
        ("ROLLBACK_FAILED", WARNING, "the CDK deletes it and begins anew"),
        ("UPDATE_IN_PROGRESS", STOP, "Wait for its end"),
        ("UPDATE_ROLLBACK_FAILED", STOP, "`cdk rollback`"),
        ("DELETE_FAILED", STOP, "Delete it again"),
    ],
)
def test_the_state_of_a_stack_says_whether_it_can_be_updated(
    account: Stubbed, status: str, level: Level, says: str
) -> None:
    describe(account, status, RawBucket="raw")
    finding = only(account, preflight.find_stack)
    assert finding.level is level
    assert says in finding.line()
    assert status in finding.line()


def test_a_change_set_that_nobody_has_executed_is_no_stack_of_others(account: Stubbed) -> None:
    describe(account, "REVIEW_IN_PROGRESS")
    assert only(account, preflight.find_stack).level is FINE


def test_a_stack_of_another_kind_under_the_name_stops_it(account: Stubbed) -> None:
    describe(account, "CREATE_COMPLETE", WebsiteURL="https://example.org")
    finding = only(account, preflight.find_stack)
    assert finding.level is STOP
    assert "-c stack_name=" in finding.do


# The bootstrap


def bootstrapped(account: Stubbed, version: int = 33) -> None:
    account.answers(
        "ssm",
        "get_parameter",
        {"Parameter": {"Value": str(version)}},
        Name="/cdk-bootstrap/hnb659fds/version",
    )


def encrypt(account: Stubbed, algorithm: str = "aws:kms", key: str | None = None) -> None:
    by: dict[str, Any] = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    account.answers(
        "s3",
        "get_bucket_encryption",
        {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": by}]}},
        Bucket=BUCKET,
        ExpectedBucketOwner=NUMBER,
    )


def key_policy(account: Stubbed, *statements: dict[str, Any]) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    account.answers("kms", "get_key_policy", {"Policy": policy}, KeyId=KEY)


ROOT = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{NUMBER}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
WHOLE_ACCOUNT = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
    "Resource": "*",
    "Condition": {
        "StringEquals": {
            "kms:CallerAccount": NUMBER,
            "kms:ViaService": [f"s3.{REGION}.amazonaws.com"],
        }
    },
}


def test_an_account_without_a_bootstrap_gets_one_from_make_deploy_alone(account: Stubbed) -> None:
    account.refuses("ssm", "get_parameter", "ParameterNotFound")
    finding = only(account, preflight.find_bootstrap)
    assert finding.level is WARNING
    assert "`make deploy` does it; `cdk deploy` alone" in finding.means


@pytest.mark.parametrize(("version", "level"), [(5, WARNING), (6, FINE), (33, FINE)])
def test_a_bootstrap_is_old_when_the_template_asks_for_more(
    account: Stubbed, version: int, level: Level
) -> None:
    bootstrapped(account, version)
    encrypt(account, "AES256")
    found, bucket = ask(account, preflight.find_bootstrap)
    assert (found.level, bucket.level) == (level, FINE)
    assert f"version {version}" in found.found


def test_a_bootstrap_whose_bucket_somebody_deleted_stops_it(account: Stubbed) -> None:
    bootstrapped(account)
    account.refuses("s3", "get_bucket_encryption", "NoSuchBucket")
    _, bucket = ask(account, preflight.find_bootstrap)
    assert bucket.level is STOP
    assert BUCKET in bucket.found


@pytest.mark.parametrize("key", [None, f"arn:aws:kms:{REGION}:{NUMBER}:alias/aws/s3"])
def test_a_key_of_aws_s_own_lets_everybody_read(account: Stubbed, key: str | None) -> None:
    bootstrapped(account)
    encrypt(account, "aws:kms", key)
    assert [each.level for each in ask(account, preflight.find_bootstrap)] == [FINE, FINE]


def test_a_key_that_the_bootstrap_made_lets_the_account_read(account: Stubbed) -> None:
    bootstrapped(account)
    encrypt(account, key=KEY)
    key_policy(account, ROOT, WHOLE_ACCOUNT)
    assert [each.level for each in ask(account, preflight.find_bootstrap)] == [FINE, FINE]


OTHER_ACCOUNT = {"StringEquals": {"kms:CallerAccount": "444455556666"}}


@pytest.mark.parametrize(
    "statements",
    [
        [ROOT],  # which leaves it to IAM, where the job's role has nothing for this key
        [ROOT, {**WHOLE_ACCOUNT, "Action": "kms:GenerateDataKey"}],
        [ROOT, {**WHOLE_ACCOUNT, "Effect": "Deny"}],
        [ROOT, {**WHOLE_ACCOUNT, "Condition": OTHER_ACCOUNT}],
        [ROOT, {**WHOLE_ACCOUNT, "Principal": {"AWS": f"arn:aws:iam::{NUMBER}:role/publisher"}}],
    ],
)
def test_a_key_that_lets_not_everybody_read_is_warned_of(
    account: Stubbed, statements: list[dict[str, Any]]
) -> None:
    bootstrapped(account)
    encrypt(account, key=KEY)
    key_policy(account, *statements)
    _, bucket = ask(account, preflight.find_bootstrap)
    assert bucket.level is WARNING
    assert "may not read its script" in bucket.means


def test_the_key_that_the_pipeline_may_use_is_the_bootstrap_s_as_well(account: Stubbed) -> None:
    bootstrapped(account)
    encrypt(account, key=KEY)
    plan = replace(PLAN, kms_key=KEY)
    assert [each.level for each in ask(account, preflight.find_bootstrap, plan)] == [FINE, FINE]


def test_a_key_whose_policy_may_not_be_seen_is_neither_fine_nor_warned_of(account: Stubbed) -> None:
    bootstrapped(account)
    encrypt(account, key=KEY)
    account.refuses("kms", "get_key_policy", "AccessDeniedException")
    _, unseen = ask(account, preflight.find_bootstrap)
    assert unseen.level is UNSEEN
    assert "kms:GetKeyPolicy" in unseen.do


# The layer


@pytest.mark.parametrize(
    ("layer", "level", "says"),
    [
        (LAYER, FINE, LAYER),
        (None, STOP, "no AWSSDKPandas layer in sa-east-1"),
        (LAYER.replace(REGION, "us-east-1"), STOP, "not of sa-east-1"),
    ],
)
def test_a_layer_is_of_the_functions_own_region(
    account: Stubbed, layer: str | None, level: Level, says: str
) -> None:
    plan = replace(PLAN, layer=layer)
    finding = only(account, preflight.find_layer, plan)
    assert finding.level is level
    assert says in finding.found


# Lake Formation


def defaults(*, databases: bool, tables: bool) -> dict[str, Any]:
    """Data lake settings; True leaves the kind to IAM, as a new account does."""
    everybody = [
        {
            "Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"},
            "Permissions": ["ALL"],
        }
    ]
    return {
        "DataLakeSettings": {
            "CreateDatabaseDefaultPermissions": everybody if databases else [],
            "CreateTableDefaultPermissions": everybody if tables else [],
        }
    }


@pytest.mark.parametrize(
    ("settings", "level", "says"),
    [
        (defaults(databases=True, tables=True), FINE, "IAM decides"),
        (defaults(databases=False, tables=True), WARNING, "new databases are not left to IAM"),
        (defaults(databases=True, tables=False), WARNING, "new tables are not left to IAM"),
        (defaults(databases=False, tables=False), WARNING, "new databases and tables are not"),
        ({"DataLakeSettings": {}}, WARNING, "new databases and tables are not"),
    ],
)
def test_lake_formation_without_iam_s_principals_is_warned_of(
    account: Stubbed, settings: dict[str, Any], level: Level, says: str
) -> None:
    account.answers("lakeformation", "get_data_lake_settings", settings)
    finding = only(account, preflight.find_lake_formation)
    assert finding.level is level
    assert says in finding.found


# Database and tables


def test_a_raw_database_that_is_not_there_is_made(account: Stubbed) -> None:
    account.refuses("glue", "get_database", "EntityNotFoundException")
    assert only(account, preflight.find_raw_database).level is FINE


def test_the_stack_s_own_raw_database_is_updated(account: Stubbed) -> None:
    account.answers("glue", "get_database", {"Database": {"Name": "bovespa"}}, Name="bovespa")
    describe(account, RawDatabase="bovespa")
    assert only(account, preflight.find_raw_database).level is FINE


def test_a_raw_database_of_another_stack_stops_it_and_its_bucket_is_named(account: Stubbed) -> None:
    account.answers("glue", "get_database", {"Database": {"Name": "bovespa"}})
    describe_none(account)
    there = {"TableList": [table("cotahist", "s3://first-raw/raw/cotahist/")]}
    account.answers("glue", "get_tables", there, DatabaseName="bovespa", MaxResults=1)
    finding = only(account, preflight.find_raw_database)
    assert finding.level is STOP
    assert "bucket first-raw" in finding.found
    assert "-c raw_database=" in finding.do


def test_a_raw_database_that_the_stack_is_only_now_to_have_is_another_s(account: Stubbed) -> None:
    account.answers("glue", "get_database", {"Database": {"Name": "bovespa"}})
    describe(account, RawDatabase="of_before")
    account.answers("glue", "get_tables", {"TableList": []})
    assert only(account, preflight.find_raw_database).level is STOP


def test_refined_tables_that_are_not_there_are_made(account: Stubbed) -> None:
    for _ in PLAN.refined_tables:
        account.refuses("glue", "get_table", "EntityNotFoundException")
    wide, compact = ask(account, preflight.find_refined_tables)
    assert (wide.level, wide.subject) == (FINE, "table default.wide")
    assert (compact.level, compact.subject) == (FINE, "table default.wide_compact")


def test_refined_tables_in_the_stack_s_bucket_are_its_own(account: Stubbed) -> None:
    for name, folder in (("wide", "refined"), ("wide_compact", "refined_compact/")):
        there = {"Table": table(name, f"s3://ours/{folder}")}
        account.answers("glue", "get_table", there, DatabaseName="default", Name=name)
        describe(account, RefinedBucket="ours")
    assert [each.level for each in ask(account, preflight.find_refined_tables)] == [FINE, FINE]


def owned(account: Stubbed, stack: str) -> None:
    """Have CloudFormation name the stack of a bucket."""
    resource: dict[str, Any] = {
        "StackName": stack,
        "LogicalResourceId": "Bucket",
        "PhysicalResourceId": "theirs",
        "ResourceType": "AWS::S3::Bucket",
        "Timestamp": "2026-11-27T00:00:00Z",
        "ResourceStatus": "CREATE_COMPLETE",
    }
    answer = {"StackResources": [resource]}
    account.answers("cloudformation", "describe_stack_resources", answer, PhysicalResourceId="theirs")


def test_a_refined_table_of_another_stack_is_warned_of_with_its_name(account: Stubbed) -> None:
    account.answers("glue", "get_table", {"Table": table("wide", "s3://theirs/refined")})
    describe(account, RefinedBucket="ours")
    owned(account, "First")
    account.refuses("glue", "get_table", "EntityNotFoundException")
    wide, _ = ask(account, preflight.find_refined_tables)
    assert wide.level is WARNING
    assert "lies in bucket theirs, which stack First has; every run" in wide.line()
    assert "stacks.tables" not in wide.do


def test_a_refined_table_that_a_stack_has_left_is_for_stacks_tables(account: Stubbed) -> None:
    account.answers("glue", "get_table", {"Table": table("wide", "s3://theirs/refined")})
    describe_none(account)
    account.refuses("cloudformation", "describe_stack_resources", "ValidationError")
    account.refuses("glue", "get_table", "EntityNotFoundException")
    wide, _ = ask(account, preflight.find_refined_tables)
    assert wide.level is WARNING
    assert "which no stack has" in wide.found
    assert "`python -m stacks.tables` says what to do" in wide.do


def test_a_refined_table_without_a_place_is_nobody_s(account: Stubbed) -> None:
    account.answers("glue", "get_table", {"Table": {"Name": "wide"}})
    account.refuses("glue", "get_table", "EntityNotFoundException")
    wide, _ = ask(account, preflight.find_refined_tables)
    assert (wide.level, "bucket (none)" in wide.found) == (WARNING, True)


def test_whose_a_refined_table_is_may_not_be_seen(account: Stubbed) -> None:
    account.answers("glue", "get_table", {"Table": table("wide", "s3://theirs/refined")})
    describe(account, RefinedBucket="ours")
    account.refuses("cloudformation", "describe_stack_resources", "AccessDenied")
    finding = only(account, preflight.find_refined_tables)
    assert finding.level is UNSEEN
    assert "cloudformation:DescribeStackResources" in finding.do


# Quotas


@pytest.mark.parametrize(("free", "level"), [(1000, FINE), (3, FINE), (2, WARNING)])
def test_functions_need_executions_that_others_have_not_reserved(
    account: Stubbed, free: int, level: Level
) -> None:
    limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": free}
    account.answers("lambda", "get_account_settings", {"AccountLimit": limit})
    finding = only(account, preflight.find_lambda)
    assert finding.level is level
    assert "1,000 executions at once" in finding.found


def quotas(account: Stubbed, **values: float) -> None:
    named = {"runs": "Max concurrent job runs per account", "dpus": "Max task DPUs per account"}
    listed = [{"QuotaName": named[name], "Value": value} for name, value in values.items()]
    # The listing has pages, and other quotas
    page: dict[str, Any] = {
        "Quotas": [{"QuotaName": "Max concurrent job runs per job", "Value": 0.0}],
        "NextToken": "more",
    }
    account.answers("service-quotas", "list_service_quotas", page, ServiceCode="glue")
    account.answers(
        "service-quotas", "list_service_quotas", {"Quotas": listed}, ServiceCode="glue", NextToken="more"
    )


def test_glue_s_quotas_are_held_against_a_run(account: Stubbed) -> None:
    quotas(account, runs=3.0, dpus=5.0)
    runs, dpus = ask(account, preflight.find_glue)
    assert (runs.level, runs.found) == (FINE, "max concurrent job runs per account: 3")
    assert (dpus.level, dpus.found) == (
        WARNING,
        "max task dpus per account: 5, of 6 that 3 runs of the job take at a time",
    )


def test_a_quota_that_is_not_listed_is_not_seen(account: Stubbed) -> None:
    quotas(account, runs=30.0)
    assert [each.level for each in ask(account, preflight.find_glue)] == [FINE, UNSEEN]


# Partitions


def lake(account: Stubbed, sessions: int, partitions: int, indexes: int = 1) -> None:
    """A wide table of so many sessions, the newest of so many partitions."""
    days = [f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}" for number in range(sessions)]
    account.answers(
        "glue",
        "get_table",
        {"Table": table("wide", "s3://ours/refined")},
        DatabaseName="default",
        Name="wide",
    )
    account.answers(
        "s3",
        "list_objects_v2",
        {
            "CommonPrefixes": [
                {"Prefix": "refined/_temporary/"},
                *({"Prefix": f"refined/trade_date={day}/"} for day in days),
            ]
        },
        Bucket="ours",
        Prefix="refined/",
        Delimiter="/",
    )
    where = {"DatabaseName": "default", "TableName": "wide"}
    index = {"IndexName": "i", "Keys": [{"Name": "ticker", "Type": "string"}], "IndexStatus": "ACTIVE"}
    account.answers(
        "glue", "get_partition_indexes", {"PartitionIndexDescriptorList": [index] * indexes}, **where
    )
    if sessions:
        account.answers(
            "glue",
            "get_partitions",
            {"Partitions": [{"Values": [days[-1], "X"]}] * partitions},
            **where,
            Expression=f"trade_date = '{days[-1]}'",
            ExcludeColumnSchema=True,
        )


def bound_to(sessions: int) -> Plan:
    return replace(PLAN, wide_sessions=sessions)


def test_without_a_table_the_free_million_is_for_some_sessions(account: Stubbed) -> None:
    account.refuses("glue", "get_table", "EntityNotFoundException")
    finding = only(account, preflight.find_partitions)
    # A million by 3 x 1,383: the partitions, and two indexes of them
    assert (finding.level, finding.means) == (FINE, "room for about 241 sessions")


def test_an_empty_table_is_as_none(account: Stubbed) -> None:
    lake(account, sessions=0, partitions=0, indexes=2)
    assert only(account, preflight.find_partitions).means == "room for about 241 sessions"


def test_sessions_are_counted_by_their_folders_and_their_partitions_by_the_newest(account: Stubbed) -> None:
    lake(account, sessions=10, partitions=1_000)
    finding = only(account, preflight.find_partitions)
    # 10 x 1,000 partitions and as many entries of the index; 980,000 by 2,000 are left
    assert (finding.level, finding.found, finding.means) == (
        FINE,
        "10 sessions in the wide table, about 20,000 of 1,000,000 free objects",
        "room for about 490 sessions",
    )


def test_a_second_index_takes_as_many_objects_again(account: Stubbed) -> None:
    lake(account, sessions=10, partitions=1_000, indexes=2)
    assert "about 30,000 of" in only(account, preflight.find_partitions).found


@pytest.mark.parametrize(
    ("partitions", "says", "bound"),
    [
        (4_200, "room for about 19 sessions; the Data", "wide_sessions=110"),  # a million by 8,400: 119
        (6_000, "the Data Catalog", "wide_sessions=80"),
    ],
)
def test_a_million_that_is_nearly_or_wholly_used_is_warned_of(
    account: Stubbed, partitions: int, says: str, bound: str
) -> None:
    lake(account, sessions=100, partitions=partitions)
    finding = only(account, preflight.find_partitions)
    assert finding.level is WARNING
    assert finding.means.startswith(says)
    assert bound in finding.do


@pytest.mark.parametrize(("bound", "level"), [(250, FINE), (500, FINE), (501, WARNING)])
def test_a_bound_table_takes_what_its_sessions_take(account: Stubbed, bound: int, level: Level) -> None:
    lake(account, sessions=10, partitions=1_000)
    finding = only(account, preflight.find_partitions, bound_to(bound))
    assert finding.level is level
    assert f"bound to {bound} sessions, it takes about {bound * 2_000:,}" in finding.means


# What may not be seen


FIRST_CALLS = {
    "stack": ("cloudformation", "describe_stacks"),
    "bootstrap": ("ssm", "get_parameter"),
    "Lake Formation": ("lakeformation", "get_data_lake_settings"),
    "raw database": ("glue", "get_database"),
    "refined tables": ("glue", "get_table"),
    "Lambda": ("lambda", "get_account_settings"),
    "Glue": ("service-quotas", "list_service_quotas"),
    "partitions": ("glue", "get_table"),
}


@pytest.mark.parametrize("subject", [name for name, _, permissions in preflight.CHECKS if permissions])
def test_a_refusal_is_a_line_that_names_the_permission(account: Stubbed, subject: str) -> None:
    account.refuses(*FIRST_CALLS[subject], "AccessDeniedException", "ana is not authorized to look")
    (check,) = [each for each in preflight.CHECKS if each[0] == subject]
    (finding,) = preflight.examine(account, PLAN, [check])
    assert finding.level is UNSEEN
    assert "could not look: " in finding.found
    assert "ana is not authorized to look" in finding.found
    assert check[2][0] in finding.do


def test_any_other_error_is_no_pass_either_and_the_rest_is_asked(account: Stubbed) -> None:
    account.refuses("lambda", "get_account_settings", "TooManyRequestsException", "Rate exceeded")
    described = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}
    account.answers("lambda", "get_account_settings", {"AccountLimit": described})
    checks = [("first", preflight.find_lambda, ()), ("second", preflight.find_lambda, ())]
    first, second = preflight.examine(account, PLAN, checks)
    assert (first.level, first.do, second.level) == (UNSEEN, "ask again", FINE)
    assert "Rate exceeded" in first.found


def test_a_service_that_cannot_be_reached_is_no_crash(account: Stubbed) -> None:
    def unreachable(account: Account, _plan: Plan) -> Iterator[Finding]:
        if account.region == REGION:
            raise EndpointConnectionError(endpoint_url="https://lakeformation.sa-east-1.amazonaws.com")
        yield Finding(FINE, "Lake Formation", "reached")

    (finding,) = preflight.examine(account, PLAN, [("Lake Formation", unreachable, ())])
    assert finding.level is UNSEEN
    assert "lakeformation.sa-east-1" in finding.found


# A Learner Lab


LAB_USER = f"arn:aws:sts::{NUMBER}:assumed-role/voclabs/user123=ana"


@pytest.mark.parametrize(("arn", "level"), [(LAB_USER, FINE), (f"arn:aws:iam::{NUMBER}:user/ana", WARNING)])
def test_a_lab_s_people_are_voclabs(account: Stubbed, arn: str, level: Level) -> None:
    account.answers("sts", "get_caller_identity", {"Arn": arn, "Account": NUMBER, "UserId": "AROA"})
    assert only(account, preflight_lab.find_lab_identity).level is level


@pytest.mark.parametrize(("region", "level"), [("us-east-1", FINE), ("us-west-2", FINE), (REGION, STOP)])
def test_a_lab_has_two_regions(region: str, level: Level) -> None:
    assert only(Stubbed(region), preflight_lab.find_lab_region).level is level


def test_an_explicit_deny_is_an_ended_session(account: Stubbed) -> None:
    account.refuses(
        "s3",
        "list_buckets",
        "AccessDenied",
        f"User: {LAB_USER} is not authorized to perform: s3:ListAllMyBuckets with an explicit deny in an "
        "identity-based policy",
    )
    finding = only(account, preflight_lab.find_lab_session)
    assert finding.level is STOP
    assert "Start Lab" in finding.do


def test_a_deny_that_is_not_explicit_says_nothing_of_the_session(account: Stubbed) -> None:
    account.refuses("s3", "list_buckets", "AccessDenied", "because no identity-based policy allows it")
    assert only(account, preflight_lab.find_lab_session).level is UNSEEN


def test_a_session_that_runs_may_list_its_buckets(account: Stubbed) -> None:
    account.answers("s3", "list_buckets", {"Buckets": []})
    assert only(account, preflight_lab.find_lab_session).level is FINE


TRUSTED = ("lambda", "glue", "scheduler", "events", "athena", "s3", "sqs", "sns", "logs")


def lab_role(account: Stubbed, *services: str, effect: str = "Allow", name: str = "LabRole") -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": effect,
                "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role: dict[str, Any] = {
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROA0123456789012345",
        "Arn": f"arn:aws:iam::{NUMBER}:role/{name}",
        "CreateDate": "2026-11-27T00:00:00Z",
        "AssumeRolePolicyDocument": json.dumps(document),
    }
    account.answers("iam", "get_role", {"Role": role}, RoleName=name)


@pytest.mark.parametrize(
    ("services", "level", "says"),
    [
        (TRUSTED, FINE, "there"),
        (TRUSTED[:3], WARNING, "events, athena, s3, sqs, sns, logs may not"),
        (TRUSTED[1:], STOP, "lambda may not"),
        ((), STOP, "lambda, glue, scheduler may not"),
    ],
)
def test_a_role_lets_services_assume_it(
    account: Stubbed, services: tuple[str, ...], level: Level, says: str
) -> None:
    lab_role(account, *services)
    finding = only(account, preflight_lab.role_check("LabRole"))
    assert finding.level is level
    assert says in finding.found


def test_a_trust_that_denies_is_none(account: Stubbed) -> None:
    lab_role(account, *TRUSTED, effect="Deny")
    assert only(account, preflight_lab.role_check("LabRole")).level is STOP


def test_a_role_is_named_by_its_arn_as_well(account: Stubbed) -> None:
    lab_role(account, *TRUSTED, name="Owner")
    assert only(account, preflight_lab.role_check(f"arn:aws:iam::{NUMBER}:role/path/Owner")).level is FINE


def test_a_role_that_is_not_there_stops_it(account: Stubbed) -> None:
    account.refuses("iam", "get_role", "NoSuchEntity")
    finding = only(account, preflight_lab.role_check("LabRole"))
    assert finding.level is STOP
    assert "-c existing_role=" in finding.do


def test_an_asset_bucket_is_there_or_will_be_made_or_is_another_s(account: Stubbed) -> None:
    account.answers("s3", "head_bucket", {}, Bucket=BUCKET)
    assert only(account, preflight_lab.find_asset_bucket).level is FINE
    account.refuses("s3", "head_bucket", "404", "Not Found")
    made = only(account, preflight_lab.find_asset_bucket)
    assert (made.level, "makes it" in made.found) == (FINE, True)
    account.refuses("s3", "head_bucket", "403", "Forbidden")
    assert only(account, preflight_lab.find_asset_bucket).level is UNSEEN


def test_of_a_lab_the_bootstrap_is_not_asked_and_all_else_is() -> None:
    subjects = [subject for subject, _, _ in preflight_lab.checks("LabRole")]
    others = [subject for subject, _, _ in preflight.CHECKS]
    assert [each for each in others if each not in subjects] == ["bootstrap"]
    assert len(subjects) == len(others) - 1 + 5
