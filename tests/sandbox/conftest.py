"""One sandbox for every test that needs the deployed stack: two sessions of a small simulated market."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.leading import lead_to
from tests.sandbox.deployed import Deployed, deploying


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The stack, deployed, with `SESSIONS` taken from the simulated market by one firing of the schedule."""
    with deploying(tmp_path_factory.mktemp("sandbox")) as pipeline:
        yield pipeline


@pytest.fixture
def in_sandbox(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The deployed sandbox, with this process's environment leading boto3 to it."""
    lead_to(deployed.sandbox.aws, monkeypatch)
    return deployed
