"""History in the deployed pipeline: sessions of its market, by the year's file and one run of the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import boto3
import pytest

from sandbox.b3.sources import SimulatedSource
from scraper.__main__ import DONE, main
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed


@contextmanager
def loaded(deployed: Deployed, sessions: Sequence[date]) -> Iterator[None]:
    """The deployed pipeline with these sessions, too, in the compact table; afterwards without them again.

    Other tests ask for the lake's last sessions, so what is loaded has to go. The environment has to lead to
    the sandbox.

    Args:
        deployed: The pipeline.
        sessions: Sessions of its market, all before those that it has.
    """
    names = deployed.sandbox.deployment
    served, deployed.b3.now = deployed.b3.now, SimulatedSource([*sessions, *SESSIONS], MARKET)
    settings = boto3.client("lambda").get_function_configuration(FunctionName=names.backfill_function)
    days = ["--from", str(sessions[0]), "--to", str(sessions[-1])]
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("QUOTES_BASE_URL", settings["Environment"]["Variables"]["QUOTES_BASE_URL"])
            assert main(["backfill", *days, "--compact-only", "--stack", names.work_group]) == DONE
        yield
    finally:
        deployed.b3.now = served
        remove(deployed, sessions)


def remove(deployed: Deployed, sessions: Sequence[date]) -> None:
    """Take sessions out of the lake: objects, partitions, and what the backfill remembers."""
    names = deployed.sandbox.deployment
    days = {str(day) for day in sessions}
    s3 = boto3.client("s3")
    for bucket in (names.raw_bucket, names.refined_bucket):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                day = item["Key"].partition("_date=")[2][:10]
                if item["Key"].startswith("backfill/") or day in days:
                    s3.delete_object(Bucket=bucket, Key=item["Key"])
    glue = boto3.client("glue")
    tables = glue.get_tables(DatabaseName=names.refined_database)["TableList"]
    for table in (table["Name"] for table in tables):
        pages = glue.get_paginator("get_partitions").paginate(
            DatabaseName=names.refined_database, TableName=table
        )
        for values in [partition["Values"] for page in pages for partition in page["Partitions"]]:
            if values[0] in days:
                glue.delete_partition(
                    DatabaseName=names.refined_database, TableName=table, PartitionValues=values
                )
