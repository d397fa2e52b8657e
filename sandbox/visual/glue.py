"""Stand-ins for what a visual job's script takes from `awsglue`: frames, context, arguments, target.

They do what Glue's own do as far as the nodes that we interpret can tell. The Python half of `awsglue` is
public (github.com/awslabs/aws-glue-libs); its other half, in the JVM, is not, and runs nowhere but in Glue.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from refinement.catalog import storage_descriptor

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

_DEFAULT_RETENTION_HOURS = 168
_CATALOG_BATCH = 100  # partitions that one call of the Glue API takes


class GlueError(RuntimeError):
    """What a job run on Glue would fail with; or a node that the stand-ins cannot run as Glue does."""


class DynamicFrame:
    """A distributed table, for our purposes a DataFrame: what `toDF` returns has columns of its own.

    Glue converts rows to records and back, so a frame joined with one of its own ancestors is a join of two
    unrelated tables, and Spark plans a node without those before it. Records carry their own types: after
    what works on records (reading, Filter), a column without any value has no type, and a frame without any
    record read from S3 has no column.
    """

    def __init__(self, frame: DataFrame) -> None:
        self._spark = frame.sparkSession
        java: Any = frame._jdf  # the rows as they are, which have no typed face in Python
        self._schema = java.schema()
        self._rows = java.queryExecution().toRdd()

    @classmethod
    def fromDF(cls, dataframe: DataFrame, glue_ctx: GlueContext, name: str = "") -> DynamicFrame:  # noqa: ARG003, N802 - Glue's name and signature
        """Wrap a DataFrame, whose schema is kept."""
        return cls(dataframe)

    @classmethod
    def of_records(cls, frame: DataFrame) -> DynamicFrame:
        """The result of what works on records: columns without a value lose their type.

        It is computed here, as what Spark plans from here on has to know those types.
        """
        frame = frame.localCheckpoint(eager=False)  # by the count, which goes over all of it
        counts = frame.selectExpr(*[f"count(`{name}`) AS `{name}`" for name in frame.columns]).first()
        known = counts.asDict() if counts else {}
        return cls(
            frame.selectExpr(*[f"`{name}`" if known[name] else f"NULL AS `{name}`" for name in frame.columns])
        )

    def toDF(self) -> DataFrame:  # noqa: N802 - Glue's name
        """The rows, in columns that no other DataFrame has."""
        java: Any = self._spark._jsparkSession
        return DataFrame(java.internalCreateDataFrame(self._rows, self._schema, False), self._spark)


class DynamicFrameCollection:
    """DynamicFrames by key, in order."""

    def __init__(self, dynamic_frames: Mapping[str, DynamicFrame], glue_ctx: GlueContext) -> None:  # noqa: ARG002 - Glue's signature
        self._frames = dict(dynamic_frames)

    def keys(self) -> Iterable[str]:
        """The keys."""
        return self._frames.keys()

    def select(self, key: str) -> DynamicFrame:
        """The frame of a key."""
        return self._frames[key]


class GlueContext:
    """What the nodes' own code asks of Glue.

    Attributes:
        spark_session: The Spark session of the run.
    """

    def __init__(self, spark: SparkSession) -> None:
        self.spark_session = spark
        jvm: Any = spark._jvm  # the gateway to Hadoop, which has no typed face in Python
        self._path = jvm.org.apache.hadoop.fs.Path
        self._configuration: Any = spark._jsc.hadoopConfiguration()

    def purge_s3_path(
        self,
        s3_path: str,
        options: Mapping[str, Any] | None = None,
        transformation_ctx: str = "",  # noqa: ARG002 - Glue's signature
    ) -> None:
        """Delete the files below a path, but those younger than `retentionPeriod` hours: 168 by default.

        So says awsglue/context.py, whose other options (storage classes, a manifest) no node of ours gives.
        """
        hours = (options or {}).get("retentionPeriod", _DEFAULT_RETENTION_HOURS)
        youngest = time.time() - hours * 3600
        for path, modified in self.files(s3_path):
            if modified <= youngest:
                path.getFileSystem(self._configuration).delete(path, False)

    def files(self, s3_path: str) -> list[tuple[Any, float]]:
        """Every file below a path: Hadoop's path of it, and when it was modified, in seconds."""
        location = self._path(s3_path)
        file_system = location.getFileSystem(self._configuration)
        if not file_system.exists(location):
            return []
        statuses = file_system.listFiles(location, True)
        found = []
        while statuses.hasNext():
            status = statuses.next()
            found.append((status.getPath(), status.getModificationTime() / 1000))
        return found

    def read_parquet(self, paths: Sequence[str]) -> DynamicFrame:
        """Read Parquet files below folders, and what their paths say: `key=value` becomes a text column.

        Folders without any file make a frame without columns.
        """
        spark = self.spark_session
        paths = [path for path in paths if self.files(path)]
        if not paths:
            return DynamicFrame(spark.createDataFrame([], StructType([])))
        inference = "spark.sql.sources.partitionColumnTypeInference.enabled"
        before = spark.conf.get(inference)
        spark.conf.set(inference, "false")
        try:
            frame = spark.read.option("mergeSchema", "true").parquet(*paths)
        finally:
            spark.conf.set(inference, str(before))
        return DynamicFrame.of_records(frame)


def get_resolved_options(args: Sequence[str], options: Iterable[str]) -> dict[str, str]:
    """The named job arguments, which have to be there; others are passed over.

    Raises:
        GlueError: One is missing.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    for option in options:
        parser.add_argument(f"--{option}")
    found = vars(parser.parse_known_args(args[1:])[0])
    missing = [f"--{name}" for name, value in found.items() if value is None]
    if missing:
        raise GlueError(f"the following arguments are required: {', '.join(missing)}")
    return found


class S3ParquetSink:
    """A target on S3 that keeps the Data Catalog up to date (`enableUpdateCatalog`).

    It appends files, and registers the partitions that it wrote in a table that is there, whose schema it
    leaves as it is (update behavior LOG); it never unregisters one. So AWS says in "Creating tables, updating
    schema, and adding new partitions in the Data Catalog from AWS Glue ETL jobs"
    (docs.aws.amazon.com/glue/latest/dg/update-from-job.html).

    Of a frame without rows, partitioned, it writes no file and registers no partition. AWS does not say so in
    words; but the scripts that Glue generates for a target with a number of files ask `count() >= 1` before
    they coalesce its frame, and then write it in either case.
    """

    def __init__(self, glue: GlueClient, *, path: str, partition_keys: Sequence[str]) -> None:
        self._glue = glue
        self._path = path
        self._keys = list(partition_keys)

    def write(self, frame: DataFrame, *, compression: str) -> None:
        """Append the rows, in a folder for each value of the partition keys."""
        (
            frame.write.mode("append")
            .partitionBy(*self._keys)
            .option("compression", compression)
            .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
            .option("mapreduce.fileoutputcommitter.algorithm.version", "2")
            .parquet(self._path)
        )

    def register(self, frame: DataFrame, *, database: str, table: str) -> None:
        """Make the catalog show the rows that were written.

        Raises:
            GlueError: It refuses a partition.
        """
        columns: Any = [
            {"Name": field.name, "Type": field.dataType.simpleString()}
            for field in frame.schema
            if field.name not in self._keys
        ]
        partitions: list[Any] = []
        for values in {tuple(map(str, row)): None for row in frame.select(self._keys).collect()}:
            folders = "/".join(
                f"{key}={_escaped(value)}" for key, value in zip(self._keys, values, strict=True)
            )
            location = f"{self._path.rstrip('/')}/{folders}/"
            descriptor = storage_descriptor(location, columns)
            partitions.append({"Values": list(values), "StorageDescriptor": descriptor})
        for start in range(0, len(partitions), _CATALOG_BATCH):
            answer = self._glue.batch_create_partition(
                DatabaseName=database,
                TableName=table,
                PartitionInputList=partitions[start : start + _CATALOG_BATCH],
            )
            errors = [
                error
                for error in answer.get("Errors", [])
                if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException"
            ]
            if errors:
                raise GlueError(f"table {database}.{table}: partitions were refused: {errors[0]}")


def _escaped(value: str) -> str:
    """A partition's value as Spark writes it into a path: Hive's escapes."""
    return "".join(
        f"%{ord(character):02X}"
        if character in "\"#%'*/:=?\\{[]^\x7f" or ord(character) < 0x20
        else character
        for character in value
    )
