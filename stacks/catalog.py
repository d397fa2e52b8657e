"""The catalog of raw data: partitions are projected or there are none, so that none is to be registered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from scraper.b3.corporate_actions.layout import ACTION_COLUMNS
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, REVISION_COLUMNS
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS

_COTAHIST_BEGIN = "1986-01-01"
_PORTFOLIO_BEGIN = "2010-01-01"


class Catalog(Construct):
    """The database with the raw tables.

    They are `cotahist`, `cotahist_revisions`, `index_portfolio`, `index_level` and `corporate_actions`.

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
            description="B3's data as published: quotes, portfolios and levels of indices, corporate actions",
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
        self._build_table(
            "index_level",
            description="Closes of indices, by session, as B3 published them, a file an index and year",
            columns=LEVEL_COLUMNS,
            raw_bucket=raw_bucket,
        )
        self._build_table(
            "corporate_actions",
            description="Cash, new shares and rights, as B3 states them of an issuer, with the days on which "
            "it did",
            columns=ACTION_COLUMNS,
            raw_bucket=raw_bucket,
        )

    def _build_table(
        self,
        name: str,
        *,
        description: str,
        columns: Sequence[RawColumn],
        raw_bucket: Bucket,
        partition: tuple[str, str] | None = None,
        values: tuple[str, str] = ("", ""),
    ) -> None:
        """Build a table of what lies below its folder, by days from the first to the last value if at all."""
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
            **_projected(partition, values, location=f"s3://{raw_bucket.bucket_name}/{folder}"),
            data_format=DataFormat.PARQUET,
            has_encrypted_data=False,  # it says client-side
            storage=S3TableStorage.from_bucket(raw_bucket),
            s3_prefix=folder,
        )


def _projected(
    partition: tuple[str, str] | None, values: tuple[str, str], *, location: str
) -> dict[str, Any]:
    """What a table has beside the others if it has partitions."""
    if partition is None:
        return {}
    key, comment = partition
    first, last = values
    return {
        "partition_keys": [Column(name=key, type=Schema.DATE, comment=comment)],
        "partition_projection": {
            key: PartitionProjectionConfiguration.date(format="yyyy-MM-dd", min=first, max=last)
        },
        "parameters": {"storage.location.template": f"{location}{key}=${{{key}}}/"},
    }
