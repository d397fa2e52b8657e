"""Analytics: the Athena workgroup and its named queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Self

from aws_cdk import RemovalPolicy, Stack
from aws_cdk.aws_athena import CfnNamedQuery, CfnWorkGroup
from aws_cdk.aws_s3 import Bucket
from constructs import Construct

from stacks.storage import RESULTS_PREFIX

NAMED_QUERIES = Path(__file__).parent / "named_queries"


@dataclass(frozen=True)
class NamedQuery:
    """A named query, from a file of `named_queries/`.

    The file begins with comment lines: the title, then the description. The SQL after them names the refined
    tables by the placeholders `${refined_database}`, `${refined_table}` and `${compact_table}`. Whatever
    spans sessions reads the compact one, and so does the question which session is the last: it has a
    partition a session, where the other has one for each ticker besides.

    Attributes:
        name: The title.
        description: What the query answers.
        sql: The whole file with its placeholders replaced.
    """

    name: str
    description: str
    sql: str

    @classmethod
    def read(cls, path: Path, *, refined_database: str, refined_table: str, compact_table: str) -> Self:
        """Read a file.

        Raises:
            KeyError: The file has a placeholder that there is nothing for.
            ValueError: The file has no title or no description.
        """
        text = path.read_text(encoding="utf-8")
        sql = Template(text).substitute(
            refined_database=refined_database, refined_table=refined_table, compact_table=compact_table
        )
        header: list[str] = []
        for line in sql.splitlines():
            if not line.startswith("--"):
                break
            header.append(line.removeprefix("--").strip())
        if len(header) < 2:
            raise ValueError(
                f"{path}: expected comment lines first, the title and then what the query answers"
            )
        return cls(name=header[0], description=" ".join(header[1:]), sql=sql)


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
        refined_database: str,
        refined_table: str,
        compact_table: str,
        scan_cutoff_mb: int,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.workgroup = CfnWorkGroup(
            self,
            "WorkGroup",
            name=Stack.of(self).stack_name,
            description="Queries on the Bovespa pipeline's tables",
            recursive_delete_option=removal_policy is RemovalPolicy.DESTROY,
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
        for path in sorted(NAMED_QUERIES.glob("*.sql")):
            query = NamedQuery.read(
                path,
                refined_database=refined_database,
                refined_table=refined_table,
                compact_table=compact_table,
            )
            self._build_named_query(path.stem, query, refined_database)

    def _build_named_query(self, stem: str, query: NamedQuery, database: str) -> None:
        CfnNamedQuery(
            self,
            "".join(word.capitalize() for word in stem.split("_")),
            name=query.name,
            description=query.description,
            database=database,
            query_string=query.sql,
            work_group=self.workgroup.ref,
        )
