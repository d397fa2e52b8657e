"""`python -m stacks.teardown`: empty a stack's buckets and drop its refined tables, before `cdk destroy`.

CloudFormation deletes only empty buckets, and the refined tables are the job's, not the stack's. What goes is
gone: every object, every earlier version of it, and the tables. The command says what it will remove and asks
for the stack's name first. The buckets' policies let only the pipeline write: while a bucket is emptied, the
statements that say so are taken out of its policy.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lake.names import RESERVED, adjustment_tables, members_table
from operating.stack import outputs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

BUCKETS = ("RawBucket", "RefinedBucket", "QueryResultsBucket")
TABLES = ("RefinedTable", "RefinedCompactTable")

_PATIENCE_SECONDS = 60
"""For how long S3 may go on refusing by the policy of before."""
_PAUSE_SECONDS = 3


class TeardownError(RuntimeError):
    """Something of the stack could not be removed."""


def empty(bucket: str) -> int:
    """Delete every version of every object of a bucket.

    Returns:
        How many were deleted.

    Raises:
        TeardownError: S3 refused to delete some.
    """
    s3 = boto3.client("s3")
    deleted = 0
    # A page lists at most 1,000 versions, which is also what one call deletes
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions: list[ObjectIdentifierTypeDef] = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        if not versions:
            continue
        _delete(s3, bucket, versions)
        deleted += len(versions)
        sys.stdout.write(f"\r  {bucket}: {deleted:,} object versions deleted")
        sys.stdout.flush()
    sys.stdout.write(f"\r  {bucket}: {deleted:,} object versions deleted\n")
    return deleted


@contextmanager
def writable(bucket: str) -> Iterator[None]:
    """Take the statements that reserve a bucket for the pipeline out of its policy, then put them back.

    Raises:
        botocore.exceptions.ClientError: No permission to read or to write the policy.
    """
    s3 = boto3.client("s3")
    try:
        policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        yield
        return
    document = json.loads(policy)
    others = [each for each in document["Statement"] if not each.get("Sid", "").startswith(RESERVED)]
    if len(others) == len(document["Statement"]):
        yield
        return
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**document, "Statement": others}))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def _delete(s3: S3Client, bucket: str, versions: list[ObjectIdentifierTypeDef]) -> None:
    """Delete versions. A policy that has just been changed may refuse for a while yet."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while errors := s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True}).get(
        "Errors"
    ):
        refused = all(error.get("Code") == "AccessDenied" for error in errors)
        if not refused or time.monotonic() > deadline:
            raise TeardownError(f"{bucket}: S3 refused to delete {len(errors)} objects, such as {errors[0]}")
        time.sleep(_PAUSE_SECONDS)


def drop_table(database: str, table: str) -> bool:
    """Drop a table and its partitions from the catalog; the database stays, others may use it.

    Returns:
        Whether there was one.
    """
    glue = boto3.client("glue")
    try:
        glue.delete_table(DatabaseName=database, Name=table)
    except glue.exceptions.EntityNotFoundException:
        return False
    return True


def main() -> int:
    """Run the command line; 0 when all is removed, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m stacks.teardown", description=__doc__)
    parser.add_argument("--stack", default="BovespaPipeline", help="name of the stack (%(default)s)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()
    try:
        found = outputs(arguments.stack)
        database = found["RefinedDatabase"]
        # A stack of before the compact table has no output of it, and its job made none
        tables = [found[table] for table in TABLES if table in found]
        if "RefinedTable" in found:
            tables += [members_table(found["RefinedTable"]), *adjustment_tables(found["RefinedTable"])]
        names = [found[bucket] for bucket in BUCKETS]
        listed = ", ".join([*names, *(f"table {database}.{table}" for table in tables)])
        sys.stdout.write(f"All data of {arguments.stack}: {listed}\n")
        if not arguments.yes and input("Delete them? Type the stack's name: ") != arguments.stack:
            sys.stdout.write("Nothing was deleted.\n")
            return 1
        for name in names:
            with writable(name):
                empty(name)
        for table in tables:
            state = "dropped" if drop_table(database, table) else "was not there"
            sys.stdout.write(f"  table {database}.{table} {state}\n")
    except (BotoCoreError, ClientError, TeardownError, EOFError) as error:
        sys.stderr.write(f"{arguments.stack}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
