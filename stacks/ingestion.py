"""Ingestion: the scraper's function with its schedule, and the function that loads history.

Both are deployed from one bundle, and differ in their handler, their means, and their permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy, Size, Stack, TimeZone
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import Code, Function, LayerVersion, LoggingFormat
from aws_cdk.aws_logs import LogGroup, RetentionDays
from aws_cdk.aws_s3 import Bucket
from aws_cdk.aws_scheduler import ContextAttribute, Schedule, ScheduleExpression, ScheduleTargetInput
from aws_cdk.aws_scheduler_targets import LambdaInvoke
from constructs import Construct

from lake import keys
from stacks.bundling import EXTRA_CA_NAME, scraper_bundle
from stacks.layers import ARCHITECTURE, RUNTIME, pandas_layer_arn
from stacks.nag import acknowledge
from stacks.storage import grant_objects, list_objects

_SCHEDULED_TIME = "scheduled_time"


class Ingestion(Construct):
    """The scraper, which takes B3's files to the raw bucket.

    Attributes:
        function: The scraper's function.
        backfill_function: The function that loads a year of history, a year an invocation, when it is asked.
        schedule: What runs the scraper.
        role: The role of the scraper.
        backfill_role: The role of the function that loads history.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        raw_bucket: Bucket,
        refined_bucket: Bucket,
        quotes_base_url: str,
        index_base_url: str,
        index_codes: tuple[str, ...],
        lookback_sessions: int,
        corporate_actions_calls: int,
        extra_ca_file: Path | None,
        layer_arn: str | None,
        schedule_hours: tuple[int, ...],
        session_deadline: time,
        log_retention: RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = {
            "RAW_BUCKET": raw_bucket.bucket_name,
            "QUOTES_BASE_URL": quotes_base_url,
            "POWERTOOLS_SERVICE_NAME": Stack.of(self).stack_name,
        }
        if extra_ca_file is not None:
            environment["EXTRA_CA_FILE"] = EXTRA_CA_NAME
        self._code = Code.from_asset(str(scraper_bundle(extra_ca_file)))
        self._layer = LayerVersion.from_layer_version_arn(self, "Pandas", layer_arn or pandas_layer_arn(self))
        self.function = self._build_scraper(
            environment
            | {
                "INDEX_BASE_URL": index_base_url,
                "INDEX_CODES": ",".join(index_codes),
                "LOOKBACK_SESSIONS": str(lookback_sessions),
                "CORPORATE_ACTIONS_CALLS": str(corporate_actions_calls),
                "SESSION_DEADLINE": f"{session_deadline:%H:%M}",
                "REFINED_BUCKET": refined_bucket.bucket_name,
            },
            raw_bucket,
            log_retention,
        )
        # Whether a session was refined, it sees by the listing
        self.role.add_to_policy(list_objects(refined_bucket, f"{keys.COMPACT_FOLDER}/"))
        self.backfill_function = self._build_backfill(environment, raw_bucket, log_retention)
        for function in (self.function, self.backfill_function):
            acknowledge(
                function,
                finding="AwsSolutions-L1",
                reason="The Python that the pinned layer of pandas, pyarrow and awswrangler is built for.",
            )
        self.schedule = self._build_schedule(schedule_hours)

    def _build_scraper(
        self, environment: Mapping[str, str], raw_bucket: Bucket, log_retention: RetentionDays
    ) -> Function:
        log_group = LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        self.role = self._build_role(raw_bucket, log_group)
        return Function(
            self,
            "Scraper",
            description="Takes quotes, index portfolios and corporate actions from B3 to the raw bucket",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=self._code,
            handler="scraper.daily.handler.handler",
            layers=[self._layer],
            memory_size=1024,
            timeout=Duration.minutes(15),
            # The schedule's later hours are the retries: Lambda's own two would be six more runs a morning
            retry_attempts=0,
            environment=environment,
            role=self.role,
            log_group=log_group,
            logging_format=LoggingFormat.JSON,
        )

    def _build_backfill(
        self, environment: Mapping[str, str], raw_bucket: Bucket, log_retention: RetentionDays
    ) -> Function:
        log_group = LogGroup(
            self, "BackfillLogs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        self.backfill_role = self._build_backfill_role(raw_bucket, log_group)
        return Function(
            self,
            "Backfill",
            description="Loads a year of B3's history into the raw bucket, when it is asked to",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=self._code,
            handler="scraper.history.handler.handler",
            layers=[self._layer],
            # A year of 2.3 million quotes takes 235 MB at the peak; more memory is more of a processor
            memory_size=2048,
            # The ZIP, of up to 400 MB, and the sessions that are made of it: one and a half times as large,
            # and twice that where the file mixes them
            ephemeral_storage_size=Size.gibibytes(2),
            timeout=Duration.minutes(15),
            # What an attempt has uploaded, the next one does not upload again
            retry_attempts=1,
            max_event_age=Duration.hours(1),
            environment=environment,
            role=self.backfill_role,
            log_group=log_group,
            logging_format=LoggingFormat.JSON,
        )

    def _build_role(self, raw_bucket: Bucket, log_group: LogGroup) -> Role:
        role = Role(
            self,
            "ScraperRole",
            assumed_by=ServicePrincipal("lambda.amazonaws.com"),
            description="The scraper: reads and writes the raw bucket",
        )
        log_group.grant_write(role)
        role.add_to_policy(
            list_objects(raw_bucket, keys.RAW, keys.QUARANTINE, keys.CANARY, keys.ACTIONS_STATE)
        )
        allowed = {
            keys.RAW: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            keys.QUARANTINE: ["s3:PutObject"],
        }
        for prefix, actions in allowed.items():
            reason = "An object a session or an issuer: the keys are not known at deployment."
            grant_objects(role, raw_bucket, [prefix], actions, reason=reason)
        role.add_to_policy(
            PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject"],
                resources=[
                    raw_bucket.arn_for_objects(key) for key in (keys.CANARY_MEMORY, keys.ACTIONS_MEMORY)
                ],
            )
        )
        return role

    def _build_backfill_role(self, raw_bucket: Bucket, log_group: LogGroup) -> Role:
        role = Role(
            self,
            "BackfillRole",
            assumed_by=ServicePrincipal("lambda.amazonaws.com"),
            description="The backfill: writes sessions, manifests and refused files to the raw bucket",
        )
        log_group.grant_write(role)
        allowed = {
            # What the daily path has taken is compared
            keys.COTAHIST: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            keys.COTAHIST_REVISIONS: ["s3:PutObject", "s3:DeleteObject"],
            keys.BACKFILLS: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            keys.QUARANTINE: ["s3:PutObject", "s3:AbortMultipartUpload"],
        }
        role.add_to_policy(list_objects(raw_bucket, *allowed))
        for prefix, actions in allowed.items():
            reason = "An object a session or a year: the keys are not known at deployment."
            grant_objects(role, raw_bucket, [prefix], actions, reason=reason)
        return role

    def _build_schedule(self, hours: tuple[int, ...]) -> Schedule:
        role = Role(
            self,
            "ScheduleRole",
            assumed_by=ServicePrincipal(
                "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            ),
            description="The schedule: runs the scraper",
        )
        role.add_to_policy(
            PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.function.function_arn])
        )
        return Schedule(
            self,
            "Schedule",
            description="Takes the last session from B3; what one run misses, the next one takes",
            schedule=ScheduleExpression.cron(
                minute="0", hour=",".join(map(str, hours)), time_zone=TimeZone.AMERICA_SAO_PAULO
            ),
            target=LambdaInvoke(
                self.function,
                # A late or repeated run still means the session before the day that it was scheduled for
                input=ScheduleTargetInput.from_object({_SCHEDULED_TIME: ContextAttribute.scheduled_time}),
                max_event_age=Duration.hours(1),
                retry_attempts=3,
                # The CDK would add every version of the function to the policy
                role=role.without_policy_updates(),
            ),
        )
