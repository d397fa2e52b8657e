"""`python -m operating.learner_lab deploy|destroy`: the stack in an AWS Academy Learner Lab, and out of it.

In a lab nobody can create a role, so there is no `cdk bootstrap`: of it the deployment needs the bucket for
assets alone, which is made here. `make deploy LAB=1` and `make destroy LAB=1` call this; words after the
command are the CDK's, such as `-c schedule_hours=8,10`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operating import teardown
from operating.stack import asset_bucket, outputs, outputs_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_s3.type_defs import TagTypeDef

ROLE = "LabRole"
"""The role that a lab has."""

SETTINGS: Mapping[str, str] = {
    "existing_role": ROLE,
    "removal_policy": "destroy",  # a lab is left as it was found
    "operators": "role/voclabs",  # people are sessions of this role
    "glue_concurrent_runs": "1",  # a lab has workers for one
}
"""The settings of a deployment in a lab, unless one is given."""

_MADE_HERE: TagTypeDef = {"Key": "made-by", "Value": "bovespa-batch-pipeline"}
_HOME_REGION = "us-east-1"  # which S3 takes for none
_ACTIVE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_REPOSITORY = Path(__file__).resolve().parent.parent


class LabError(RuntimeError):
    """The lab is not as it has to be, or a step failed; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """An account and region of a lab, as the environment leads to it."""

    account: str
    region: str

    @classmethod
    def find(cls) -> Lab:
        """Ask whose credentials the environment has.

        Raises:
            LabError: No region is set.
            botocore.exceptions.ClientError: The credentials are not valid, or not any more.
        """
        region = boto3.session.Session().region_name
        if not region:
            raise LabError("no region is set: export AWS_DEFAULT_REGION=us-east-1")
        return cls(account=boto3.client("sts").get_caller_identity()["Account"], region=region)

    @property
    def assets(self) -> str:
        """Name of the bucket for assets."""
        return asset_bucket(self.account, self.region)

    def make_asset_bucket(self, client: S3Client | None = None) -> bool:
        """Make the bucket for assets, unless there is one.

        Args:
            client: By which; None for one of the environment's.

        Returns:
            Whether it was made.

        Raises:
            botocore.exceptions.ClientError: S3 refused, or the bucket is another account's.
        """
        s3 = client or boto3.client("s3", region_name=self.region)
        try:
            s3.head_bucket(Bucket=self.assets, ExpectedBucketOwner=self.account)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
        else:
            return False
        if self.region == _HOME_REGION:
            s3.create_bucket(Bucket=self.assets)
        else:
            place: BucketLocationConstraintType = self.region  # type: ignore[assignment]  # by its name
            s3.create_bucket(Bucket=self.assets, CreateBucketConfiguration={"LocationConstraint": place})
        s3.put_public_access_block(
            Bucket=self.assets,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_tagging(Bucket=self.assets, Tagging={"TagSet": [_MADE_HERE]})
        return True

    def remove_asset_bucket(self) -> str:
        """Empty and delete the bucket for assets, if it was made here and no other stack of ours is left.

        Returns:
            What became of it, in words.

        Raises:
            botocore.exceptions.ClientError: S3 refused.
            operating.teardown.TeardownError: An object could not be deleted.
        """
        s3 = boto3.client("s3", region_name=self.region)
        try:
            tags = s3.get_bucket_tagging(Bucket=self.assets)["TagSet"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                return "was not there"
            if code != "NoSuchTagSet":
                raise
            tags = []
        if _MADE_HERE not in tags:
            return "stays: it was not made by this command"
        if others := _stacks_like_ours():
            return f"stays: {', '.join(others)} needs what is in it"
        teardown.empty(self.assets)
        s3.delete_bucket(Bucket=self.assets)
        return "deleted"


def arguments(given: Sequence[str]) -> list[str]:
    """The CDK's arguments for a lab: its settings, but for those that are given, and what is given.

    Args:
        given: Words of the CDK's command line, settings as `-c name=value` or `--context name=value`.
    """
    named = settings(given)
    own = [f"{name}={value}" for name, value in SETTINGS.items() if name not in named]
    return [*(word for setting in own for word in ("-c", setting)), *given]


def settings(given: Sequence[str]) -> dict[str, str]:
    """The settings among words of the CDK's command line."""
    pairs = [word.partition("=") for before, word in pairwise(given) if before in ("-c", "--context")]
    pairs += [word.removeprefix("--context=").partition("=") for word in given if "--context=" in word]
    return {name: value for name, _, value in pairs}


def deploy(given: Sequence[str]) -> None:
    """Deploy, take the first session, and say what there is to look at.

    Raises:
        LabError: A step failed, and has said why.
    """
    lab, stack = Lab.find(), _stack_name(given)
    made = lab.make_asset_bucket()
    _say(f"Bucket for assets: {lab.assets}, {'made' if made else 'there already'}")
    _step("cdk", "deploy", "--require-approval", "never", *arguments(given))
    _say("First session: the scraper is invoked as the schedule does, then the job makes its partitions")
    _step(sys.executable, "-m", "operating.smoke", "--stack", stack)
    _say(what_to_look_at(stack, lab, outputs(stack)))


def destroy(given: Sequence[str], *, ask: bool = True) -> None:
    """Delete the stack with its data and tables, and the bucket for assets: the lab is as it was found.

    Args:
        given: Words of the CDK's command line.
        ask: Whether to ask for the stack's name before anything is deleted.

    Raises:
        LabError: A step failed, and has said why.
    """
    lab, stack = Lab.find(), _stack_name(given)
    try:
        names, since = outputs(stack), _created(stack)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        _say(f"{stack}: there is no such stack")
    else:
        # One whose first deployment did not end has no outputs, and no data yet
        if names:
            _step(sys.executable, "-m", "operating.teardown", "--stack", stack, *([] if ask else ["--yes"]))
        _step("cdk", "destroy", "--force", *arguments(given))
        if names:
            database = names["RefinedDatabase"]
            _say(f"Database {database}: {drop_empty_database(database, since=since)}")
    _say(f"Bucket for assets: {lab.assets} {lab.remove_asset_bucket()}")


def drop_empty_database(name: str, *, since: datetime) -> str:
    """Delete the refined database, which the job makes where it is missing, unless something is in it.

    Args:
        name: Its name.
        since: When the stack was made: an older database is somebody else's.

    Returns:
        What became of it, in words.
    """
    glue = boto3.client("glue")
    try:
        if glue.get_tables(DatabaseName=name)["TableList"]:
            return "stays: it has other tables"
        if glue.get_database(Name=name)["Database"]["CreateTime"] < since:
            return "stays: it was there before the stack"
        glue.delete_database(Name=name)
    except glue.exceptions.EntityNotFoundException:
        return "was not there"
    return "deleted, as it was empty"


def what_to_look_at(stack: str, lab: Lab, names: Mapping[str, str]) -> str:
    """Where the console shows what was deployed, in lines."""
    console = f"https://{lab.region}.console.aws.amazon.com"
    region, job = f"region={lab.region}", names["GlueJobName"]
    page = f"cloudwatch/home?{region}#dashboards/dashboard/{names['Dashboard']}"
    places = {
        "CloudFormation, the stack": f"{console}/cloudformation/home?{region}#/stacks?filteringText={stack}",
        "S3, raw Parquet": f"{console}/s3/buckets/{names['RawBucket']}?{region}&prefix=raw/cotahist/",
        "S3, refined Parquet": f"{console}/s3/buckets/{names['RefinedBucket']}?{region}&prefix=refined/",
        "Lambda, the starter": f"{console}/lambda/home?{region}#/functions/{names['StarterFunction']}",
        "Glue, the job and its runs": f"{console}/gluestudio/home?{region}#/editor/job/{job}",
        "Glue, the catalog": f"{console}/glue/home?{region}#/v2/data-catalog/tables",
        f"Athena, workgroup {names['WorkGroup']}": f"{console}/athena/home?{region}#/query-editor",
        "CloudWatch, the dashboard": f"{console}/{page}",
    }
    width = max(map(len, places))
    return "\n".join(
        [
            "What to look at, while the lab runs:",
            *(f"  {what:<{width}}  {where}" for what, where in places.items()),
            f"  {'A page of charts':<{width}}  make report LAKE=aws STACK_NAME={stack}",
            "What to hand in, and where its evidence is: docs/learner-lab.md (docs/learner-lab.pt-BR.md)",
        ]
    )


def _created(stack: str) -> datetime:
    (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    # A catalog's times are of whole seconds
    return found["CreationTime"].replace(microsecond=0)


def _stacks_like_ours() -> list[str]:
    """Names of the stacks in the region that are deployments of this project."""
    pages = boto3.client("cloudformation").get_paginator("describe_stacks").paginate()
    return [
        stack["StackName"]
        for page in pages
        for stack in page["Stacks"]
        if stack["StackStatus"] in _ACTIVE and "ScraperFunction" in outputs_of(stack)
    ]


def _stack_name(given: Sequence[str]) -> str:
    context = json.loads((_REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]
    return settings(given).get("stack_name", str(context["stack_name"]))


def _step(*command: str) -> None:
    ended = subprocess.run(command, cwd=_REPOSITORY, check=False).returncode
    if ended:
        raise LabError(f"`{' '.join(command[:3])} ...` ended with {ended}; what it said stands above")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when all is done, 1 when a step failed."""
    parser = argparse.ArgumentParser(prog="python -m operating.learner_lab", description=__doc__)
    parser.add_argument("command", choices=("deploy", "destroy"))
    parser.add_argument("--yes", action="store_true", help="destroy: do not ask")
    asked, given = parser.parse_known_args(words)
    command: Literal["deploy", "destroy"] = asked.command
    try:
        if command == "deploy":
            deploy(given)
        else:
            destroy(given, ask=not asked.yes)
    except (BotoCoreError, ClientError, LabError, teardown.TeardownError) as error:
        sys.stderr.write(f"LAB=1: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
