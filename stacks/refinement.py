"""Refinement: the Glue job, and the function that a new raw session makes start it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from aws_cdk import Arn, ArnComponents, CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk.aws_glue import Code as GlueCode
from aws_cdk.aws_glue import (
    ContinuousLoggingProps,
    GlueVersion,
    IJob,
    PySparkEtlJob,
    WorkerConfiguration,
    WorkerType,
)
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import Code, Function, LoggingFormat
from aws_cdk.aws_logs import LogGroup, RetentionDays
from aws_cdk.aws_s3 import Bucket, EventType, NotificationKeyFilter
from aws_cdk.aws_s3_assets import Asset
from aws_cdk.aws_s3_notifications import LambdaDestination
from aws_cdk.aws_sqs import Queue, QueueEncryption
from constructs import Construct

from glue_scripts.visual import build_nodes
from lake import keys
from lake.names import adjustment_tables, members_table
from stacks.bundling import refinement_bundle
from stacks.config import REPOSITORY, JobMode
from stacks.layers import ARCHITECTURE, RUNTIME
from stacks.nag import acknowledge, acknowledge_prefix
from stacks.storage import grant_objects, list_objects
from stacks.visual_job import VisualJob

SCRIPT = REPOSITORY / "glue_scripts" / "refine.py"
STARTER = REPOSITORY / "lambda_src" / "start_refine"

_DESCRIPTION = "Refines raw sessions: one row a stock and session, partitioned and catalogued"

_COMPACT_SUFFIX = "_compact"
_SESSION_SUFFIX = "daily.parquet"

# The id under which the CDK puts its function into the stack (aws-s3, NotificationsResourceHandler)
_NOTIFICATIONS_FUNCTION = "BucketNotificationsHandler050a0587b7544547bf325f094a3db834"


class RefineJob(Construct):
    """The Glue job that makes the refined table, as a script or as a graph, its role and its logs.

    Attributes:
        job: The job.
        log: What its runs print.
        role: The job's role.
        visual_owner: The role of the function that owns the job in visual mode, None in script mode.
        compact_table: Name of the refined table with one file a session; the job creates it.
        adjustment_tables: Names of the tables of events and of factors, which it creates, too.
        members_table: Name of the table of the members of indices, likewise.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mode: JobMode,
        raw_bucket: Bucket,
        refined_bucket: Bucket,
        refined_database: str,
        refined_table: str,
        wide_sessions: int,
        index_codes: Sequence[str],
        worker_count: int,
        concurrent_runs: int,
        timeout_minutes: int,
        tags: Mapping[str, str],
        log_retention: RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        log_prefix = f"/aws-glue/jobs/{Stack.of(self).stack_name}"
        self.log, errors = (
            self._build_log_group(log_prefix, stream, log_retention) for stream in ("output", "error")
        )
        self.role = role = Role(
            self,
            "Role",
            assumed_by=ServicePrincipal("glue.amazonaws.com"),
            description="The refine job: reads raw, writes refined, catalogues it",
        )
        for log_group in (self.log, errors):
            log_group.grant_write(role)
        _grant_raw(role, raw_bucket)
        self.compact_table = compact_table_of(refined_table)
        _grant_refined(role, refined_bucket, mode)
        *self.adjustment_tables, view = adjustment_tables(refined_table)
        self.members_table = members_table(refined_table)
        tables = (refined_table, self.compact_table, self.members_table, *self.adjustment_tables, view)
        _grant_catalog(role, refined_database, tables, mode)
        arguments = {
            "--raw_bucket": raw_bucket.bucket_name,
            "--refined_bucket": refined_bucket.bucket_name,
            "--refined_database": refined_database,
            "--refined_table": refined_table,
            "--index_codes": ",".join(index_codes),
            "--custom-logGroup-prefix": log_prefix,
        }
        packages = self._asset("Packages", refinement_bundle(), role)
        self.job: IJob
        self.visual_owner: Role | None = None
        if mode is JobMode.SCRIPT:
            script_arguments = {**arguments, "--wide_sessions": str(wide_sessions)}
            self.job = self._build_script_job(
                role,
                packages,
                script_arguments,
                worker_count=worker_count,
                concurrent_runs=concurrent_runs,
                timeout_minutes=timeout_minutes,
            )
        else:
            arguments["--extra-py-files"] = packages.s3_object_url
            visual = VisualJob(
                self,
                "Visual",
                name=f"{Stack.of(self).stack_name}-refine-visual",
                definition=_visual_definition(arguments, worker_count, concurrent_runs, timeout_minutes),
                nodes=build_nodes(
                    raw_bucket=raw_bucket.bucket_name,
                    refined_bucket=refined_bucket.bucket_name,
                    refined_database=refined_database,
                    refined_table=refined_table,
                    index=index_codes[0],
                ),
                job_role=role,
                script_bucket=refined_bucket,
                tags=tags,
                log_retention=log_retention,
            )
            self.job, self.visual_owner = visual.job, visual.owner_role

    def _asset(self, construct_id: str, path: Path, role: Role) -> Asset:
        """A file or folder that the job loads."""
        asset = Asset(self, construct_id, path=str(path))
        key = asset.bucket.arn_for_objects(asset.s3_object_key)
        role.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[key]))
        return asset

    def _build_script_job(
        self,
        role: Role,
        packages: Asset,
        arguments: Mapping[str, str],
        *,
        worker_count: int,
        concurrent_runs: int,
        timeout_minutes: int,
    ) -> PySparkEtlJob:
        script = self._asset("Script", SCRIPT, role)
        job = PySparkEtlJob(
            self,
            "Job",
            description=_DESCRIPTION,
            # The CDK would let the role read the whole bucket of deployment assets
            role=role.without_policy_updates(),
            script=GlueCode.from_bucket(script.bucket, script.s3_object_key),
            extra_python_files=[GlueCode.from_bucket(packages.bucket, packages.s3_object_key)],
            glue_version=GlueVersion.V5_1,
            worker_configuration=WorkerConfiguration(
                worker_type=WorkerType.G_1X, number_of_workers=worker_count
            ),
            timeout=Duration.minutes(timeout_minutes),
            notify_delay_after=Duration.minutes(_told_after(timeout_minutes)),
            # The runs that come meanwhile wait; a queued job has no retries
            max_concurrent_runs=concurrent_runs,
            job_run_queuing_enabled=True,
            default_arguments=arguments,
            # Since Glue 5.0 logs are continuous by themselves; metrics need a permission on any resource
            continuous_logging=ContinuousLoggingProps(enabled=False),
            enable_metrics=False,
            enable_observability_metrics=False,
        )
        acknowledge(
            job,
            finding="AwsSolutions-GL1",
            reason="CloudWatch Logs encrypts at rest by itself; the logs hold no secret.",
        )
        acknowledge(job, finding="AwsSolutions-GL3", reason="The job keeps no bookmark.")
        return job

    def _build_log_group(self, prefix: str, stream: str, retention: RetentionDays) -> LogGroup:
        return LogGroup(
            self,
            f"{stream.capitalize()}Logs",
            log_group_name=f"{prefix}/{stream}",
            retention=retention,
            removal_policy=RemovalPolicy.DESTROY,
        )


class Starter(Construct):
    """The function that starts the job when a raw session arrives, and the queue for what it could not start.

    Attributes:
        function: The function.
        dead_letters: S3 events for which no job run could be started.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        raw_bucket: Bucket,
        notifications_role: Role,
        job: IJob,
        log_retention: RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = Queue(
            self,
            "DeadLetters",
            encryption=QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        log_group = LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        role = Role(
            self,
            "Role",
            assumed_by=ServicePrincipal("lambda.amazonaws.com"),
            description="The starter: starts the refine job",
        )
        log_group.grant_write(role)
        role.add_to_policy(PolicyStatement(actions=["glue:StartJobRun"], resources=[job.job_arn]))
        self.function = Function(
            self,
            "Function",
            description="Starts the refine job for each raw session that arrives",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=Code.from_asset(str(STARTER), exclude=["__pycache__"]),
            handler="index.handler",
            timeout=Duration.seconds(30),
            environment={"GLUE_JOB_NAME": job.job_name},
            role=role,
            log_group=log_group,
            logging_format=LoggingFormat.JSON,
            dead_letter_queue=self.dead_letters,
            retry_attempts=2,
            max_event_age=Duration.hours(6),
        )
        acknowledge(
            self.function,
            finding="AwsSolutions-L1",
            reason="All functions run on one Python, which the pinned layer of the scraper is built for.",
        )
        self._add_notification(raw_bucket, notifications_role, log_retention)

    def _add_notification(self, raw_bucket: Bucket, role: Role, log_retention: RetentionDays) -> None:
        raw_bucket.add_event_notification(
            EventType.OBJECT_CREATED,
            LambdaDestination(self.function),
            NotificationKeyFilter(prefix=keys.COTAHIST, suffix=_SESSION_SUFFIX),
        )
        # The CDK's function, too, logs to a group of its own that does not stay for ever
        log_group = LogGroup(
            self, "NotificationLogs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        log_group.grant_write(role)
        function = Stack.of(self).node.find_child(_NOTIFICATIONS_FUNCTION).node.find_child("Resource")
        cast(CfnResource, function).add_property_override("LoggingConfig.LogGroup", log_group.log_group_name)


def compact_table_of(refined_table: str) -> str:
    """Name of the refined table with one file a session, of the other's name."""
    return f"{refined_table}{_COMPACT_SUFFIX}"


def _told_after(timeout_minutes: int) -> int:
    """Minutes after which Glue reports a run as late: half of its time-out."""
    return timeout_minutes // 2


def _visual_definition(
    arguments: Mapping[str, str], worker_count: int, concurrent_runs: int, timeout_minutes: int
) -> dict[str, object]:
    """What the script job's construct says, in the words of a CreateJob request."""
    return {
        "Description": _DESCRIPTION,
        "GlueVersion": GlueVersion.V5_1,
        "WorkerType": WorkerType.G_1X,
        "NumberOfWorkers": worker_count,
        "Timeout": timeout_minutes,
        "NotificationProperty": {"NotifyDelayAfter": _told_after(timeout_minutes)},
        "MaxRetries": 0,
        "ExecutionProperty": {"MaxConcurrentRuns": concurrent_runs},
        "JobRunQueuingEnabled": True,
        "DefaultArguments": {"--job-language": "python", **arguments},
    }


def _grant_raw(role: Role, bucket: Bucket) -> None:
    role.add_to_policy(list_objects(bucket, keys.RAW))
    reason = "An object a session: the job reads the one it is asked for."
    grant_objects(role, bucket, [keys.RAW], ["s3:GetObject"], reason=reason)


def _grant_refined(role: Role, bucket: Bucket, mode: JobMode) -> None:
    folders = keys.REFINED_FOLDERS
    sessions = (keys.WIDE_FOLDER, keys.COMPACT_FOLDER)
    adjustment = (keys.EVENTS_FOLDER, keys.FACTORS_FOLDER, keys.RUNS_FOLDER)
    actions = ["s3:PutObject", "s3:DeleteObject"]
    written = [f"{folder}/*" for folder in sessions]
    if mode is JobMode.VISUAL:
        # Spark writes by Hadoop's S3A, in parts, and asks first for what is there, the folder itself as well
        actions += ["s3:GetObject", "s3:AbortMultipartUpload"]
        written += sessions
    # The job makes what corporate actions do to prices of the sessions' files, of what it keeps of
    # them, and of what it made before
    grants = (
        (actions, written),
        (["s3:PutObject", "s3:DeleteObject"], [f"{keys.MEMBERS_FOLDER}/*"]),
        (["s3:GetObject"], [f"{folder}/*" for folder in (keys.COMPACT_FOLDER, *adjustment)]),
        (["s3:PutObject"], [f"{folder}/*" for folder in adjustment]),
    )
    role.add_to_policy(list_objects(bucket, *(f"{folder}/" for folder in folders)))
    for allowed, below in grants:
        role.add_to_policy(
            PolicyStatement(actions=allowed, resources=[bucket.arn_for_objects(key) for key in below])
        )
    for folder in folders:
        acknowledge_prefix(
            role,
            bucket=bucket,
            prefix=f"{folder}/",
            reason="An object a session, ticker, month or year: the keys are not known at deployment.",
        )


def _grant_catalog(role: Role, database: str, tables: Sequence[str], mode: JobMode) -> None:
    stack = Stack.of(role)
    # AWS documents what a target that updates the catalog does, and not by which calls
    of_target = [f"glue:{call}Partition" for call in ("Get", "BatchGet", "Create", "Update")]
    role.add_to_policy(
        PolicyStatement(
            actions=[
                *(of_target if mode is JobMode.VISUAL else []),
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
            ],
            resources=[
                Arn.format(ArnComponents(service="glue", resource=resource), stack)
                for resource in (
                    "catalog",
                    f"database/{database}",
                    *(f"table/{database}/{table}" for table in tables),
                )
            ],
        )
    )
