"""`python -m stacks.preflight`: what a deployment will meet in an account (`operating.preflight`).

With the arguments that `cdk deploy` is to have: settings (`-c name=value`) and the profile count, the rest
is the CDK's own. 0 if nothing would stop the deployment, 1 if something would, 2 if a setting is refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import boto3
from botocore.exceptions import ProfileNotFound

from lake.names import adjustment_tables, members_table
from operating import learner_lab, preflight_lab
from operating.preflight import (
    CHECKS,
    Account,
    Finding,
    Level,
    Plan,
    examine,
    find_identity,
    find_region,
)
from operating.progress import counted
from operating.stack import BOOTSTRAP_QUALIFIER
from stacks.arguments import REFUSED
from stacks.config import CREATE_KEY, Config, ConfigError, context_of
from stacks.layers import layer_of
from stacks.refinement import compact_table_of

_QUALIFIER = "@aws-cdk/core:bootstrapQualifier"


def plan_of(config: Config, region: str, qualifier: str) -> Plan:
    """What is to be deployed, as the checks want to know it."""
    return Plan(
        stack=config.stack_name,
        raw_database=config.raw_database,
        refined_database=config.refined_database,
        refined_tables=(
            config.refined_table,
            compact_table_of(config.refined_table),
            members_table(config.refined_table),
            *adjustment_tables(config.refined_table)[:2],
        ),
        wide_sessions=config.wide_sessions,
        workers=config.glue_worker_count,
        runs=config.glue_concurrent_runs,
        layer=config.pandas_layer_arn or layer_of(region),
        kms_key=None if config.kms_key == CREATE_KEY else config.kms_key,
        qualifier=qualifier,
    )


def findings(asked: argparse.Namespace) -> Iterator[Finding]:
    """Ask the account of the environment's credentials.

    Raises:
        ConfigError: A setting is refused.
    """
    of_lab = [f"{name}={value}" for name, value in learner_lab.SETTINGS.items()] if asked.lab else []
    context = context_of([*of_lab, *asked.context])
    config = Config.from_context(context)
    try:
        session = boto3.Session(profile_name=asked.profile)
    except ProfileNotFound as error:
        yield Finding(Level.STOP, "identity", str(error), do="name a profile that there is, --profile")
        return
    region, said = find_region(os.environ, session.region_name)
    account = Account(session, region)
    identity = find_identity(account)
    yield identity
    yield said
    if identity.level is Level.STOP:
        return
    plan = plan_of(config, region, str(context.get(_QUALIFIER, BOOTSTRAP_QUALIFIER)))
    checks = preflight_lab.checks(config.existing_role or learner_lab.ROLE) if asked.lab else CHECKS
    yield from examine(account, plan, checks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m stacks.preflight", description=__doc__)
    parser.add_argument("--lab", action="store_true", help="the account is a Learner Lab")
    parser.add_argument("--profile", help="the profile to deploy with")
    parser.add_argument(
        "-c", "--context", action="append", default=[], metavar="NAME=VALUE", help="a setting of cdk.json"
    )
    asked, _of_the_cdk = parser.parse_known_args(arguments)
    levels: Counter[Level] = Counter()
    try:
        for finding in findings(asked):
            levels[finding.level] += 1
            sys.stdout.write(f"{finding.line()}\n")
            sys.stdout.flush()
    except ConfigError as error:
        sys.stderr.write(f"{REFUSED}{error}\n")
        return 2
    sys.stdout.write(f"{_summary(levels)}\n")
    return 1 if levels[Level.STOP] else 0


def _summary(levels: Counter[Level]) -> str:
    others = f"{counted(levels[Level.WARNING], 'warning')}, {levels[Level.UNSEEN]} not seen"
    if levels[Level.STOP]:
        return f"Not to be deployed like this: {levels[Level.STOP]} would stop it; {others}"
    return f"Nothing seen would stop the deployment; {others}"


if __name__ == "__main__":
    sys.exit(main())
