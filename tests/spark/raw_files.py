"""The lake of the job's tests: buckets, catalog, the job on them, and what a few raw sessions become."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from refinement.catalog import Catalog, wide_table
from refinement.run import main
from sandbox.b3.formats import Quote, encode_session
from sandbox.mirror import BucketMirror
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_session
from scraper.b3.index_portfolio.reader import PORTFOLIO_SCHEMA
from tests.spark.rows import SESSION, Members, cash, odd_lot, option

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

D = Decimal
BUCKETS = RAW, REFINED = ("raw-bucket", "refined-bucket")
LOCATION = "s3://refined-bucket/refined"
COMPACT_LOCATION = "s3://refined-bucket/refined_compact"
AA = [
    cash(voltot=D("10.00"), preult=D("7.77")),
    odd_lot(voltot=D("1.00")),
    option("ZZAAC10", voltot=D("0.50")),
]
BB = [cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("20.00"))]


def empty_buckets(root: Path) -> None:
    """Remove all that lies in the buckets, which Spark knows by their folders."""
    for name in BUCKETS:
        shutil.rmtree(root / name)
        (root / name).mkdir()


def empty_s3(root: Path) -> None:
    """Make the emulator's buckets, to which the environment leads, or empty them."""
    s3 = boto3.client("s3")
    for name in BUCKETS:
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        empty(s3, name)
        (root / f"{name}.json").unlink(missing_ok=True)


def empty(s3: S3Client, bucket: str) -> None:
    """Delete all that lies in a bucket."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if items := page.get("Contents", []):
            s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": item["Key"]} for item in items]})


def run_job(root: Path, *argv: str) -> None:
    """Run the job on the buckets' folders, which Spark reads, and the emulator's S3, which the job writes to.

    What was changed in the folders goes to S3 before; what the job has left in S3 is in the folders after.
    """
    s3 = boto3.client("s3")
    for name in BUCKETS:
        BucketMirror(s3, name, root).push()
    try:
        main([*argv, "--raw_bucket", RAW, "--refined_bucket", REFINED])
    finally:
        BucketMirror(s3, REFINED, root).pull()


@dataclass
class Lake:
    """The buckets' folders, the catalog, and the job on them."""

    folder: Path
    glue: GlueClient
    database: str = field(default_factory=lambda: f"test_{uuid.uuid4().hex}")
    table: str = "bovespa_daily"

    def run(self, *argv: str) -> None:
        given = (
            argv if any("_date" in argument for argument in argv) else ("--trade_date", str(SESSION), *argv)
        )
        run_job(self.folder, *given, "--refined_database", self.database, "--refined_table", self.table)

    def run_range(self, first: date, last: date, *argv: str) -> None:
        self.run("--start_date", str(first), "--end_date", str(last), *argv)

    def put_session(self, quotes: Iterable[Quote], day: date = SESSION, name: str = "daily") -> Path:
        """Write a raw session as the scraper's reader makes it of B3's text."""
        frame = read_session(encode_session(day, quotes), session=day, source="test")
        path = self.folder / f"raw-bucket/raw/cotahist/trade_date={day}/{name}.parquet"
        _write(pa.Table.from_pandas(frame, schema=COTAHIST_SCHEMA, preserve_index=False), path)
        return path

    def put_portfolio(self, day: date, members: Members, index: str = "IBOV") -> None:
        rows = [
            {"index_code": index, "ticker": ticker, "weight": D(weight), "sector": sector}
            for ticker, (weight, sector) in members.items()
        ]
        path = self.folder / f"raw-bucket/raw/index_portfolio/portfolio_date={day}/{index}.parquet"
        _write(pa.Table.from_pylist(rows, schema=PORTFOLIO_SCHEMA), path)

    def files(self) -> dict[str, tuple[str, bytes]]:
        """Every file of the refined rows: its version, which a write changes, and what it holds."""
        return self._objects("refined/") | self._objects("refined_compact/")

    def adjustment(self) -> dict[str, tuple[str, bytes]]:
        """The same of events, factors, and what they are made of."""
        return self._objects("refined_events/") | self._objects("refined_factors/")

    def member_files(self) -> dict[str, tuple[str, bytes]]:
        """The same of the members of indices."""
        return self._objects("refined_index_members/")

    def members(self, day: date = SESSION) -> list[dict[str, Any]]:
        """The members of indices in a session."""
        _, body = self.member_files()[f"refined_index_members/trade_date={day}/part-00000.parquet"]
        return list(pq.read_table(pa.BufferReader(body)).to_pylist())

    def _objects(self, prefix: str) -> dict[str, tuple[str, bytes]]:
        s3 = boto3.client("s3")
        found = {}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=REFINED, Prefix=prefix):
            for item in page.get("Contents", []):
                answer = s3.get_object(Bucket=REFINED, Key=item["Key"])
                found[item["Key"]] = answer["VersionId"], answer["Body"].read()
        return found

    def partitions(self, suffix: str = "", *, table: str = "") -> dict[tuple[str, ...], str]:
        """Location of each registered partition."""
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.database, TableName=table or self.table + suffix, ExcludeColumnSchema=True
        )
        return {
            tuple(partition["Values"]): partition["StorageDescriptor"]["Location"]
            for page in pages
            for partition in page["Partitions"]
        }

    def indexes(self, suffix: str = "") -> list[list[str]]:
        """By which keys the catalog finds a table's partitions."""
        found = self.glue.get_partition_indexes(DatabaseName=self.database, TableName=self.table + suffix)
        return [[key["Name"] for key in index["Keys"]] for index in found["PartitionIndexDescriptorList"]]

    def tables(self) -> list[Any]:
        """Both tables of the refined rows, as they are in the catalog, the wide one first."""
        return [
            table for table in self.catalogued() if table["Name"] in (self.table, f"{self.table}_compact")
        ]

    def catalogued(self) -> list[Any]:
        """All tables and views of the database."""
        tables = self.glue.get_tables(DatabaseName=self.database)["TableList"]
        return sorted(tables, key=lambda table: table["Name"])

    def state(self) -> Any:
        """All that a run might change."""
        partitions = self.partitions(), self.partitions("_compact")
        return self.files(), self.adjustment() | self.member_files(), *partitions, self.catalogued()

    def rows(self, key: str) -> list[dict[str, Any]]:
        _, body = self.files()[key]
        return list(pq.read_table(pa.BufferReader(body)).to_pylist())

    def row(self, ticker: str, day: date = SESSION) -> dict[str, Any]:
        (row,) = self.rows(key(ticker, day))
        return row

    def catalog(self) -> Catalog:
        return Catalog(self.glue, database=self.database, table=wide_table(self.table, REFINED))


def key(ticker: str, day: date = SESSION) -> str:
    return f"refined/trade_date={day}/ticker={ticker}/part-00000.parquet"


def compact_key(day: date = SESSION) -> str:
    return f"refined_compact/trade_date={day}/part-00000.parquet"


def keys(*tickers: str, day: date = SESSION) -> set[str]:
    """The files of a session."""
    return {compact_key(day), *(key(ticker, day) for ticker in tickers)}


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
