"""Athena for Apache Spark, an option of the stack: a Spark workgroup, its execution role, and the charts.

The role has what AWS gives the role of a Spark workgroup, on this workgroup, its results and its log group
alone, and reads the lake:
https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-troubleshooting-workgroups.html

Its engine is the one with notebooks in Athena's console, PySpark engine version 3, which is Spark 3.2.1. It
is not offered in every Region, and it cannot query tables with partition projection, as most raw ones are:
https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-considerations-and-limitations.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Arn, ArnComponents, ArnFormat, RemovalPolicy, Stack
from aws_cdk.aws_athena import CfnWorkGroup
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_logs import LogGroup, RetentionDays
from aws_cdk.aws_s3 import Bucket
from aws_cdk.aws_s3_assets import Asset
from constructs import Construct

from lake import keys
from stacks.bundling import charts_bundle
from stacks.nag import acknowledge
from stacks.storage import RESULTS_PREFIX, grant_objects, list_objects

_ENGINE = "PySpark engine version 3"
_RESULTS_FOLDER = f"{RESULTS_PREFIX}spark"  # where query results expire
_NAMESPACE = "AmazonAthenaForApacheSpark"
_SPARK_DATABASES = ("default", "global_temp")
"""Spark asks the catalog for both before it resolves the first table, whichever that is."""

_SESSION_ACTIONS = (
    "GetWorkGroup",
    "CreatePresignedNotebookUrl",
    "TerminateSession",
    "GetSession",
    "GetSessionStatus",
    "ListSessions",
    "StartCalculationExecution",
    "GetCalculationExecutionCode",
    "StopCalculationExecution",
    "ListCalculationExecutions",
    "GetCalculationExecution",
    "GetCalculationExecutionStatus",
    "ListExecutors",
    "ExportNotebook",
    "UpdateNotebook",
)


class SparkNotebooks(Construct):
    """The Spark workgroup, with what its notebooks read and draw with.

    Args:
        tables: The tables that they may read, by database: none with partition projection, which Spark in
            Athena does not know.

    Attributes:
        workgroup: The workgroup.
        role: The role in which its sessions run.
        charts_url: `s3://` address of a ZIP with the packages `analysis` and `squarify`, for `addPyFile`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        raw_bucket: Bucket,
        refined_bucket: Bucket,
        results_bucket: Bucket,
        tables: Mapping[str, Sequence[str]],
        removal_policy: RemovalPolicy,
        log_retention: RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        name = f"{stack.stack_name}-spark"
        workgroup_arn = _arn(stack, "athena", "workgroup", name)
        self.role = role = Role(
            self,
            "Role",
            assumed_by=ServicePrincipal(
                "athena.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": workgroup_arn},
                },
            ),
            description="The Spark notebooks: read the lake, write their results",
        )
        role.add_to_policy(
            PolicyStatement(
                actions=[f"athena:{action}" for action in _SESSION_ACTIONS], resources=[workgroup_arn]
            )
        )
        _grant_results(role, results_bucket)
        _grant_lake(role, raw_bucket, [keys.COTAHIST, keys.INDEX_PORTFOLIO, keys.INDEX_LEVELS])
        _grant_lake(role, refined_bucket, [f"{folder}/" for folder in keys.TABLE_FOLDERS])
        _grant_catalog(role, tables)
        self._grant_logs_and_metrics(role, name, log_retention)
        charts = Asset(self, "Charts", path=str(charts_bundle()))
        role.add_to_policy(
            PolicyStatement(
                actions=["s3:GetObject"], resources=[charts.bucket.arn_for_objects(charts.s3_object_key)]
            )
        )
        self.charts_url = charts.s3_object_url
        self.workgroup = CfnWorkGroup(
            self,
            "WorkGroup",
            name=name,
            description="Spark notebooks on the Bovespa pipeline's tables",
            recursive_delete_option=removal_policy is RemovalPolicy.DESTROY,
            work_group_configuration=CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=CfnWorkGroup.EngineVersionProperty(selected_engine_version=_ENGINE),
                execution_role=role.role_arn,
                result_configuration=CfnWorkGroup.ResultConfigurationProperty(
                    # Without a slash at its end, which the console would make a folder of
                    output_location=results_bucket.s3_url_for_object(_RESULTS_FOLDER),
                    encryption_configuration=CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
        # Or the first session could begin before the role may do anything
        self.workgroup.node.add_dependency(role)

    def _grant_logs_and_metrics(self, role: Role, workgroup: str, retention: RetentionDays) -> None:
        stack = Stack.of(self)
        name = f"/aws-athena/{workgroup}"  # Athena's choice; it would make a group that keeps logs for ever
        LogGroup(
            self,
            "Logs",
            log_group_name=name,
            retention=retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        log_group = _arn(stack, "logs", "log-group", name, ArnFormat.COLON_RESOURCE_NAME)
        role.add_to_policy(
            PolicyStatement(
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                resources=[log_group, f"{log_group}:log-stream:*"],
            )
        )
        every_log_group = _arn(stack, "logs", "log-group", "*", ArnFormat.COLON_RESOURCE_NAME)
        role.add_to_policy(PolicyStatement(actions=["logs:DescribeLogGroups"], resources=[every_log_group]))
        role.add_to_policy(
            PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": _NAMESPACE}},
            )
        )
        prefix = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"
        for resource, reason in (
            (
                f"{prefix}{name}:log-stream:*",
                "A stream an executor, named by its session, in the workgroup's own log group.",
            ),
            (
                f"{prefix}*",
                "Athena looks for its log group; the call has no narrower resource.",
            ),
            ("*", "Metrics have no resource; the namespace confines them to Athena's own."),
        ):
            acknowledge(role, finding=f"AwsSolutions-IAM5[Resource::{resource}]", reason=reason)


def _grant_results(role: Role, bucket: Bucket) -> None:
    role.add_to_policy(list_objects(bucket, _RESULTS_FOLDER))
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    reason = "A folder a session and calculation: the keys are not known at deployment."
    grant_objects(role, bucket, [f"{_RESULTS_FOLDER}/"], actions, reason=reason)


def _grant_lake(role: Role, bucket: Bucket, prefixes: Sequence[str]) -> None:
    role.add_to_policy(list_objects(bucket, *prefixes))
    reason = "A notebook reads whichever sessions it asks for."
    grant_objects(role, bucket, prefixes, ["s3:GetObject"], reason=reason)


def _grant_catalog(role: Role, tables: Mapping[str, Sequence[str]]) -> None:
    stack = Stack.of(role)
    databases = dict.fromkeys((*_SPARK_DATABASES, *tables))
    names = [f"{database}/{table}" for database, of_it in tables.items() for table in of_it]
    role.add_to_policy(
        PolicyStatement(
            actions=["glue:GetDatabase", "glue:GetTable", "glue:GetPartition", "glue:GetPartitions"],
            resources=[
                Arn.format(ArnComponents(service="glue", resource="catalog"), stack),
                *(_arn(stack, "glue", "database", name) for name in databases),
                *(_arn(stack, "glue", "table", name) for name in names),
            ],
        )
    )


def _arn(
    stack: Stack,
    service: str,
    resource: str,
    name: str,
    arn_format: ArnFormat = ArnFormat.SLASH_RESOURCE_NAME,
) -> str:
    return Arn.format(
        ArnComponents(service=service, resource=resource, resource_name=name, arn_format=arn_format), stack
    )
