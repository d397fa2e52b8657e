"""`python -m stacks.tables`: whose the refined tables are; `--drop` those of a pipeline that is gone.

The job owns the tables, and the buckets outlive their stack under `removal_policy=retain`: deployed again, a
stack has new buckets, and finds tables that lie in the old one's. A table is dropped only if no stack of the
account has the bucket that it lies in any more. Its files stay where they are.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lake.names import adjustment_tables, members_table
from operating.stack import outputs
from operating.teardown import TABLES, drop_table

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


class Found(NamedTuple):
    """A refined table of the catalog.

    Attributes:
        table: Its name.
        bucket: The bucket that it lies in.
        owner: The stack that the bucket is of; empty if that is gone, or was never one.
    """

    table: str
    bucket: str
    owner: str


def look(database: str, tables: list[str]) -> list[Found]:
    """Those of some tables that are in the catalog, and whose they are.

    Raises:
        botocore.exceptions.ClientError: No permission to read the catalog, or to ask CloudFormation.
    """
    glue = boto3.client("glue")
    found = []
    for table in tables:
        try:
            described = glue.get_table(DatabaseName=database, Name=table)["Table"]
        except glue.exceptions.EntityNotFoundException:
            continue
        bucket = bucket_of(described)
        found.append(Found(table, bucket, owner(bucket, boto3.client("cloudformation"))))
    return found


def bucket_of(table: Mapping[str, Any]) -> str:
    """The bucket that a table of the catalog lies in; empty of one that lies nowhere."""
    location: str = table.get("StorageDescriptor", {}).get("Location", "")
    return urlsplit(location).netloc


def owner(bucket: str, cloudformation: CloudFormationClient) -> str:
    """The stack that has a bucket among its resources; empty if none has.

    Raises:
        botocore.exceptions.ClientError: No permission to ask.
    """
    try:
        resources = cloudformation.describe_stack_resources(PhysicalResourceId=bucket)["StackResources"]
    except ClientError as error:
        # So CloudFormation says that no stack has it, also of one that is deleted and has left it
        if error.response["Error"]["Code"] == "ValidationError":
            return ""
        raise
    # The answer has the first hundred resources of the stack, also of one that ended in the last 90 days
    own = [one for one in resources if one.get("PhysicalResourceId") == bucket] or resources
    there = [one for one in own if one["ResourceStatus"] not in ("DELETE_SKIPPED", "DELETE_COMPLETE")]
    return there[0].get("StackName", "") if there else ""


def main() -> int:
    """Run the command line; 0 if the job can work with the tables, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m stacks.tables", description=__doc__)
    name = os.environ.get("STACK_NAME", "BovespaPipeline")
    parser.add_argument("--stack", default=name, help="name of the stack (%(default)s)")
    parser.add_argument("--drop", action="store_true", help="drop the tables of a pipeline that is gone")
    arguments = parser.parse_args()
    try:
        names = outputs(arguments.stack)
        database, ours = names["RefinedDatabase"], names["RefinedBucket"]
        refined = [names[table] for table in TABLES]
        made = (members_table(names["RefinedTable"]), *adjustment_tables(names["RefinedTable"])[:2])
        tables = look(database, [*refined, *made])
        blocked = 0
        for table, bucket, stack in tables:
            where = f"table {database}.{table} lies in {bucket}"
            if bucket == ours:
                said = f"{where}, the refined bucket of {arguments.stack}"
            elif stack:
                blocked += 1
                said = (
                    f"{where}, which stack {stack} has: give {arguments.stack} tables of its own, by "
                    "-c stack_name=... or -c refined_table=..."
                )
            elif arguments.drop:
                drop_table(database, table)
                said = f"{where}, which no stack has: dropped; its files stay there"
            else:
                blocked += 1
                said = (
                    f"{where}, which no stack has: --drop takes it out of the catalog, and leaves its files"
                )
            sys.stdout.write(f"{said}\n")
    except KeyError as missing:
        sys.stderr.write(f"the stack has no output {missing}: is it this one, and whole?\n")
        return 1
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"could not look: {error}\n")
        return 1
    if not tables:
        sys.stdout.write(f"no refined table in {database} yet: the job makes them with its first run\n")
    return int(blocked > 0)
