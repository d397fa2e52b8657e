"""History in the deployed pipeline, by the commands that load it; what is loaded goes again.

Sessions of its market come by the year's file and one run of the job, corporate actions by asking for each
issuer. The environment has to lead to the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import boto3
import pytest

from lake import keys
from sandbox.b3.server import ActionsSource
from sandbox.b3.sources import SimulatedSource
from scraper.__main__ import DONE, main
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, remove_sessions


def load(deployed: Deployed, sessions: Sequence[date]) -> None:
    """Load these sessions, all of its market and before those that it has, into the compact table."""
    days = ["--from", str(sessions[0]), "--to", str(sessions[-1])]
    source = SimulatedSource([*sessions, *SESSIONS], MARKET)
    with deployed.b3.serving(source), pytest.MonkeyPatch.context() as environment:
        environment.setenv("QUOTES_BASE_URL", deployed.server.base_url)
        command = ["backfill", *days, "--compact-only", "--stack"]
        assert main([*command, deployed.sandbox.deployment.work_group]) == DONE


@contextmanager
def loaded(deployed: Deployed, sessions: Sequence[date]) -> Iterator[None]:
    """The deployed pipeline with these sessions, too, in the compact table; afterwards without them again.

    Other tests ask for the lake's last sessions, so what is loaded has to go.

    Args:
        deployed: The pipeline.
        sessions: Sessions of its market, all before those that it has.
    """
    try:
        load(deployed, sessions)
        yield
    finally:
        remove_sessions(deployed, sessions)


def ask_for_actions(deployed: Deployed, source: ActionsSource) -> None:
    """Have what a source states of all issuers that the raw quotes name in the raw bucket."""
    deployed.b3.actions = source
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INDEX_BASE_URL", deployed.server.base_url)
        command = ["backfill", "--corporate-actions", "--refresh", "--stack"]
        assert main([*command, deployed.sandbox.deployment.work_group]) == DONE


def ask_for_levels(deployed: Deployed, sessions: Sequence[date]) -> None:
    """Have the levels of its index, of these sessions of its market, in the raw bucket."""
    years = ["--from", str(sessions[0].year), "--to", str(sessions[-1].year)]
    source = SimulatedSource(sessions, MARKET)
    with deployed.b3.serving(source), pytest.MonkeyPatch.context() as environment:
        environment.setenv("INDEX_BASE_URL", deployed.server.base_url)
        command = ["backfill", "--index-levels", *years, "--refresh", "--stack"]
        assert main([*command, deployed.sandbox.deployment.work_group]) == DONE


@contextmanager
def levels_put_back(deployed: Deployed, *, empty: bool = False) -> Iterator[None]:
    """The deployed pipeline, in the end with the levels of indices that it had in the beginning.

    Args:
        deployed: The pipeline.
        empty: Whether it has none meanwhile.
    """
    bucket = boto3.resource("s3").Bucket(deployed.sandbox.deployment.raw_bucket)
    before = {each.key: each.get() for each in bucket.objects.filter(Prefix=keys.INDEX_LEVELS)}
    bodies = {key: found["Body"].read() for key, found in before.items()}
    if empty:
        bucket.objects.filter(Prefix=keys.INDEX_LEVELS).delete()
    try:
        yield
    finally:
        bucket.objects.filter(Prefix=keys.INDEX_LEVELS).delete()
        for key, found in before.items():
            bucket.put_object(Key=key, Body=bodies[key], Metadata=found["Metadata"])


@contextmanager
def levels_known(deployed: Deployed, sessions: Sequence[date]) -> Iterator[None]:
    """The deployed pipeline with the levels of its index of these sessions; afterwards with those before.

    Args:
        deployed: The pipeline.
        sessions: Sessions of its market, and all that it has.
    """
    with levels_put_back(deployed):
        ask_for_levels(deployed, sessions)
        yield


@contextmanager
def actions_known(deployed: Deployed, source: ActionsSource) -> Iterator[None]:
    """The deployed pipeline with what a source states of all issuers that the raw quotes name.

    The next run of the job makes events and factors of it. Mornings meanwhile ask the same source.

    Args:
        deployed: The pipeline.
        source: Who knows of corporate actions.
    """
    try:
        ask_for_actions(deployed, source)
        yield
    finally:
        deployed.b3.actions = None
        bucket = boto3.resource("s3").Bucket(deployed.sandbox.deployment.raw_bucket)
        bucket.objects.filter(Prefix=keys.CORPORATE_ACTIONS).delete()
