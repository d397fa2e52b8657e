"""Analytics: the Athena workgroup, and in it the named queries, saved and as prepared statements."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk.aws_athena import CfnNamedQuery, CfnPreparedStatement, CfnWorkGroup
from aws_cdk.aws_s3 import Bucket
from constructs import Construct

from stacks.named_query import NamedQuery, Tables
from stacks.storage import RESULTS_PREFIX


class Analytics(Construct):
    """The workgroup, which enforces its settings on every query, and the named queries in it.

    Attributes:
        workgroup: The workgroup.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        results_bucket: Bucket,
        raw_database: str,
        joined_index: str,
        refined_database: str,
        refined_table: str,
        compact_table: str,
        scan_cutoff_mb: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.workgroup = CfnWorkGroup(
            self,
            "WorkGroup",
            name=Stack.of(self).stack_name,
            description="Queries on the Bovespa pipeline's tables",
            recursive_delete_option=True,  # it holds the stack's own queries, and the history of others
            work_group_configuration=CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=scan_cutoff_mb * 1_000_000,
                engine_version=CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=CfnWorkGroup.ResultConfigurationProperty(
                    output_location=results_bucket.s3_url_for_object(RESULTS_PREFIX),
                    encryption_configuration=CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
        tables = Tables(
            refined_database=refined_database,
            refined_table=refined_table,
            compact_table=compact_table,
            raw_database=raw_database,
            joined_index=joined_index,
        )
        for query in NamedQuery.read_all(tables):
            self._build_named_query(query, refined_database)
            if query.parameters:
                self._build_prepared_statement(query)

    def _build_named_query(self, query: NamedQuery, database: str) -> None:
        CfnNamedQuery(
            self,
            _construct_id(query),
            name=query.name,
            description=query.description,
            database=database,
            query_string=query.sql,
            work_group=self.workgroup.ref,
        )

    def _build_prepared_statement(self, query: NamedQuery) -> None:
        CfnPreparedStatement(
            self,
            f"{_construct_id(query)}Statement",
            statement_name=query.stem,
            description=query.description,
            query_statement=query.statement,
            work_group=self.workgroup.ref,
        )


def _construct_id(query: NamedQuery) -> str:
    return "".join(word.capitalize() for word in query.stem.split("_"))
