"""The stack: what there is, and how the stages are connected."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack, Tags
from constructs import Construct

from stacks import existing_role
from stacks.analytics import Analytics
from stacks.catalog import Catalog
from stacks.checkov import acknowledge_checkov
from stacks.config import Config
from stacks.encryption import Encryption
from stacks.ingestion import Ingestion
from stacks.monitoring import Monitoring, session_deadline
from stacks.refinement import RefineJob, Starter
from stacks.spark_notebooks import SparkNotebooks
from stacks.storage import Storage


class BovespaStack(Stack):
    """From B3's files to Athena: schedule, scraper, raw bucket, job, refined bucket, queries."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Bovespa sessions, every morning, to query in Athena",
            env=existing_role.environment(config.existing_role),
            synthesizer=existing_role.synthesizer(config.existing_role),
        )
        if config.existing_role is not None:
            existing_role.use(self, config.existing_role)
        for name, value in config.tags.items():
            Tags.of(self).add(name, value)

        encryption = Encryption(
            self, "Encryption", kms_key=config.kms_key, removal_policy=config.removal_policy
        )
        storage = Storage(
            self,
            "Storage",
            removal_policy=config.removal_policy,
            query_result_days=config.query_result_days,
        )
        ingestion = Ingestion(
            self,
            "Ingestion",
            raw_bucket=storage.raw_bucket,
            refined_bucket=storage.refined_bucket,
            quotes_base_url=config.quotes_base_url,
            index_base_url=config.index_base_url,
            index_codes=config.index_codes,
            lookback_sessions=config.lookback_sessions,
            corporate_actions_calls=config.corporate_actions_calls,
            extra_ca_file=config.extra_ca_file,
            layer_arn=config.pandas_layer_arn,
            schedule_hours=config.schedule_hours,
            session_deadline=session_deadline(config.schedule_hours),
            log_retention=config.log_retention,
        )
        refine = RefineJob(
            self,
            "Refine",
            mode=config.glue_job_mode,
            raw_bucket=storage.raw_bucket,
            refined_bucket=storage.refined_bucket,
            refined_database=config.refined_database,
            refined_table=config.refined_table,
            wide_sessions=config.wide_sessions,
            index_codes=config.index_codes,
            worker_count=config.glue_worker_count,
            concurrent_runs=config.glue_concurrent_runs,
            timeout_minutes=config.glue_timeout_minutes,
            tags=config.tags,
            log_retention=config.log_retention,
        )
        starter = Starter(
            self,
            "Starter",
            raw_bucket=storage.raw_bucket,
            notifications_role=storage.notifications_role,
            job=refine.job,
            log_retention=config.log_retention,
        )
        Catalog(self, "Catalog", database_name=config.raw_database, raw_bucket=storage.raw_bucket)
        analytics = Analytics(
            self,
            "Analytics",
            results_bucket=storage.results_bucket,
            raw_database=config.raw_database,
            joined_index=config.index_codes[0],
            refined_database=config.refined_database,
            refined_table=config.refined_table,
            compact_table=refine.compact_table,
            scan_cutoff_mb=config.athena_scan_cutoff_mb,
        )

        monitoring = Monitoring(
            self,
            "Monitoring",
            alarm_email=config.alarm_email,
            runbook_url=config.runbook_url,
            schedule_hours=config.schedule_hours,
            functions={
                "scraper": ingestion.function,
                "backfill": ingestion.backfill_function,
                "starter": starter.function,
            },
            dead_letters=starter.dead_letters,
            job_name=refine.job.job_name,
            job_workers=config.glue_worker_count,
            job_log=refine.log,
            buckets={
                "raw": storage.raw_bucket,
                "refined": storage.refined_bucket,
                "query results": storage.results_bucket,
            },
            workgroup=analytics.workgroup.name,
            scan_cutoff_mb=config.athena_scan_cutoff_mb,
        )
        storage.reserve_raw(roles=[ingestion.role, ingestion.backfill_role], operators=config.operators)
        storage.reserve_refined(job_role=refine.role, visual_owner=refine.visual_owner)
        for role in (ingestion.role, ingestion.backfill_role, refine.role, refine.visual_owner):
            if role is not None:
                encryption.grant(role, service="s3")
        encryption.grant(starter.function, service="sqs")  # for its dead letters
        encryption.grant_publishers()

        self._add_outputs(
            {
                "RawBucket": storage.raw_bucket.bucket_name,
                "RefinedBucket": storage.refined_bucket.bucket_name,
                "QueryResultsBucket": storage.results_bucket.bucket_name,
                "ScraperFunction": ingestion.function.function_name,
                "BackfillFunction": ingestion.backfill_function.function_name,
                "ScheduleName": ingestion.schedule.schedule_name,
                "StarterFunction": starter.function.function_name,
                "DeadLetterQueue": starter.dead_letters.queue_url,
                "GlueJobName": refine.job.job_name,
                "RawDatabase": config.raw_database,
                "RefinedDatabase": config.refined_database,
                "RefinedTable": config.refined_table,
                "RefinedCompactTable": refine.compact_table,
                "JoinedIndex": config.index_codes[0],
                "WorkGroup": analytics.workgroup.name,
                "AlarmTopic": monitoring.topic.topic_arn,
                "Dashboard": monitoring.dashboard.dashboard_name,
            }
        )
        if config.athena_notebook:
            notebooks = SparkNotebooks(
                self,
                "SparkNotebooks",
                raw_bucket=storage.raw_bucket,
                refined_bucket=storage.refined_bucket,
                results_bucket=storage.results_bucket,
                tables={
                    config.refined_database: (
                        config.refined_table,
                        refine.compact_table,
                        refine.members_table,
                        *refine.adjustment_tables,
                    ),
                    config.raw_database: ("index_level",),
                },
                removal_policy=config.removal_policy,
                log_retention=config.log_retention,
            )
            encryption.grant(notebooks.role, service="s3")
            self._add_outputs(
                {"SparkWorkGroup": notebooks.workgroup.name, "SparkCharts": notebooks.charts_url}
            )
        if config.existing_role is not None:
            existing_role.let_s3_invoke_by_source_arn(self)
        acknowledge_checkov(self, with_key=encryption.key is not None)

    def _add_outputs(self, outputs: dict[str, str]) -> None:
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
