"""One Spark for all tests of the job, with folders as its `s3://` paths, and what refines a few raw lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from pyspark.sql import SparkSession

from sandbox import local_spark
from sandbox.b3.formats import Quote
from sandbox.ministack import MiniStack
from tests.spark.raw_files import BUCKETS, Lake, empty_buckets, empty_s3
from tests.spark.rows import SESSION, Members, refined

Refine = Callable[..., dict[Any, dict[str, Any]]]


@pytest.fixture(scope="session")
def buckets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="session")
def spark(
    buckets_root: Path, emulator: MiniStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    """Spark on two cores, with the sandbox's settings; what runs in its workers is led to the emulator."""
    folders = {name: buckets_root / name for name in BUCKETS}
    for folder in folders.values():
        folder.mkdir()
    settings = {
        # Of a few rows, planning anew is most of the time
        "spark.sql.adaptive.enabled": "false",
        **local_spark.settings_for(one_session=True),
        **{f"spark.executorEnv.{name}": value for name, value in emulator.environment().items()},
    }
    scratch = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local_spark.java_environment(scratch, folders, more=settings).items():
            patch.setenv(name, value)
        session = SparkSession.builder.master("local[2]").getOrCreate()
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

    def run(
        quotes: Iterable[Quote] | Mapping[date, Iterable[Quote]],
        portfolios: Mapping[date, Members] | None = None,
    ) -> dict[Any, dict[str, Any]]:
        if isinstance(quotes, Mapping):
            return dict(refined(spark, quotes, portfolios))
        rows = refined(spark, {SESSION: quotes}, portfolios, is_one_session=True)
        return {ticker: row for (_, ticker), row in rows.items()}

    return run
