"""History in the deployed pipeline: sessions of its market, by the year's file and one run of the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import boto3
import pytest

from sandbox.b3.sources import SimulatedSource
from scraper.__main__ import DONE, main
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, remove_sessions


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
        remove_sessions(deployed, sessions)
