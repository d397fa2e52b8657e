"""The catalog of raw data, under partition projection: there is no partition to register and no crawler."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk.aws_glue import (
    Column,
    Database,
    DataFormat,
    PartitionProjectionConfiguration,
    S3Table,
    S3TableStorage,
    Schema,
)
from aws_cdk.aws_s3 import Bucket
from constructs import Construct

from lake import keys
from scraper.b3.columns import Column as RawColumn
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, REVISION_COLUMNS
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS

_COTAHIST_BEGIN = "1986-01-01"
_PORTFOLIO_BEGIN = "2010-01-01"


class Catalog(Construct):
    """The database with the raw tables `cotahist`, `cotahist_revisions` and `index_portfolio`.

    Attributes:
        database: The database.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, database_name: str, raw_bucket: Bucket
    ) -> None:
        super().__init__(scope, construct_id)
        self.database = Database(
            self,
            "Database",
            database_name=database_name,
            description="B3's data as published: session quotes and index portfolios",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._build_table(
            "cotahist",
            description="Session quotes: one row a ticker, market and term, B3's own fields",
            columns=COTAHIST_COLUMNS,
            partition=("trade_date", "Trading session"),
            values=(_COTAHIST_BEGIN, "NOW"),
            raw_bucket=raw_bucket,
        )
        self._build_table(
            "cotahist_revisions",
            description="Lines that only one of B3's two files of a session has, the daily or the annual "
            "one, as the last backfill of its year found",
            columns=REVISION_COLUMNS,
            partition=("trade_date", "Trading session"),
            values=(_COTAHIST_BEGIN, "NOW"),
            raw_bucket=raw_bucket,
        )
        self._build_table(
            "index_portfolio",
            description="Theoretical portfolios of indices, as they open the session of their date",
            columns=PORTFOLIO_COLUMNS,
            partition=("portfolio_date", "Session that the portfolio opens"),
            # On days without a session B3 dates the portfolio by the next one
            values=(_PORTFOLIO_BEGIN, "NOW+14DAYS"),
            raw_bucket=raw_bucket,
        )

    def _build_table(
        self,
        name: str,
        *,
        description: str,
        columns: Sequence[RawColumn],
        partition: tuple[str, str],
        values: tuple[str, str],
        raw_bucket: Bucket,
    ) -> None:
        key, comment = partition
        first, last = values
        folder = f"{keys.RAW}{name}/"
        S3Table(
            self,
            "".join(word.capitalize() for word in name.split("_")),
            database=self.database,
            table_name=name,
            description=description,
            columns=[
                Column(
                    name=column.name,
                    type=Schema.custom(column.glue_type, True),
                    comment=column.comment,
                )
                for column in columns
            ],
            partition_keys=[Column(name=key, type=Schema.DATE, comment=comment)],
            partition_projection={
                key: PartitionProjectionConfiguration.date(format="yyyy-MM-dd", min=first, max=last)
            },
            parameters={
                "storage.location.template": f"s3://{raw_bucket.bucket_name}/{folder}{key}=${{{key}}}/",
            },
            data_format=DataFormat.PARQUET,
            has_encrypted_data=False,  # it says client-side
            storage=S3TableStorage.from_bucket(raw_bucket),
            s3_prefix=folder,
        )
